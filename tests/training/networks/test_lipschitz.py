"""The Lipschitz bounds of the paper's discriminators, against their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from sn_keras import lipschitz_bound
from training.networks import cnn, resnet


def steepest(model, starts=8, steps=5, labels=None):
    """The largest norm of the gradient of the logits that an ascent finds."""
    images = np.random.default_rng(0).uniform(-1, 1, (starts, 32, 32, 3))
    x = tf.Variable(images.astype("float32"))
    found = []
    for _ in range(steps):
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                inputs = x if labels is None else [x, tf.constant(labels)]
                logits = tf.reduce_sum(model(inputs))
            slope = inner.gradient(logits, x)
            norms = tf.sqrt(tf.reduce_sum(slope**2, axis=(1, 2, 3)))
        found.append(norms.numpy().max())
        # Where all is piecewise linear, the slope of the slope is zero: climb logits.
        uphill = outer.gradient(norms, x)
        uphill = slope if uphill is None or not np.any(uphill) else uphill
        length = tf.sqrt(tf.reduce_sum(uphill**2, axis=(1, 2, 3), keepdims=True))
        x.assign_add(2.0 * uphill / (length + 1e-12))
    return max(found)


@pytest.mark.slow
@pytest.mark.parametrize("network", [cnn, resnet], ids=["cnn", "resnet"])
def test_the_bounds_hold(network):
    model = network.discriminator(width_multiplier=0.0625)
    found = steepest(model)
    by_operator = lipschitz_bound(model, convolutions="operator")
    assert 0 < found <= by_operator
    assert by_operator < lipschitz_bound(model)


@pytest.mark.parametrize("network", [cnn, resnet], ids=["cnn", "resnet"])
def test_a_projections_bound_is_that_of_the_longest_row(network):
    model = network.discriminator(
        width_multiplier=0.0625, num_classes=8, conditioning="projection"
    )
    table = model.get_layer("labels_embedding").layer.embeddings
    table.assign(np.full(table.shape, 0.1) + 3.0 * np.eye(8)[:, :1])
    model.get_layer("labels_embedding").iterate(100)
    found = steepest(model, steps=2, labels=np.arange(8))
    by_operator = lipschitz_bound(model, convolutions="operator")
    assert 0 < found <= by_operator
    # Both norms of the last layers are 1.
    without = network.discriminator(width_multiplier=0.0625)
    without.set_weights(
        [w.numpy() for w in model.weights if "labels_embedding" not in w.path]
    )
    alone = lipschitz_bound(without, convolutions="operator")
    assert by_operator == pytest.approx(2 * alone, rel=1e-2)
