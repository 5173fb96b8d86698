"""Runs that take a second: networks of a few weights, and ways to end them early."""

from __future__ import annotations

import keras
import numpy as np

from tests.training import toys
from training.data import ArraySource
from training.runs import fit as runs
from training.runs.callbacks import finiteness
from training.runs.options import RunOptions
from training.runs.preset import Preset

PRESET = Preset(
    name="tiny",
    description="",
    image_size=4,
    network="toy",
    batch_size=4,
    setting="D",
    discriminator_steps=2,
    steps=7,
    ema=0.9,
    latent_dim=toys.LATENT,
)
OPTIONS = RunOptions(log_every=2, sample_every=3, checkpoint_every=2, samples=5, keep=2)


def toy_generator(image_shape, num_classes=None, **options):
    latents = keras.Input((toys.LATENT,))
    x = keras.layers.Dense(toys.SIZE**2)(latents)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("tanh")(x)
    return keras.Model(latents, keras.layers.Reshape(image_shape)(x))


def toy_discriminator(image_shape, normalizer, **options):
    # With dropout, whose seed is a state too.
    images = keras.Input(image_shape)
    x = normalizer.apply(keras.layers.Conv2D, 3, 3, name="conv")(images)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    logits = normalizer.apply(keras.layers.Dense, 1, name="dense")(x)
    return keras.Model(images, logits)


def noise():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (21, 4, 4, 1), np.uint8)
    return ArraySource(images, random.integers(0, 3, 21), name="noise")


def fit(path, source, preset=PRESET, options=OPTIONS, say=lambda text: None):
    return runs.fit(path, preset, options, source, say)


class CrashError(Exception):
    pass


def crash_at(monkeypatch, step):
    """Makes the guard, the first to see a step, end the process' work there."""
    after = finiteness.Guard.after

    def crash(self, now, due, logs):
        if now >= step:
            raise CrashError
        after(self, now, due, logs)

    monkeypatch.setattr(finiteness.Guard, "after", crash)
