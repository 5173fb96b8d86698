"""One device, two of one machine and two worker processes: the same weights."""

import collections
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from sn_keras import SpectralNormalization
from tests.replicas import two_replicas
from tests.training import toys
from tests.training.gan import twenty_steps
from training import GAN
from training.devices.launch import launch


@pytest.fixture(scope="module")
def one():
    return twenty_steps.numbers(twenty_steps.train(tf.distribute.get_strategy()))


def assert_equal_but_for_rounding(found, expected):
    """Equal to some ulps of 1, the size of the largest numbers."""
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        tolerance = 40 * np.finfo(array.dtype).eps
        np.testing.assert_allclose(
            found[name], array, rtol=0, atol=tolerance, err_msg=name
        )


@pytest.mark.slow
def test_the_steps_move_all_weights(one):
    keras.utils.set_random_seed(twenty_steps.SEED)
    gan = GAN(*twenty_steps.networks(), latent_dim=twenty_steps.LATENT)
    for name, start in twenty_steps.numbers(gan).items():
        moved = np.abs(one[name] - start).max()
        # A kernel with one output has a single left singular vector, 1.
        assert moved > 1e-3 or start.shape == (1,), name


@pytest.mark.slow
def test_two_devices(one):
    gan = twenty_steps.train(two_replicas())
    assert_equal_but_for_rounding(twenty_steps.numbers(gan), one)
    for variable in gan.discriminator.non_trainable_variables:
        first, second = two_replicas().experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_two_worker_processes(one, tmp_path):
    command = [sys.executable, "-m", "tests.training.gan.twenty_steps", str(tmp_path)]
    assert launch(command, workers=2) == 0
    first, second = (dict(np.load(tmp_path / f"worker-{i}.npz")) for i in (0, 1))
    assert_equal_but_for_rounding(first, one)
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)


def collectives(wrap, updates):
    """Returns how many collectives the graph of a step has on one replica, by kind."""
    strategy = two_replicas()
    with strategy.scope():
        networks = toys.generator(), toys.discriminator(wrap)
        gan = GAN(*networks, latent_dim=toys.LATENT, discriminator_steps=updates)
        gan.compile("sgd", "adam", gradient_penalty=10.0)
    images = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(toys.images(2 * updates))
    )
    step = tf.function(lambda x: strategy.run(gan.train_step, (x,)))
    graph = step.get_concrete_function(images).graph.as_graph_def()
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    counted = collections.Counter(node.op for nodes in bodies for node in nodes)
    return {
        op: count / 2
        for op, count in counted.items()
        if "Collective" in op or "Nccl" in op
    }


@pytest.mark.slow
def test_a_collective_for_each_update_and_none_for_normalization():
    # One update of G and two of D.
    expected = {"CollectiveReduceV2": 3}
    assert collectives(lambda layer: layer, updates=2) == expected
    assert collectives(SpectralNormalization, updates=2) == expected
