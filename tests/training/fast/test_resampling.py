"""Convolutions next to a change of resolution, against the layers one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from sn_keras import SpectralNormalization
from tests.training.fast.place import place
from training import keras_private
from training.fast import resampling

RNG = np.random.default_rng(0)
POLICIES = {"float64": 1e-12, "float32": 1e-5}


def convolution(size, use_bias=True, activation=None, padding="same", **options):
    return layers.Conv2D(
        5,
        size,
        padding=padding,
        use_bias=use_bias,
        activation=activation,
        bias_initializer="random_normal",
        name="convolution",
        **options,
    )


def upsampled(wrap, **options):
    inputs = keras.Input((4, 6, 3))
    x = layers.UpSampling2D(2)(inputs)
    return keras.Model(inputs, wrap(convolution(**options))(x))


def averaged(wrap, **options):
    inputs = keras.Input((8, 6, 3))
    x = wrap(convolution(**options))(inputs)
    return keras.Model(inputs, layers.AveragePooling2D(2)(x))


def pair(build, wrap, **options):
    """Returns two models with the same weights; the first runs by the faster forms."""
    fast, plain = build(wrap, **options), build(wrap, **options)
    plain.set_weights(fast.get_weights())
    for layer in keras_private.flatten_layers(fast):
        place(resampling.form(layer))
    return fast, plain


def run(model, inputs, weights):
    """Returns outputs, gradients, and the gradients of the input gradient's square."""

    @tf.function
    def differentiate(inputs):
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as outer:
            outer.watch([inputs, *variables])
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([inputs, *variables])
                outputs = model(inputs, training=True)
                total = tf.reduce_sum(tf.sin(outputs) * weights)
            by_inputs = tape.gradient(total, inputs)
            square = tf.reduce_sum(by_inputs**2)
        first = tape.gradient(total, variables)
        # A bias that no activation follows has no part in the square.
        second = outer.gradient(square, variables, unconnected_gradients="zero")
        return outputs, by_inputs, first, second

    graph = differentiate.get_concrete_function(inputs).graph
    ops = [op.type for op in graph.get_operations()]
    return tf.nest.flatten(differentiate(inputs)), ops


WRAPS = {"plain": lambda layer: layer, "spectral": SpectralNormalization}


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(
    ("build", "activation"),
    [(upsampled, None), (upsampled, "tanh"), (averaged, None)],
)
def test_outputs_and_gradients(build, activation, use_bias, size, wrap, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        fast, plain = pair(
            build, WRAPS[wrap], size=size, use_bias=use_bias, activation=activation
        )
    finally:
        keras.config.set_dtype_policy(before)
    inputs = tf.constant(RNG.normal(size=(2, *fast.input_shape[1:])), policy)
    weights = tf.constant(RNG.normal(size=(2, *fast.output_shape[1:])), policy)
    got, ops = run(fast, inputs, weights)
    wanted, plain_ops = run(plain, inputs, weights)
    assert len(ops) != len(plain_ops)
    for a, b in zip(got, wanted, strict=True):
        scale = max(1, np.abs(b).max())
        np.testing.assert_allclose(a, b, rtol=0, atol=POLICIES[policy] * scale)


@pytest.mark.slow
@pytest.mark.parametrize("build", [upsampled, averaged])
def test_the_larger_convolution_is_not_computed(build):
    fast, _ = pair(build, SpectralNormalization, size=3)
    step = tf.function(lambda x: fast(x, training=True))
    concrete = step.get_concrete_function(tf.zeros((2, *fast.input_shape[1:])))
    needed, todo = set(), [output.op for output in concrete.graph.outputs]
    while todo:
        op = todo.pop()
        if op.name not in needed:
            needed.add(op.name)
            todo += [tensor.op for tensor in op.inputs]
    used = [op for op in concrete.graph.get_operations() if op.name in needed]
    strides = [
        op.get_attr("strides")
        for op in used
        if op.type in ("Conv2D", "Conv2DBackpropInput")
    ]
    assert strides == [[1, 2, 2, 1]]
    assert not {"AvgPool", "Tile"} & {op.type for op in used}


OTHERS = {
    "strides": dict(size=3, strides=2),
    "dilation": dict(size=3, dilation_rate=2),
    "5x5": dict(size=5),
    "valid": dict(size=3, padding="valid"),
    "activation": dict(size=3, activation="tanh"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("build", [upsampled, averaged])
def test_what_has_no_faster_form_runs_as_before(build, kind):
    fast, plain = pair(build, WRAPS["plain"], **OTHERS[kind])
    inputs = RNG.normal(size=(2, *fast.input_shape[1:])).astype("float32")
    got, wanted = (tf.function(model)(inputs) for model in (fast, plain))
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_other_resamplings_run_as_before():
    inputs = keras.Input((5, 7, 3))
    first = convolution(3)
    x = layers.AveragePooling2D(2)(first(inputs))  # odd: an edge is left out
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.UpSampling2D((2, 1))(x)
    x = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.AveragePooling2D(2, strides=1, padding="same")(x)
    model = keras.Model(inputs, x)
    images = RNG.normal(size=(2, 5, 7, 3)).astype("float32")
    wanted = tf.function(model)(images).numpy()
    for layer in keras_private.flatten_layers(model):
        place(resampling.form(layer))
    np.testing.assert_array_equal(tf.function(model)(images), wanted)


def test_a_tensor_in_the_middle_is_still_what_it_was():
    inputs = keras.Input((4, 4, 3))
    large = layers.UpSampling2D(2)(inputs)
    features = convolution(3)(large)
    model = keras.Model(inputs, [large, features, layers.AveragePooling2D(2)(features)])
    images = RNG.normal(size=(2, 4, 4, 3)).astype("float32")
    wanted = [x.numpy() for x in tf.function(model)(images)]
    for layer in keras_private.flatten_layers(model):
        place(resampling.form(layer))
    for got in (tf.function(model)(images), model(images)):
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
