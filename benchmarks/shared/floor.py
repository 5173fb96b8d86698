"""The floor of a step: its floating-point operations over the machine's matmul rate.

A convolution or matrix product costs as much again for the gradient of its input and
for that of its weights. With `F_G` and `F_D` the operations of one forward pass of an
image, `B` the batch and `n` the updates of D per update of G, a step needs

    G:  B · (3 F_G + 2 F_D)             (no gradient of D's weights)
    D:  n · B · (F_G + 2 · 3 F_D)       (real and generated images)

and a gradient penalty `n · B · 4 F_D` more: forward, backward, and the backward pass
differentiated by what went through it and by the weights. Everything else (biases,
activations, batch norm, power iterations, Adam) is left out: a floor of zero. The
input gradients of the two first layers, which nobody needs, are counted: 0.4 % of
the standard CNN's step.

The rate is that of a large matrix product, which runs in each round beside the steps:
on a machine with other work on it, one that was taken before them says little of what
they could reach.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.shared.gan_step import Step, networks
from benchmarks.shared.timing import Summary, summarize

# Among what is timed in turns.
PRODUCT = "matrix product"
_SIZE = 2048


def forward_operations(model: Any) -> int:
    """Returns the floating-point operations of one input's forward pass.

    Convolutions, transposed convolutions and matrix products are read from the
    traced graph, two operations a multiplication.

    Args:
        model: a Functional Keras model.
    """
    import tensorflow as tf

    specs = [tf.TensorSpec((1, *x.shape[1:]), x.dtype) for x in model.inputs]

    @tf.function
    def forward(*inputs: Any) -> Any:
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    graph = forward.get_concrete_function(*specs).graph
    return sum(_operations(op) for op in graph.get_operations())


def step_operations(step: Step) -> int:
    """Returns the floating-point operations of one step.

    Args:
        step: the step.
    """
    # Counted without normalization, whose own products belong to no floor.
    generator, discriminator = networks(dataclasses.replace(step, method="vanilla"))
    g = forward_operations(generator)
    d = forward_operations(discriminator)
    penalty = 4 * d if step.method == "wgan-gp" else 0
    a_g_update = 3 * g + 2 * d
    a_d_update = g + 6 * d + penalty
    return step.batch_size * (a_g_update + step.discriminator_steps * a_d_update)


def matrix_product(dtype: str, size: int = _SIZE) -> Callable[[], object]:
    """Returns a function that multiplies two large matrices and waits for it.

    Args:
        dtype: `"float32"` or `"bfloat16"`.
        size: rows and columns of both.
    """
    import tensorflow as tf

    a = tf.cast(tf.random.stateless_normal((size, size), (1, 2)), dtype)
    b = tf.cast(tf.random.stateless_normal((size, size), (3, 4)), dtype)
    product = tf.function(lambda: tf.reduce_max(tf.matmul(a, b)))
    return lambda: product().numpy()


def rate(seconds: Sequence[float], size: int = _SIZE) -> Summary:
    """Returns the GFLOP a second of the matrix product that took these seconds.

    Args:
        seconds: what it took in each round.
        size: rows and columns of both matrices.
    """
    return summarize([2 * size**3 / 1e9 / one for one in seconds])


def share(
    seconds: Sequence[float], product: Sequence[float], operations: int
) -> Summary:
    """Returns a step's share of its floor: 1 where it runs at the product's rate.

    Args:
        seconds: the step's, in each round.
        product: the matrix product's, in each round.
        operations: the step's.
    """
    part = operations / (2 * _SIZE**3)
    return summarize([part * p / s for s, p in zip(seconds, product, strict=True)])


def compute_dtype(precision: str) -> str:
    """Returns the dtype that a policy multiplies in.

    Args:
        precision: `"float32"` or `"mixed_bfloat16"`.
    """
    return precision.removeprefix("mixed_")


def _operations(op: Any) -> int:
    if op.type == "Conv2D":
        height, width, channels, _ = op.inputs[1].shape
        return 2 * math.prod(op.outputs[0].shape) * height * width * channels
    if op.type == "Conv2DBackpropInput":  # a transposed convolution
        height, width, channels, _ = op.inputs[1].shape
        return 2 * math.prod(op.inputs[2].shape) * height * width * channels
    if op.type == "MatMul":
        rows = op.inputs[0].shape
        return 2 * math.prod(rows) * op.outputs[0].shape[-1]
    return 0
