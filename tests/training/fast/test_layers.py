"""Fused kernels compute what Keras' layers compute."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.fast.place import place
from training.fast import layers as fast_layers

RNG = np.random.default_rng(0)


def model(*layers, shape=(4, 6, 3)):
    built = keras.Sequential([keras.Input(shape), *layers])
    for layer in built.layers:
        place(fast_layers.form(layer))
    return built


def gradients(network, inputs, weights):
    """Returns the output, and the gradients of ⟨weights, output⟩."""
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = network(inputs, training=True)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    variables = [variable.value for variable in network.trainable_variables]
    found = tape.gradient(total, [inputs, *variables])
    return [outputs.numpy(), *(gradient.numpy() for gradient in found)]


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_batch_norm_in_closed_form(scale, center):
    layer = keras.layers.BatchNormalization(
        scale=scale, center=center, momentum=0.9, epsilon=2e-5
    )
    network = model(layer)
    assert "call" in vars(layer)
    inputs = RNG.normal(1, 2, (5, 4, 6, 3)).astype("float32")
    weights = RNG.normal(size=inputs.shape).astype("float32")
    outputs, by_inputs, *_ = gradients(network, inputs, weights)
    x, c = inputs.astype("float64"), weights.astype("float64")
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    deviation = np.sqrt(variance + 2e-5)
    normal = (x - mean) / deviation
    np.testing.assert_allclose(outputs, normal, atol=2e-6)
    closed = c - c.mean((0, 1, 2)) - normal * (c * normal).mean((0, 1, 2))
    np.testing.assert_allclose(by_inputs, closed / deviation, atol=2e-6)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-5)
    # The biased variance: the unbiased one would be larger by 120 / 119.
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("kind", ["batch_norm", "leaky_relu"])
def test_each_layer_agrees_with_keras(kind, policy):
    def make():
        if kind == "leaky_relu":
            return keras.layers.LeakyReLU(0.1, dtype=policy)
        return keras.layers.BatchNormalization(
            epsilon=2e-5, gamma_initializer="random_normal", dtype=policy
        )

    fused, plain = model(make()), keras.Sequential([keras.Input((4, 6, 3)), make()])
    plain.set_weights(fused.get_weights())
    inputs = RNG.normal(size=(5, 4, 6, 3)).astype("float32")
    weights = RNG.normal(size=inputs.shape).astype("float32")
    tolerance = {"float32": 2e-6, "mixed_float16": 4e-3, "mixed_bfloat16": 3e-2}[policy]
    for got, wanted in zip(
        gradients(fused, inputs, weights),
        gradients(plain, inputs, weights),
        strict=True,
    ):
        assert got.dtype == wanted.dtype
        scale = max(1.0, np.abs(wanted.astype("float32")).max())
        np.testing.assert_allclose(
            got.astype("float32") / scale,
            wanted.astype("float32") / scale,
            atol=tolerance,
        )
    for got, wanted in zip(fused.weights, plain.weights, strict=True):
        np.testing.assert_allclose(
            got, wanted, rtol=1e-2 if "mixed" in policy else 1e-5, atol=1e-8
        )
    np.testing.assert_array_equal(
        fused(inputs, training=False).numpy().astype("float32"),
        type(fused.layers[0])
        .call(fused.layers[0], tf.cast(inputs, fused.layers[0].compute_dtype))
        .numpy()
        .astype("float32"),
    )


# Unknown to Keras 3.12, the newest for Python 3.10.
RENORMALIZED = (
    [keras.layers.BatchNormalization(renorm=True)]
    if "renorm" in inspect.signature(keras.layers.BatchNormalization).parameters
    else []
)


class OwnBatchNormalization(keras.layers.BatchNormalization):
    pass


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.BatchNormalization(synchronized=True),
        *RENORMALIZED,
        keras.layers.BatchNormalization(axis=1),
        keras.layers.BatchNormalization(epsilon=1e-7),
        keras.layers.BatchNormalization(dtype="float64"),
        OwnBatchNormalization(),
        keras.layers.LeakyReLU(0.0),
        keras.layers.ReLU(),
    ],
    ids=lambda layer: layer.name,
)
def test_what_has_no_fused_kernel_stays(layer):
    model(layer)
    assert "call" not in vars(layer)


def test_a_frozen_layer_and_a_mask_run_as_in_keras():
    layer = keras.layers.BatchNormalization()
    network = model(layer)
    inputs = RNG.normal(3, 1, (5, 4, 6, 3)).astype("float32")
    mask = np.zeros((5, 4, 6), bool)
    mask[:2] = True
    layer(inputs, training=True, mask=tf.constant(mask))
    np.testing.assert_allclose(
        layer.moving_mean, 0.01 * inputs[:2].mean((0, 1, 2)), rtol=1e-4
    )
    before = layer.moving_mean.numpy()
    layer.trainable = False
    network(inputs, training=True)
    np.testing.assert_array_equal(layer.moving_mean, before)


def test_leaky_relu_has_a_second_derivative():
    network = model(keras.layers.LeakyReLU(0.1), shape=(3,))
    inputs = tf.constant([[-2.0, 0.5, 3.0]])
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            total = tf.reduce_sum(network(inputs) ** 3)
        first = inner.gradient(total, inputs)
    second = outer.gradient(first, inputs)
    slopes = np.array([[0.1, 1.0, 1.0]])
    np.testing.assert_allclose(first, 3 * slopes**3 * inputs**2, rtol=1e-6)
    np.testing.assert_allclose(second, 6 * slopes**3 * inputs, rtol=1e-6)
