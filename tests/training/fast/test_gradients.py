"""A trained model leaves nothing behind."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.framework.func_graph import FuncGraph

from training import GAN
from training.fast.gradients import forgotten


def train(discriminator_layers):
    keras.utils.set_random_seed(0)
    generator = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(16), keras.layers.Reshape((4, 4, 1))]
    )
    discriminator = keras.Sequential([keras.Input((4, 4, 1)), *discriminator_layers])
    gan = GAN(generator, discriminator, latent_dim=4, discriminator_steps=1)
    gan.compile("adam", "adam", loss="hinge")
    images = np.random.RandomState(0).uniform(-1, 1, (8, 4, 4, 1)).astype("float32")
    return gan.fit(images, batch_size=4, epochs=1, verbose=0).history


def leaky():
    return [
        keras.layers.Conv2D(2, 3),
        keras.layers.LeakyReLU(),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]


def names():
    return [name for name in ops.gradient_registry.list() if "CustomGradient" in name]


def steps():
    graphs = (one for one in gc.get_objects() if isinstance(one, FuncGraph))
    return [graph.name for graph in graphs if "step" in graph.name]


def test_a_step_that_was_traced_goes_with_its_model():
    gc.collect()
    before, graphs = names(), steps()
    train(leaky())
    assert names() == before
    gc.collect()
    assert steps() == graphs


class Leaky(keras.layers.Layer):
    """A cell whose activation has a gradient of our own."""

    state_size = 3

    def build(self, shape):
        self.dense, self.activation = keras.layers.Dense(3), keras.layers.LeakyReLU()
        self.dense.build((None, shape[-1] + 3))

    def call(self, inputs, states):
        joined = keras.ops.concatenate([inputs, states[0]], axis=-1)
        outputs = self.activation(self.dense(joined))
        return outputs, [outputs]


@pytest.mark.slow
def test_loops_find_their_gradients_while_they_are_traced():
    def recurrent():
        return [
            keras.layers.Reshape((4, 4)),
            keras.layers.RNN(Leaky()),
            keras.layers.Dense(1),
        ]

    losses = train(recurrent())["discriminator_loss"]
    assert np.isfinite(losses).all()


def test_what_was_there_and_other_names_stay():
    @tf.custom_gradient
    def twice(x):
        return 2 * x, lambda upstream: 2 * upstream

    traced = tf.function(twice)
    before = names()
    traced.get_concrete_function(tf.TensorSpec([]))
    mine = set(names()) - set(before)
    assert mine
    with forgotten():
        tf.function(twice).get_concrete_function(tf.TensorSpec([2]))
        tf.RegisterGradient("SnKerasTestOfForgotten")(lambda op, upstream: upstream)
    assert set(names()) == {*before, *mine}
    assert "SnKerasTestOfForgotten" in ops.gradient_registry.list()
