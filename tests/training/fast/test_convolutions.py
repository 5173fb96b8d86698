"""A convolution's gradient by its kernel, against sums and Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.fast.place import place
from training.fast import convolutions

RNG = np.random.default_rng(0)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.integers(1, 3),
    padding=st.sampled_from(["SAME", "VALID"]),
)
def test_the_gradient_is_the_sum_over_positions(size, kernel, strides, padding):
    if padding == "VALID" and any(k > n for k, n in zip(kernel, size, strict=True)):
        return
    images = RNG.normal(size=(3, *size, 2))
    weights = tf.zeros((*kernel, 2, 4))
    shape = tf.nn.conv2d(images, tf.zeros(weights.shape, "float64"), strides, padding)
    upstream = RNG.normal(size=shape.shape)
    # Not by TensorFlow's own gradient, which oneDNN gets wrong on processors without
    # AVX-512 for kernels of 1×1 with strides.
    spans = [(n - 1) * strides + 1 for n in upstream.shape[1:3]]
    around = [
        max(span - 1 + k - n, 0) if padding == "SAME" else 0
        for span, k, n in zip(spans, kernel, size, strict=True)
    ]
    padded = np.pad(images, [(0, 0), *((n // 2, n - n // 2) for n in around), (0, 0)])
    wanted = np.zeros(weights.shape)
    for i, j in np.ndindex(*kernel):
        seen = padded[:, i : i + spans[0] : strides, j : j + spans[1] : strides]
        wanted[i, j] = np.einsum("nhwc,nhwd->cd", seen, upstream)
    got = convolutions._by_kernel(
        tf.constant(images, tf.float32),
        tf.constant(upstream, tf.float32),
        weights,
        (strides, strides),
        padding,
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def gradients(layer, inputs, weights):
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(tf.cast(layer(inputs), tf.float32) * weights)
    variables = [variable.value for variable in layer.trainable_variables]
    return [x.numpy() for x in tape.gradient(total, [inputs, *variables])]


@pytest.mark.slow
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (keras.layers.Conv2D, (8, 8, 3)),
        (keras.layers.Conv2DTranspose, (4, 4, 3)),
    ],
)
def test_a_layer_in_bfloat16(kind, shape, padding, use_bias):
    options = {"strides": 2, "padding": padding, "use_bias": use_bias}
    half = {"activation": "tanh", "dtype": "mixed_bfloat16"}
    fast = kind(5, 4, **options, **half)
    plain = kind(5, 4, **options, **half)
    exact = kind(5, 4, **options, activation="tanh")
    for layer in (fast, plain, exact):
        layer.build((None, *shape))
        layer.set_weights(fast.get_weights())
    place(convolutions.form(fast))
    assert {"call", "convolution_op"} & set(vars(fast))
    inputs = RNG.normal(size=(6, *shape)).astype("float32")
    outputs = exact(inputs)
    np.testing.assert_allclose(fast(inputs), outputs, atol=0.05)
    weights = RNG.normal(size=outputs.shape).astype("float32")
    got, half, wanted = (
        gradients(layer, inputs, weights) for layer in (fast, plain, exact)
    )
    # bfloat16 has 8 bits. Not held against Keras' own gradient: without instructions
    # for bfloat16 its kernel's is twice as far from the exact one.
    for a, b, c in zip(got, half, wanted, strict=True):
        assert a.dtype == b.dtype
        further = np.linalg.norm(a - c) - np.linalg.norm(b - c)
        assert further < 2**-8 * np.linalg.norm(c)
    # The bias' gradient is Keras' own, a sum in bfloat16.
    for a, b in zip(got[:2], wanted[:2], strict=True):
        assert np.linalg.norm(a - b) < 0.03 * np.linalg.norm(b)


def test_a_penalty_on_the_gradient_by_the_images():
    layer = keras.layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16")
    exact = keras.layers.Conv2D(4, 3, padding="same")
    for one in (layer, exact):
        one.build((None, 4, 4, 2))
    exact.set_weights(layer.get_weights())
    place(convolutions.form(layer))
    images = tf.constant(RNG.normal(size=(5, 4, 4, 2)), tf.float32)

    def by_kernel(one):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inner.watch(images)
                total = tf.reduce_sum(tf.cast(one(images), tf.float32) ** 2)
            slopes = tf.cast(inner.gradient(total, images), tf.float32)
            penalty = tf.reduce_sum(slopes**2)
        return outer.gradient(penalty, one.kernel.value).numpy()

    got, wanted = by_kernel(layer), by_kernel(exact)
    assert np.linalg.norm(got - wanted) / np.linalg.norm(wanted) < 0.03


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(4, 3),
        keras.layers.Conv2D(4, 3, groups=2, dtype="mixed_bfloat16"),
        keras.layers.Conv2D(4, 3, dilation_rate=2, dtype="mixed_bfloat16"),
        keras.layers.Conv2D(4, 3, data_format="channels_first", dtype="mixed_bfloat16"),
        keras.layers.Conv2DTranspose(
            4, 3, strides=2, output_padding=1, dtype="mixed_bfloat16"
        ),
        keras.layers.DepthwiseConv2D(3, dtype="mixed_bfloat16"),
    ],
    ids=lambda layer: layer.name,
)
def test_others_stay(layer):
    place(convolutions.form(layer))
    assert not {"call", "convolution_op"} & set(vars(layer))


def test_many_positions_run_as_in_keras():
    layer = keras.layers.Conv2D(4, 3, padding="same", dtype="mixed_bfloat16")
    layer.build((None, 8, 8, 2))
    plain = keras.layers.Conv2D.from_config(layer.get_config())
    plain.build((None, 8, 8, 2))
    plain.set_weights(layer.get_weights())
    place(convolutions.form(layer))
    images = RNG.normal(size=(2, 8, 8, 2)).astype("float32")
    weights = RNG.normal(size=(2, 8, 8, 4)).astype("float32")
    for got, wanted in zip(
        gradients(layer, images, weights),
        gradients(plain, images, weights),
        strict=True,
    ):
        np.testing.assert_array_equal(got, wanted)
