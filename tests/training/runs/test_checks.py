"""What a run refuses before anything is built, loaded or written."""

import dataclasses
import types

import numpy as np
import pytest

from training.normalizers import NORMALIZERS
from training.runs import checks
from training.runs.options import RunOptions
from training.runs.preset import Preset

# γ may grow without end, and batch and layer norm leave the last layer as it is.
UNBOUNDED = {
    "weight-clipping",
    "none",
    "batch-norm",
    "layer-norm",
    "spectral-gamma",
    "weight-norm-gamma",
    "frobenius-gamma",
}


def checked(**changes):
    return checks.preset(Preset("", "", **changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer from 1 to 2147483647"),
        ({"discriminator_steps": 0}, "`discriminator_steps`"),
        ({"generator_batch_size": -1}, "`generator_batch_size`"),
        ({"decay_steps": 200_000}, r"`decay_steps` .*\(100000\)"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be a number in \(0, 10\]"),
        ({"learning_rate": float("nan")}, "`learning_rate`"),
        ({"width_multiplier": -1.0}, "`width_multiplier`"),
        ({"last_width_multiplier": 0.0}, "`last_width_multiplier`"),
        ({"beta_1": 1.0}, r"`beta_1` must be a number in \[0, 1\)"),
        ({"gradient_penalty": -10.0}, "`gradient_penalty`"),
        ({"ema": 1.0}, "`ema`"),
        ({"seed": -1}, "`seed`"),
        ({"precision": "float16"}, "'float32', 'mixed_bfloat16'"),
        ({"setting": "G"}, "'A', 'B', 'C', 'D', 'E', 'F', 'ResNet'"),
        ({"normalizer": "spektral"}, "Did you mean 'spectral'"),
        ({"image_size": 66}, "'cnn' takes, the nearest of which are 62 and 64"),
        ({"network": "resnet", "image_size": 50}, "'resnet' takes, .* 48 and 56"),
        ({"latent_dim": 10**9}, "`latent_dim` must be less: it takes .* of memory"),
        ({"batch_size": 10**8}, "`batch_size` must be less: it takes .* of memory"),
        ({"generator_batch_size": 10**9}, "`generator_batch_size` must be less"),
        ({"discriminator_steps": 10**9}, "`discriminator_steps` must be less"),
        ({"steps": 10**18}, "`steps`"),
    ],
)
def test_presets_out_of_range(change, message):
    with pytest.raises(ValueError, match=message):
        checked(**change)


@pytest.mark.parametrize(
    "change", [{"steps": 1.5}, {"ema": "a"}, {"synchronized": 1}, {"data": None}]
)
def test_values_of_another_kind(change):
    (name,) = change
    with pytest.raises(TypeError, match=f"`{name}` must be"):
        checked(**change)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": 0}, "`keep`"),
        ({"score_every": 0}, "`score_every`"),
        ({"samples": 10**9}, "`samples` must be less: it takes .* of memory"),
        ({"jit": "maybe"}, "`jit`"),
        ({"strategy": "cluster"}, "`strategy`"),
        ({"steps_per_execution": 3}, "`steps_per_execution` must divide `steps`, 10"),
        ({"inception": "no-file", "score_every": 1}, "`inception` must be a file"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        checks.options(RunOptions(**options), 10)


def test_numpy_numbers_become_plain_ones():
    found = checked(
        steps=np.int64(5), ema=np.float32(0.5), synchronized=np.bool_(True)
    ).as_dict()
    assert [type(found[k]) for k in ("steps", "ema", "synchronized")] == [
        int,
        float,
        bool,
    ]
    assert type(checks.options(RunOptions(keep=np.uint8(2)), 1).keep) is int


@pytest.mark.parametrize("normalizer", sorted(UNBOUNDED))
def test_a_wasserstein_loss_needs_a_bounded_discriminator(normalizer):
    with pytest.raises(ValueError, match="`gradient_penalty`.*'weight-norm'") as e:
        checked(loss="wasserstein", normalizer=normalizer)
    assert f"Received: normalizer={normalizer!r}" in str(e.value)


def test_a_penalty_or_another_normalizer_bounds_it():
    checked(loss="wasserstein", normalizer="none", gradient_penalty=10)
    assert {n.name for n in NORMALIZERS.values() if not n.bounds} == UNBOUNDED
    checked(loss="wasserstein", normalizer="weight-norm")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("./photos", "must be a folder that exists. Received: data='./photos'"),
        ("folder:photos", "must be a folder that exists"),
        ("cifra10", r"Did you mean 'cifar10'\? There is no folder"),
        ("tfds:", r"`data` must be one of .*tfds:NAME.*'tfds:'"),
        ("nope", r"'nope'\. There is no folder"),
        ("", "no folder of that name"),
        ("a\0b", "no folder of that name"),
    ],
)
def test_data_that_are_not_there(data, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        checks.data(data)
    (tmp_path / "photos").mkdir()
    for there in ("photos", "./photos", "folder:photos", "mnist5k", "tfds:mnist"):
        checks.data(there)


class Images(types.SimpleNamespace):
    def __len__(self):
        return 64


def test_what_images_must_have():
    unlabelled = Images(image_shape=(32, 32, 1), num_classes=None)
    preset = checked(conditioning="projection")
    with pytest.raises(ValueError, match="'projection' needs labels"):
        checks.images(preset, RunOptions(), unlabelled)
    with pytest.raises(ValueError, match="`score_every` needs labels"):
        checks.images(checked(), RunOptions(score_every=5), unlabelled)
    checks.images(checked(), RunOptions(score_every=5, inception="x"), unlabelled)
    labelled = Images(image_shape=(32, 32, 2), num_classes=3)
    with pytest.raises(ValueError, match="1 or 3 channels"):
        checks.images(preset, RunOptions(), labelled)
    grey = Images(image_shape=(32, 32, 1), num_classes=3)
    checks.images(dataclasses.replace(preset), RunOptions(score_every=5), grey)
    with pytest.raises(ValueError, match="`batch_size` must be at most 64"):
        checks.images(checked(batch_size=65), RunOptions(), grey)
