"""The spectra callback writes what NumPy finds, at the steps that it was asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from sn_keras import SpectralNormalization
from training import GAN
from training.events import Events
from training.spectra import Spectra, by_layer


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


def scalars(folder):
    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_pictures_and_scalars_are_written_on_time(tmp_path):
    gan = small_gan()
    events = Events(tmp_path / "logs")
    images = np.zeros((10, 8, 8, 1), "float32")
    callback = Spectra(tmp_path / "spectra", every=2, events=events)
    gan.fit(images, batch_size=2, epochs=1, verbose=0, callbacks=[callback])
    events.close()
    pictures = sorted(path.name for path in (tmp_path / "spectra").iterdir())
    assert pictures == [f"spectra-{step:08d}.png" for step in (2, 4, 5)]
    with Image.open(tmp_path / "spectra" / pictures[0]) as picture:
        assert np.asarray(picture.convert("L")).std() > 1
    found = scalars(tmp_path / "logs")
    layer = gan.discriminator.layers[0]
    kernel = keras.ops.convert_to_numpy(layer.normalized_kernel())
    assert found["spectral_norm/first", 5] == pytest.approx(
        np.linalg.norm(kernel.reshape(-1, 4), 2), rel=1e-5
    )


def test_layers_of_one_name_keep_their_paths():
    branches = [keras.Sequential([keras.layers.Dense(2, name="same")]) for _ in "ab"]
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [branch(inputs) for branch in branches])
    assert len(by_layer(model)) == 2


def test_a_period_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`every` must be 1 or more. Received"):
        Spectra(tmp_path, every=0)
