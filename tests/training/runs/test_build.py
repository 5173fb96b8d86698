"""What of a preset reaches the GAN, and what a run says of files that break."""

import keras
import numpy as np
import pytest
from PIL import Image

from tests.training import toy_runs
from training import networks
from training.averaging import RampedAdam
from training.data import ArraySource, load
from training.runs import checks
from training.runs.build import create_gan
from training.runs.fit import fit
from training.runs.options import RunOptions
from training.runs.preset import Preset

TINY = {"image_size": 28, "width_multiplier": 0.02, "latent_dim": 4, "batch_size": 4}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "policies", "optimizer"),
    [
        ({}, None, keras.optimizers.Adam),
        (
            {"augmentation": "cutout, color", "ema": 0.9, "ema_ramp": True},
            ["color", "cutout"],
            RampedAdam,
        ),
    ],
)
def test_augmentation_and_average(fields, policies, optimizer):
    preset = checks.preset(Preset("", "", **TINY, **fields))
    source = ArraySource(np.zeros((4, 28, 28, 1), np.uint8))
    gan = create_gan(preset, source, RunOptions())
    augmentation = gan.get_compile_config()["augmentation"]
    found = None if augmentation is None else augmentation["config"]["policies"]
    assert found == policies
    assert type(gan.generator_optimizer) is optimizer
    assert gan.generator_optimizer.use_ema == (policies is not None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"augmentation": "colour"}, "`augmentation` must be one of.*'color'"),
        ({"split": 1.0}, "`split`"),
        ({"background": "no colour"}, "`background`"),
    ],
)
def test_fields_for_photos_out_of_range(fields, message, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("L", (28, 28)).save(tmp_path / "photos" / "a.png")
    preset = Preset("", "", data=str(tmp_path / "photos"), **TINY, **fields)
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "run", preset)
    assert not (tmp_path / "run").exists()


def test_a_generator_that_cannot_be_copied_is_found_first(
    tmp_path, source, monkeypatch
):
    def with_a_lambda(image_shape, **options):
        made = toy_runs.toy_generator(image_shape)
        twice = keras.layers.Lambda(lambda x: 2 * x)
        return keras.Model(made.input, twice(made.output))

    network = networks.Network(
        "toy", with_a_lambda, toy_runs.toy_discriminator, "4 px", ""
    )
    monkeypatch.setitem(networks.NETWORKS, "toy", network)
    with pytest.raises(ValueError, match="Lambda"):
        toy_runs.fit(tmp_path / "run", source)  # with an average of G's weights
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_file_that_breaks_while_a_run_needs_it_is_named(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(4):
        Image.new("L", (28, 28), number).save(photos / f"{number}.png")
    source = load(photos, streaming=True)
    (photos / "2.png").write_bytes(b"no image any more")
    with pytest.raises(ValueError, match=r"Received: 1 that.*2\.png"):
        fit(tmp_path / "run", Preset("", "", **TINY, steps=2), source=source)
