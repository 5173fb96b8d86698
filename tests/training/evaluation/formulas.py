"""Inputs of the fixtures, by formulas that both environments can compute.

Only numpy's `RandomState`, whose stream is frozen for good, so the features behind a
fixture needn't be stored.
"""

from __future__ import annotations

import zlib

import numpy as np


def features(seed, rows, dimension, spread=1.0, shift=0.0):
    """Correlated, skewed features, as networks give: relu of a random linear map."""
    random = np.random.RandomState(seed)
    latents = random.normal(size=(rows, dimension))
    mixing = np.random.RandomState(99).normal(size=(dimension, dimension))
    return np.maximum(spread * latents @ mixing / np.sqrt(dimension) + shift, -0.5)


def logits(seed, rows, classes):
    """Logits of a classifier that is sure of some images and unsure of others."""
    random = np.random.RandomState(seed)
    temperature = random.uniform(0.5, 6.0, size=(rows, 1))
    return random.normal(size=(rows, classes)) * temperature


def images(seed, count, height=32, width=32, channels=3):
    """Random uint8 images with some structure: smooth waves and noise."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width][:, None, :, :, None] / 8.0
    shape = (count, 1, 1, channels)
    waves = np.sin(random.uniform(0.2, 2, shape) * x + random.uniform(0, 6, shape))
    waves = waves * np.cos(random.uniform(0.2, 2, shape) * y)
    noise = random.normal(size=(count, height, width, channels)) * 0.2
    return np.clip(128 + 90 * (waves + noise), 0, 255).astype(np.uint8)


def inception_state(shapes):
    """A state dictionary with random weights that keep the activations' scale.

    Args:
        shapes: Name of each convolution's and the dense layer's weight → its shape, in
            torch's layout.
    """
    state = {}
    for key, shape in shapes.items():
        random = np.random.RandomState(zlib.crc32(key.encode()))
        scale = np.sqrt(2.0 / np.prod(shape[1:]))
        state[key] = (random.normal(size=shape) * scale).astype(np.float32)
        if not key.endswith(".conv.weight"):
            state[key.replace("weight", "bias")] = np.zeros(shape[0], np.float32)
            continue
        module = key.removesuffix(".conv.weight") + ".bn."
        for name, low, high in (
            ("weight", 0.8, 1.2),
            ("bias", -0.1, 0.2),
            ("running_mean", -0.1, 0.1),
            ("running_var", 0.7, 1.3),
        ):
            values = random.uniform(low, high, size=shape[0])
            state[module + name] = values.astype(np.float32)
        state[module + "num_batches_tracked"] = np.array(1)
    return state
