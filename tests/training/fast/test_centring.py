"""Second derivatives of layer and group norm, against finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.training.fast.place import place
from training.fast import centring


class Kept(layers.LayerNormalization):
    """A subclass that computes what its class does."""


NORMS = {
    "subclass": lambda dtype: Kept(dtype=dtype),
    "layer": lambda dtype: layers.LayerNormalization(dtype=dtype),
    "layer-3d": lambda dtype: layers.LayerNormalization([1, 2, 3], dtype=dtype),
    "group": lambda dtype: layers.GroupNormalization(1, dtype=dtype),
    "groups": lambda dtype: layers.GroupNormalization(2, dtype=dtype),
    "instance": lambda dtype: layers.GroupNormalization(-1, dtype=dtype),
    "other-axis": lambda dtype: layers.GroupNormalization(1, axis=1, dtype=dtype),
}


def network(norm, dtype="float64"):
    images = keras.Input((4, 3, 2), dtype="float64" if dtype == "float64" else None)
    x = layers.Conv2D(4, 2, dtype=dtype)(images)
    x = layers.Activation("softplus", dtype=dtype)(NORMS[norm](dtype)(x))
    x = layers.Flatten(dtype=dtype)(x)
    return keras.Model(images, layers.Dense(1, dtype=dtype)(x))


def images(dtype="float64"):
    x = np.random.default_rng(0).normal(3, 2, (5, 4, 3, 2))
    return tf.constant(x, dtype)


def steepness(model, x):
    """The sum of squares of the gradient by the image."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = model(x)
    return tf.reduce_sum(tape.gradient(y, x) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
def test_second_derivatives_are_those_of_finite_differences(norm):
    model, x = network(norm), images()
    kernel = model.layers[1].kernel
    plain = model(x).numpy()
    place(*centring.forms(model))
    np.testing.assert_allclose(model(x), plain, rtol=1e-10, atol=1e-12)
    with tf.GradientTape() as tape:
        value = steepness(model, x)
    gradient = tape.gradient(value, kernel.value).numpy()
    start = kernel.numpy()
    direction = np.random.default_rng(1).normal(size=start.shape)
    values = []
    for shift in (1e-5, -1e-5):
        kernel.assign(start + shift * direction)
        values.append(steepness(model, x).numpy())
    slope = (values[0] - values[1]) / 2e-5
    np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-6)


def test_bfloat16_networks_keep_their_dtypes_and_values():
    model, x = network("group", "mixed_bfloat16"), images("bfloat16")
    plain = model(x)
    place(*centring.forms(model))
    again = model(x)
    assert again.dtype == plain.dtype == tf.bfloat16
    np.testing.assert_allclose(
        np.float32(again), np.float32(plain), rtol=0.02, atol=0.02
    )


def test_a_norm_that_depends_on_the_mean_is_left_alone():
    with pytest.warns(UserWarning, match="rms_scaling"):
        layer = layers.LayerNormalization(rms_scaling=True)
    model = keras.Sequential([keras.Input((4,)), layer])
    place(*centring.forms(model))
    assert "call" not in vars(layer)
