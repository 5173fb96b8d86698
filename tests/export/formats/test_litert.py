"""What `.tflite` files are calibrated on."""

from __future__ import annotations

import types

import numpy as np

from export.formats import litert
from export.reading import loading


def _calibrated(samples, sizes):
    """The latents of each batch that `int8-full` is calibrated on."""
    generator = types.SimpleNamespace(
        draw=lambda count, seed: loading.draw(4, None, count, seed)
    )
    found: dict[str, list[np.ndarray]] = {}
    for name, batch in litert._calibration(generator, sizes, samples, 3):
        found.setdefault(name, []).append(batch["latents"])
    return found


def test_every_signature_sees_each_sample():
    for samples in (5, 8, 21):
        for name, batches in _calibrated(samples, (1, 8)).items():
            assert {len(batch) for batch in batches} == {int(name.split("_")[1])}
            assert len(np.unique(np.concatenate(batches), axis=0)) == samples


def test_a_file_is_not_compared_on_what_it_was_calibrated_on():
    calibrated = np.concatenate(_calibrated(32, (1,))["batch_1"])
    compared = loading.draw(4, None, 64, 3)["latents"]
    assert not np.isin(calibrated, compared).any()
