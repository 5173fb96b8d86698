"""What a preset has no sense as, before anything is built or written."""

import types

import pytest

from training.normalizers import NORMALIZERS
from training.runs.build import create_gan
from training.runs.options import RunOptions
from training.runs.preset import Preset

SOURCE = types.SimpleNamespace(image_shape=(32, 32, 1), num_classes=None)
# γ may grow without end, and batch and layer norm leave the last layer as it is.
UNBOUNDED = {
    "none",
    "batch-norm",
    "layer-norm",
    "spectral-gamma",
    "weight-norm-gamma",
    "frobenius-gamma",
}


def create(**changes):
    preset = Preset("", "", loss="wasserstein", width_multiplier=0.02, **changes)
    return create_gan(preset.resolved(), SOURCE, RunOptions())


@pytest.mark.parametrize("normalizer", sorted(UNBOUNDED))
def test_a_wasserstein_loss_needs_a_bounded_discriminator(normalizer):
    with pytest.raises(ValueError, match="`gradient_penalty`.*'weight-clipping'") as e:
        create(normalizer=normalizer)
    assert f"Received: normalizer={normalizer!r}" in str(e.value)


def test_a_penalty_or_another_normalizer_bounds_it():
    assert (
        create(normalizer="none", gradient_penalty=10.0).gradient_penalty.weight == 10
    )
    assert {n.name for n in NORMALIZERS.values() if not n.bounds} == UNBOUNDED
    assert create(normalizer="weight-clipping").gradient_penalty is None
