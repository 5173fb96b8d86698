"""Training calls that a backend runs twice, or in a loop, are refused or right."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import SpectralNormalization, WeightNormalization
from tests.sn_keras.gradients import gradients, numpy, total

BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
SERIES = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")


class Block(layers.Layer):
    """Calls what is wrapped inside of a function that is rematerialised."""

    def __init__(self, wrapped, training="as called"):
        super().__init__()
        self.wrapped = wrapped
        self.training = training

    def build(self, shape):
        self.wrapped.build(shape)

    def call(self, x, training=None):
        training = training if self.training == "as called" else self.training
        return keras.remat(lambda x: self.wrapped(x, training=training))(x)


class Cell(layers.Layer):
    """A recurrent cell of a user's own, with something wrapped inside or not."""

    def __init__(self, wrap=lambda layer: layer, **options):
        super().__init__(**options)
        self.state_size = self.output_size = 3
        self.dense = wrap(layers.Dense(3))

    def build(self, shape):
        self.dense.build((None, shape[-1] + 3))

    def call(self, x, states, training=None):
        y = self.dense(ops.concatenate([x, states[0]], axis=-1), training=training)
        return y, [y]


def fitted(layer, x):
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(x, np.ones((4, 3)), verbose=0)
    return model


def test_rematerialization_is_refused():
    block = Block(SpectralNormalization(layers.Dense(3), name="sn"))
    block.build((None, 5))
    before = [numpy(w).copy() for w in block.weights]
    match = r"'sn' can't be called with `training=True` .*keras.remat.*iterate\(1\)"
    with pytest.raises(ValueError, match=match):
        block(X, training=True)
    for weight, value in zip(block.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), value)
    with pytest.raises(ValueError, match=match):
        fitted(block, X)


def test_the_way_out_has_the_plain_gradient():
    wrapped = SpectralNormalization(layers.Dense(3, use_bias=False))
    block = Block(wrapped, training=False)
    block.build((None, 5))
    wrapped.iterate(1)
    state = [numpy(w).copy() for w in wrapped.state_variables]
    found = gradients(lambda: total(block(X, training=True)), [wrapped.layer.kernel])
    expected = gradients(lambda: total(wrapped(X)), [wrapped.layer.kernel])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for weight, value in zip(wrapped.state_variables, state, strict=True):
        np.testing.assert_array_equal(numpy(weight), value)


def test_rematerialization_without_state_is_right():
    wrapped = WeightNormalization(layers.Dense(3, use_bias=False))
    block = Block(wrapped)
    block.build((None, 5))
    found = gradients(lambda: total(block(X, training=True)), [wrapped.layer.kernel])
    expected = gradients(lambda: total(wrapped(X)), [wrapped.layer.kernel])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_in_a_cell_of_ones_own():
    def recurrent(**options):
        cell = Cell(lambda layer: SpectralNormalization(layer, name="sn"))
        return layers.RNN(cell, **options)

    if BACKEND == "jax":
        match = r"'sn' can't be called .* loop of JAX.*Normalization\(.*RNN\(cell\)"
        with pytest.raises(ValueError, match=match):
            fitted(recurrent(), SERIES)
        with pytest.raises(ValueError, match=match):
            recurrent()(SERIES, training=True)
    else:
        fitted(recurrent(), SERIES)
    model = fitted(recurrent(unroll=True), SERIES)
    # Inference is right in a loop, too.
    looped = recurrent()
    looped.build(SERIES.shape)
    looped.set_weights(model.layers[0].get_weights())
    np.testing.assert_allclose(
        numpy(looped(SERIES)), numpy(model(SERIES)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
def test_around_a_cell_of_ones_own():
    wrapped = SpectralNormalization(layers.RNN(Cell()))
    fitted(wrapped, SERIES)
    wrapped.iterate(200)
    kernel = numpy(wrapped.layer.cell.dense.kernel)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-4)


@pytest.mark.skipif(BACKEND != "jax", reason="about JAX's loops")
def test_a_loop_that_carries_the_state_is_the_callers_own():
    import jax

    wrapped = SpectralNormalization(layers.Dense(5, use_bias=False))
    wrapped.build((None, 5))
    trainable = [w.value for w in wrapped.trainable_variables]
    start = [w.value for w in wrapped.non_trainable_variables]

    def body(state, _):
        outputs, state = wrapped.stateless_call(trainable, state, X, training=True)
        return state, outputs

    state, _ = jax.lax.scan(body, start, None, length=7)
    wrapped.iterate(7)
    for found, expected in zip(state, wrapped.non_trainable_variables, strict=True):
        np.testing.assert_allclose(found, numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [lambda w: w(X, training=False), lambda w: w.sigma()],
    ids=["call", "sigma"],
)
def test_inference_and_then_training_before_one_gradient(first):
    """On torch, what the gradient needs must not be overwritten by a later call."""
    wrapped = SpectralNormalization(layers.Dense(3, use_bias=False))
    wrapped.build((None, 5))
    kernel = np.random.default_rng(5).normal(size=(5, 3))
    wrapped.layer.kernel.assign(kernel)
    wrapped.iterate(200)

    def both():
        early = total(first(wrapped))
        return early + total(wrapped(X, training=True)) + total(wrapped(X), seed=3)

    (found,) = gradients(both, [wrapped.layer.kernel])
    parts = [
        lambda: total(first(wrapped)),
        lambda: total(wrapped(X)),
        lambda: total(wrapped(X), seed=3),
    ]
    expected = sum(gradients(part, [wrapped.layer.kernel])[0] for part in parts)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
