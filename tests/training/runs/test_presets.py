"""The presets against the paper's tables, and what they refuse."""

import dataclasses

import pytest

from training.runs import checks, paper
from training.runs.paper import PRESETS
from training.runs.preset import SETTINGS, Preset

# Table 1 of the paper and the ResNets' setting: α, β₁, β₂, n_dis.
TABLE_1 = {
    "A": (0.0001, 0.5, 0.9, 5),
    "B": (0.0001, 0.5, 0.999, 1),
    "C": (0.0002, 0.5, 0.999, 1),
    "D": (0.001, 0.5, 0.9, 5),
    "E": (0.001, 0.5, 0.999, 5),
    "F": (0.001, 0.9, 0.999, 5),
    "ResNet": (0.0002, 0.0, 0.9, 5),
}


def test_settings_are_those_of_the_paper():
    assert {k: dataclasses.astuple(v) for k, v in SETTINGS.items()} == TABLE_1


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.get)
def test_every_preset_names_parts_that_are_there(preset):
    full = checks.preset(preset)
    assert full.discriminator_steps == SETTINGS[full.setting].discriminator_steps
    assert full.image_size == {"stl10": 48, "photos": 64, "imagenet": 128}.get(
        full.data, 32
    )


def test_rows_of_table_2():
    rows = {
        "weight-clipping": ("weight-clipping", "standard", 0),
        "gan-gp": ("none", "standard", 10),
        "wgan-gp": ("none", "wasserstein", 10),
        "batch-norm": ("batch-norm", "standard", 0),
        "layer-norm": ("layer-norm", "standard", 0),
        "weight-norm": ("weight-norm", "standard", 0),
        "orthonormal": ("orthonormal", "standard", 0),
        "spectral": ("spectral", "standard", 0),
    }
    for data in ("cifar10", "stl10"):
        for name, expected in rows.items():
            preset = PRESETS[f"{data}-cnn-{name}"]
            found = preset.normalizer, preset.loss, preset.gradient_penalty
            assert found == expected
            assert (preset.network, preset.steps) == ("cnn", 100_000)
        assert PRESETS[f"{data}-cnn"].loss == "hinge"
        assert PRESETS[f"{data}-resnet"].setting == "ResNet"
    assert PRESETS["stl10-cnn-2x"].steps == 200_000


def test_imagenet():
    for name in ("imagenet-concat", "imagenet-projection"):
        preset = PRESETS[name]
        assert (preset.steps, preset.decay_steps) == (450_000, 50_000)
        assert preset.conditioning == name.removeprefix("imagenet-")


def test_fields_override_the_setting():
    preset = Preset("", "", setting="D", beta_1=0.25).resolved()
    assert (preset.learning_rate, preset.beta_1, preset.beta_2) == (1e-3, 0.25, 0.9)
    assert preset.resolved() == preset


def test_unknown_names_list_the_known():
    with pytest.raises(
        ValueError, match="mnist-demo.*cifar10-cnn.*'cifar'. Did you mean 'cifar10-cnn'"
    ):
        paper.get("cifar")
