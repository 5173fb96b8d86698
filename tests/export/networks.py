"""Generators to export, with the weights of a trained one as far as export cares."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from sn_keras import ConditionalBatchNormalization


def cnn(width: float = 1.0, bottom: int = 4, channels: int = 3, seed: int = 0):
    """The paper's standard CNN generator (table 3) for images of `8 · bottom`."""
    inputs = keras.Input((128,), name="latents")
    x = layers.Dense(bottom * bottom * int(512 * width))(inputs)
    x = layers.Reshape((bottom, bottom, int(512 * width)))(x)
    for filters in (256, 128, 64):
        x = layers.Conv2DTranspose(int(filters * width), 4, 2, "same")(x)
        x = layers.BatchNormalization(momentum=0.9, epsilon=2e-5)(x)
        x = layers.ReLU()(x)
    x = layers.Conv2D(channels, 3, padding="same", activation="tanh", name="images")(x)
    return trained_like(keras.Model(inputs, x, name="cnn"), seed)


def conditional_resnet(
    width: int = 8, size: int = 16, classes: int = 3, latent_dim: int = 16, seed=0
):
    """A residual generator with conditional batch norm, as in the paper's table 4."""
    latents = keras.Input((latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    x = layers.Dense(4 * 4 * width)(latents)
    x = layers.Reshape((4, 4, width))(x)
    while x.shape[1] < size:
        y = ConditionalBatchNormalization(classes)(x, labels)
        y = layers.UpSampling2D(2)(layers.ReLU()(y))
        y = layers.Conv2D(width, 3, padding="same")(y)
        y = ConditionalBatchNormalization(classes)(y, labels)
        y = layers.Conv2D(width, 3, padding="same")(layers.ReLU()(y))
        x = layers.Add()([y, layers.Conv2D(width, 1)(layers.UpSampling2D(2)(x))])
    x = layers.ReLU()(layers.BatchNormalization(epsilon=2e-5)(x))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh", name="images")(x)
    return trained_like(keras.Model([latents, labels], x, name="resnet"), seed)


def trained_like(model: keras.Model, seed: int) -> keras.Model:
    """Gives weights other than the initial ones, and moving statistics that fit."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        shape = tuple(variable.shape)
        if len(shape) >= 3 or (len(shape) == 2 and variable.name == "kernel"):
            fan = np.prod(shape) / max(shape[-2:])
            value = rng.normal(0, min(1.0, 1.5 / np.sqrt(fan)), shape)
        elif variable.name == "gamma":
            value = rng.uniform(0.7, 1.3, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        variable.assign(value.astype("float32"))
    inputs = []
    for tensor in model.inputs:
        shape = (32, *tensor.shape[1:])
        if len(tensor.shape) == 1 or "int" in tensor.dtype:
            inputs.append(rng.integers(0, 3, shape).astype(tensor.dtype))
        else:
            inputs.append(rng.normal(size=shape).astype("float32"))
    several = len(inputs) > 1
    given = keras.tree.pack_sequence_as(model.input, inputs) if several else inputs[0]
    for _ in range(40):
        model(given, training=True)
    return model
