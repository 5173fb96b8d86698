"""Adam in one pass is Keras' Adam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.replicas import two_replicas
from tests.training.fast.place import place
from training.fast import adam

RNG = np.random.default_rng(0)
STEPS = 20


def trained(fast, gradients, **options):
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5), 0.5, 0.9, **options
    )
    if fast:
        place(adam.form(optimizer))
        assert "update_step" in vars(optimizer)
    variable = keras.Variable(np.ones((3, 4), "float32"))
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient)], [variable])
    return [variable, *optimizer.variables]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epsilon": 1e-3, "weight_decay": 0.1, "clipnorm": 0.5},
        {"use_ema": True, "ema_momentum": 0.9},
        {"gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_the_weights_and_averages_are_those_of_keras(options):
    gradients = RNG.normal(size=(STEPS, 3, 4)).astype("float32")
    fast = trained(True, gradients, **options)
    plain = trained(False, gradients, **options)
    assert np.abs(fast[0].numpy() - 1).max() > 0.1
    for got, wanted in zip(fast, plain, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=2e-6, atol=1e-7)


def test_in_closed_form():
    """One step moves each weight by the rate, against the gradient's sign."""
    gradient = RNG.normal(size=(1, 3, 4)).astype("float32")
    variable, *_ = trained(True, gradient, epsilon=0.0)
    np.testing.assert_allclose(variable.numpy(), 1 - 0.1 * np.sign(gradient[0]), 1e-5)


def test_on_every_replica():
    with two_replicas().scope():
        variable = keras.Variable(np.ones((2, 2), "float32"))
        optimizer = keras.optimizers.Adam(0.1)
        optimizer.build([variable])
    place(adam.form(optimizer))
    gradient = tf.constant(RNG.normal(size=(2, 2)).astype("float32"))

    @tf.function
    def step():
        optimizer.apply([gradient], [variable])

    two_replicas().run(step)
    values = [copy.numpy() for copy in variable.value.values]
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_allclose(values[0], 1 - 0.1 * np.sign(gradient), rtol=1e-5)


def test_the_rows_of_an_embedding():
    rows = tf.IndexedSlices(tf.ones((1, 4)), tf.constant([1]), tf.constant([3, 4]))
    optimizer = keras.optimizers.Adam(0.1)
    place(adam.form(optimizer))
    variable = keras.Variable(np.ones((3, 4), "float32"))
    optimizer.build([variable])
    optimizer.apply([rows], [variable])
    np.testing.assert_allclose(variable.numpy()[:, 0], [1, 0.9, 1], rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.AdamW(),
        keras.optimizers.Adam(amsgrad=True),
        keras.optimizers.SGD(),
    ],
    ids=lambda optimizer: optimizer.name,
)
def test_others_stay(optimizer):
    place(adam.form(optimizer))
    assert "update_step" not in vars(optimizer)
