"""Experiments of a second: 12 px images, networks of two layers, a given extractor."""

from __future__ import annotations

import gzip
import json
import struct

import keras
import numpy as np
import pytest
from PIL import Image

from training import networks
from training.__main__ import main
from training.networks import Network

SIZE, CLASSES, CHANNELS = 12, 3, 4


def tiny_generator(image_shape, latent_dim, num_classes=None, **options):
    latents = keras.Input((latent_dim,), name="latents")
    x, inputs = latents, latents
    if num_classes is not None:
        labels = keras.Input((), dtype="int32", name="labels")
        x = keras.layers.Add()(
            [x, keras.layers.Embedding(num_classes, latent_dim)(labels)]
        )
        inputs = [latents, labels]
    x = keras.layers.Dense(int(np.prod(image_shape)), "tanh")(x)
    return keras.Model(inputs, keras.layers.Reshape(image_shape)(x))


def tiny_discriminator(
    image_shape, normalizer, num_classes=None, conditioning=None, **options
):
    images = keras.Input(image_shape, name="images")
    filters = round(CHANNELS * options.get("last_width_multiplier", 1.0))
    x = normalizer.apply(keras.layers.Conv2D, filters, 3, strides=2, name="conv")(
        images
    )
    x = keras.layers.Flatten()(keras.layers.LeakyReLU(0.1)(x))
    logits = normalizer.apply(keras.layers.Dense, 1, name="dense")(x)
    if conditioning is None:
        return keras.Model(images, logits)
    if conditioning == "auxiliary":
        class_logits = normalizer.apply(keras.layers.Dense, num_classes, name="c")(x)
        return keras.Model(images, {"logits": logits, "class_logits": class_logits})
    labels = keras.Input((), dtype="int32", name="labels")
    embedded = normalizer.apply_embedding(num_classes, x.shape[-1])(labels)
    logits = keras.layers.Add()([logits, keras.layers.Dot(1)([embedded, x])])
    return keras.Model([images, labels], logits)


@pytest.fixture(autouse=True)
def _tiny_networks(monkeypatch):
    """Two-layer networks in the place of the paper's."""
    for name in ("cnn", "resnet"):
        network = Network(name, tiny_generator, tiny_discriminator, "any", "")
        monkeypatch.setitem(networks.NETWORKS, name, network)


def write_idx(folder, name, count, seed):
    """Bright squares in one of three corners, as IDX files."""
    random = np.random.RandomState(seed)
    labels = (np.arange(count) % CLASSES).astype(np.uint8)
    images = random.randint(0, 60, (count, SIZE, SIZE)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[row * 6 : row * 6 + 6, column * 6 : column * 6 + 6] += 120
    for kind, values, rank in (("images-idx3", images, 3), ("labels-idx1", labels, 1)):
        header = struct.pack(f">4B{rank}I", 0, 0, 8, rank, *values.shape)
        with gzip.open(folder / f"{name}-{kind}-ubyte.gz", "wb") as file:
            file.write(header + values.tobytes())


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder of 60 images to train on and 40 to test on."""
    folder = tmp_path_factory.mktemp("idx")
    write_idx(folder, "train", 60, seed=0)
    write_idx(folder, "t10k", 40, seed=1)
    return folder


@pytest.fixture(scope="session")
def extractor(tmp_path_factory):
    """The file of a model that makes features and logits of images."""
    images = keras.Input((SIZE, SIZE, 1))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(6)(images))
    x = keras.layers.Rescaling(1 / 64)(x)
    dense = keras.layers.Dense(
        3, kernel_initializer=keras.initializers.GlorotUniform(seed=0)
    )
    path = tmp_path_factory.mktemp("extractor") / "quarters.keras"
    keras.Model(images, [x, dense(x)]).save(path)
    return path


@pytest.fixture
def experiment(data, extractor, tmp_path, monkeypatch):
    """Runs an experiment by its command, and returns its JSON."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(name, *options, output="out", scored=True, code=0):
        folder = tmp_path / output
        common = f"--data idx:{data} --image-size {SIZE} --batch-size 4 --latent-dim 3"
        if scored:
            common += f" --extractor {extractor} --cache {tmp_path / 'cache'}"
            common += " --n-real 40 --n-fake 30 --splits 1 --split-size 30"
        arguments = ["experiment", name, "--output", str(folder)]
        found = main([*arguments, *common.split(), *map(str, options)])
        assert found == code
        if code:
            return None
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size > (300, 200)
        return json.loads((folder / f"{name}.json").read_text())

    return call
