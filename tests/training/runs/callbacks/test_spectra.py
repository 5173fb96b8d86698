"""The spectra callback writes what NumPy finds, at the steps that it was asked for."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from sn_keras import SpectralNormalization
from training import GAN
from training.runs.callbacks.spectra import Spectra, by_layer
from training.storage.tensorboard import Events


def small_gan():
    generator = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(64, "tanh"),
            keras.layers.Reshape((8, 8, 1)),
        ]
    )
    discriminator = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            SpectralNormalization(keras.layers.Conv2D(4, 3, name="first")),
            keras.layers.Flatten(),
            SpectralNormalization(keras.layers.Dense(1, name="last")),
        ]
    )
    gan = GAN(generator, discriminator, latent_dim=4, discriminator_steps=1)
    gan.compile(keras.optimizers.Adam(), keras.optimizers.Adam())
    return gan


def summaries(folder):
    """What TensorBoard has, `{(tag, step): array}`."""
    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag, event.step] = tf.make_ndarray(value.tensor)
    return found


@pytest.mark.slow
def test_pictures_and_scalars_are_written_on_time(tmp_path):
    gan = small_gan()
    events = Events(tmp_path / "logs")
    images = np.zeros((10, 8, 8, 1), "float32")
    callback = Spectra(tmp_path / "spectra", every=2, events=events)
    gan.fit(images, batch_size=2, epochs=1, verbose=0, callbacks=[callback])
    events.close()
    files = sorted(path.name for path in (tmp_path / "spectra").iterdir())
    pictures = [f"spectra-{step:08d}.png" for step in (2, 4, 5)]
    assert files == [*pictures, "spectral-norms.jsonl", "spectral-norms.png"]
    for name in (pictures[0], "spectral-norms.png"):
        with Image.open(tmp_path / "spectra" / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 1
    found = summaries(tmp_path / "logs")
    layer = gan.discriminator.layers[0]
    kernel = keras.ops.convert_to_numpy(layer.normalized_kernel())
    values = np.linalg.svd(kernel.reshape(-1, 4), compute_uv=False)
    assert float(found["spectral_norm/first", 5]) == pytest.approx(values[0], rel=1e-5)
    # Left and right edges of the bins, and how many values are in each.
    bins = found["squared_singular_values/first", 5]
    squares = (values / values[0]) ** 2
    assert bins[:, 2].sum() == len(squares) == 4
    assert [bins[0, 0], bins[-1, 1]] == pytest.approx([squares[-1], 1.0], rel=1e-5)
    assert {step for _, step in found} == {2, 4, 5}
    history = numbers(tmp_path / "spectra")
    assert [entry["step"] for entry in history] == [2, 4, 5]
    assert history[-1]["first"] == pytest.approx(values[0], rel=1e-5)


def numbers(folder):
    lines = (folder / "spectral-norms.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_steps_that_are_done_again_are_in_the_numbers_once(tmp_path):
    gan = small_gan()
    for steps in ([2, 4, 6], [4]):  # as after a crash before the checkpoint of step 6
        callback = Spectra(tmp_path, every=2)
        callback.set_model(gan)
        for step in steps:
            callback.write(step)
    assert [entry["step"] for entry in numbers(tmp_path)] == [2, 4]


def test_layers_of_one_name_keep_their_paths():
    branches = [keras.Sequential([keras.layers.Dense(2, name="same")]) for _ in "ab"]
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [branch(inputs) for branch in branches])
    assert len(by_layer(model)) == 2


def test_a_period_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`every` must be an integer of 1 or more"):
        Spectra(tmp_path, every=0)
