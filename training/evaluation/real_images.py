"""The real images that belong to a run, by split."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import values
from training.data import (
    DataSource,
    NoSuchDataError,
    NoSuchSplitError,
    load_configured,
)
from training.data.names import gone
from training.evaluation.cache_folder import default_cache_folder
from training.evaluation.extractors.cache import cached_features
from training.evaluation.extractors.classifier_training import LabelledImages
from training.evaluation.extractors.extraction import Extracted, Progress, extract
from training.evaluation.extractors.feature_extractor import FeatureExtractor
from training.storage.folder import RunFolder

# What is hashed of a set of images: reading ImageNet twice would take an hour.
_PROBE_BYTES = 2**30


def trained_source(folder: RunFolder) -> DataSource:
    """Loads the images that a run was trained on, at the run's size.

    Raises:
        ValueError: if there is no such run, or its data can't be loaded.
    """
    return _load(folder, None)


def run_source(folder: RunFolder, split: str) -> DataSource:
    """Loads a split of the data that a run was trained on, at the run's size.

    Args:
        folder: the run's folder.
        split: `"train"`, `"test"`, or another of the data's splits. Of data that were
            given with a split, as in `tfds:mnist:train[:80%]`, `"train"` is that one.

    Raises:
        NoSuchSplitError: if the data has no such split.
        ValueError: if there is no such run, or its data can't be loaded.
    """
    return _load(folder, split)


def _load(folder: RunFolder, split: str | None) -> DataSource:
    config = folder.config()
    source = _read(folder, config, split)
    trained_on = config["data"].get("digest", source.digest)
    if split not in (None, "train"):
        if folder.moved_data is not None:
            _load(folder, None)  # refuses images of something else
        return source
    if source.digest == trained_on:
        return source
    # The training split is a part of what is trained on by default, or is what some
    # experiments train on in its place.
    try:
        other = _read(folder, config, "train" if split is None else None)
    except NoSuchSplitError:
        other = source
    if other.digest != trained_on:
        raise ValueError(
            "`data` must be the images that the run was trained on, wherever they lie "
            f"now. Received: data={folder.moved_data or config['preset']['data']!r}, "
            "whose content is another"
        )
    return other if split is None else source


def _read(folder: RunFolder, config: dict[str, Any], split: str | None) -> DataSource:
    height, width, channels = config["data"]["image_shape"]
    moved = {} if folder.moved_data is None else {"name": folder.moved_data}
    size = {"image_size": (height, width), "channels": channels}
    try:
        return load_configured(config["preset"], split, **size, **moved)
    except NoSuchDataError as error:
        if moved:
            raise NoSuchDataError(
                values.message("data", "a folder that exists", folder.moved_data)
            ) from error
        raise NoSuchDataError(gone(config["preset"]["data"])) from error


def scored_source(folder: RunFolder, split: str) -> DataSource:
    """Loads a split of a run's data, or what was trained on if it has no such split."""
    return optional_source(folder, split) or trained_source(folder)


def optional_source(folder: RunFolder, split: str) -> DataSource | None:
    """Loads a split of a run's data, `None` if it has no such split."""
    try:
        return run_source(folder, split)
    except NoSuchSplitError:
        return None


def real_features(
    extractor: FeatureExtractor,
    source: DataSource,
    count: int,
    cache: Path | str | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> Extracted:
    """Returns features of a source's images, from the cache if they are there.

    Args:
        extractor: makes the features.
        source: the images.
        count: how many of them, always the same ones; all if there are fewer.
        cache: folder of the cache; `None` for `default_cache_folder()`.
        batch_size: images a call of the extractor.
        progress: called as `progress(done, total)` as features are made.
    """
    count = min(count, len(source))
    key: dict[str, str | int] = {
        "data": source.name,
        "split": source.split,
        "count": count,
        "images": fingerprint(source, count),
        "extractor": extractor.identity,
        "preprocessing": extractor.preprocessing,
    }
    return cached_features(
        cache or default_cache_folder(),
        key,
        lambda: extract(extractor, _batches(source, batch_size), count, progress),
    )


def fingerprint(source: DataSource, count: int) -> str:
    """Returns a hash of the first `count` images, of large sets of their first GiB."""
    probe = min(count, _PROBE_BYTES // math.prod(source.image_shape) + 1)
    images, labels = source.sample(probe)
    digest = hashlib.sha256(str(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    return digest.hexdigest()


def _batches(
    source: DataSource, size: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32] | None]]:
    """Yields the images in the order of `sample`, without holding all of them."""
    for _, images, *labels in source.blocks(0, 0, size, size, 1):
        yield images.numpy(), labels[0].numpy() if labels else None


def check_labelled(source: DataSource) -> None:
    """Raises a ValueError if no classifier can be trained on a source."""
    if source.num_classes is None:
        raise ValueError(
            "The classifier that scores rest on needs images with labels (in a folder, "
            "sub-folders are the classes); without them take another network, by "
            f"`--inception` or `--extractor`. Received: {source.name!r} without labels"
        )


def labelled(source: DataSource) -> LabelledImages:
    """Returns all images of a source with their labels.

    Raises:
        ValueError: if it has no labels.
    """
    check_labelled(source)
    images, labels = source.sample(len(source))
    return LabelledImages(images, np.asarray(labels, np.int32), source.class_names)


def train_and_test(folder: RunFolder) -> tuple[LabelledImages, LabelledImages | None]:
    """Returns a run's labelled training images and, if the data has some, test images.

    Raises:
        ValueError: if the data has no labels.
    """
    test = optional_source(folder, "test")
    # Not what was trained on, which may hold the test images.
    train = labelled(scored_source(folder, "train"))
    return train, None if test is None else labelled(test)
