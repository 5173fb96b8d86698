"""What a TPU forbids is not in a training step: it compiles with static shapes."""

import numpy as np
import pytest
import tensorflow as tf

from training import GAN
from training.fast.form import placed
from training.networks import cnn, resnet

FORBIDDEN = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "Where", "Unique")
SMALL = {"image_shape": (32, 32, 3), "width_multiplier": 1 / 64}


def made(network, conditioning, updates=2):
    classes = None if conditioning is None else 3
    gan = GAN(
        network.generator(**SMALL, num_classes=classes, synchronized=True),
        network.discriminator(**SMALL, num_classes=classes, conditioning=conditioning),
        num_classes=classes,
        discriminator_steps=updates,
        generator_batch_size=6,
    )
    gan.compile("adam", "sgd", gradient_penalty=10.0, jit_compile=True)
    return gan


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "conditioning"),
    [(cnn, None), (cnn, "auxiliary"), (resnet, "projection"), (resnet, "concat")],
    ids=["cnn", "cnn-auxiliary", "resnet-projection", "resnet-concat"],
)
def test_shapes_are_static_and_nothing_calls_python(network, conditioning):
    gan = made(network, conditioning)
    spec = tf.TensorSpec([8, *SMALL["image_shape"]])
    data = spec if conditioning is None else (spec, tf.TensorSpec([8], tf.int32))
    with placed(gan._step.forms(fast=True)):
        graph = tf.function(gan.train_step).get_concrete_function(data).graph
    nodes = graph.as_graph_def()
    bodies = [nodes.node, *(function.node_def for function in nodes.library.function)]
    operations = {node.op for body in bodies for node in body}
    assert "Conv2D" in operations
    assert not operations & set(FORBIDDEN)
    dynamic = [
        tensor
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.dtype not in (tf.resource, tf.variant)
        and not tensor.shape.is_fully_defined()
    ]
    assert dynamic == []


@pytest.mark.slow
def test_a_step_of_the_residual_networks_compiles():
    # The other network is compiled in `test_gan`.
    gan = made(resnet, "projection", updates=1)
    images = np.zeros((4, *SMALL["image_shape"]), "float32")
    gan.fit(images, np.arange(4) % 3, batch_size=4, verbose=0)
    assert gan.step == 1
    weights = gan.generator.weights + gan.discriminator.weights
    assert all(np.isfinite(weight.numpy()).all() for weight in weights)
