"""A cache that can't be written is found first, and killed writers leave nothing."""

import os
import time

import numpy as np
import pytest

from training.evaluation.extractors.cache import cached_features
from training.evaluation.extractors.classifier import cached_classifier
from training.evaluation.extractors.classifier_training import LabelledImages
from training.evaluation.extractors.extraction import Extracted


def compute():
    return Extracted(features=np.zeros((2, 3), np.float32), logits=None, labels=None)


def never():
    raise AssertionError("the work was done first")


def test_a_cache_that_can_not_be_written_is_found_before_the_work(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    images = LabelledImages(np.zeros((4, 4, 4, 1), np.uint8), np.arange(4) % 2)
    for folder in (file, file / "below", "/proc/cache"):
        with pytest.raises(ValueError, match="`cache` must be a folder that can be"):
            cached_features(folder, {}, never)
        with pytest.raises(ValueError, match="`cache` must be a folder that can be"):
            cached_classifier(folder, "x", images, images, say=lambda text: never())


def test_what_a_killed_process_left_is_swept_and_what_another_writes_is_not(tmp_path):
    old, new = (tmp_path / f".features-{x}.tmp.npz" for x in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    day_ago = time.time() - 86400
    os.utime(old, (day_ago, day_ago))
    cached_features(tmp_path, {"data": "x"}, compute)
    assert new.exists() and not old.exists()
    # What is there can be read from a folder that can't be written.
    cached_features(tmp_path, {"data": "x"}, never)
