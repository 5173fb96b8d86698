"""Random draws of a training step, as pure functions of seed, step and update.

Nothing is kept between steps but the step itself, so a run that is carried on draws
what it would have drawn, and every replica can draw for all and take its share.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

_PURPOSES = range(3)
_LATENTS, _LABELS, _MIX = _PURPOSES

# Updates of a step are fewer than this, so no two draws of a run have one key.
_STRIDE = 1_000_003

# The same whole numbers on every device, and with and without XLA.
_ALGORITHM = "philox"


class At(NamedTuple):
    """When a draw is made.

    Attributes:
        seed: the run's seed.
        step: the step, a number or an integer tensor; -1 for samples, below that for
            augmentation.
        update: the update within the step: 0 is G's, 1 and up are D's.
    """

    seed: int
    step: Any
    update: int


def samples(seed: int) -> At:
    """Returns the time of the draws for samples, which is outside of training."""
    return At(seed, -1, 0)


def of_images(at: At, real: bool) -> At:
    """Returns the time of the draws for augmenting the real or generated images.

    None of its keys is one of training's or of the samples' draws.
    """
    return At(at.seed, -2 - at.step, 2 * at.update + real)


def latents(at: At, count: int, length: int) -> tf.Tensor:
    """Returns `count` latent vectors `z ~ N(0, I)`."""
    # By Box and Müller from whole numbers: TensorFlow's own floats are other ones
    # under XLA, and a run would depend on how it is compiled.
    pairs = (count * length + 1) // 2
    radius, angle = tf.unstack(_uniform(at, _LATENTS, [2, pairs]))
    radius, angle = tf.sqrt(-2.0 * tf.math.log(radius)), 2.0 * math.pi * angle
    normal = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=0)
    return tf.reshape(normal[: count * length], [count, length])


def labels(at: At, count: int, num_classes: int) -> tf.Tensor:
    """Returns `count` labels, uniform over the classes."""
    return tf.random.stateless_uniform(
        [count], _key(at, _LABELS), 0, num_classes, tf.int32, alg=_ALGORITHM
    )


def mix(at: At, count: int) -> tf.Tensor:
    """Returns `ε ~ U(0, 1)` for each of `count` images."""
    return _uniform(at, _MIX, [count, 1, 1, 1])


def uniform(at: At, count: int, numbers: int) -> tf.Tensor:
    """Returns `numbers` of U(0, 1) for each of `count` images, for an augmentation.

    Args:
        at: what the augmentation was given.
        count: of this replica's images; each replica gets other numbers.
        numbers: how many an image.
    """
    return share(lambda total: _uniform(at, _MIX, [total, numbers]), count)


def share(draw: Callable[[int], tf.Tensor], count: int) -> tf.Tensor:
    """Returns this replica's `count` rows of what is drawn for all replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    drawn = draw(count * replicas)
    if replicas == 1:
        return drawn
    context = tf.distribute.get_replica_context()
    start = tf.cast(context.replica_id_in_sync_group, tf.int32) * count
    begin = [start] + [0] * (len(drawn.shape) - 1)
    return tf.slice(drawn, begin, [count, *drawn.shape[1:]])


def dealt(rows: tf.Tensor, hands: int, hand: int) -> tf.Tensor:
    """Returns every `hands`-th row from row `hand` on.

    Dealt like cards, not cut into blocks: a replica gets a block of the step's rows,
    and what the replicas deal from their blocks to one update is together what a
    single replica would have dealt to it.
    """
    if hands == 1:
        return rows
    split = tf.reshape(rows, [rows.shape[0] // hands, hands, *rows.shape[1:]])
    return split[:, hand]


def _uniform(at: At, purpose: int, shape: list[int]) -> tf.Tensor:
    """Returns numbers in (0, 1], multiples of 2⁻²⁵."""
    bits = tf.random.stateless_uniform(
        shape, _key(at, purpose), None, None, tf.int32, alg=_ALGORITHM
    )
    high = tf.bitwise.right_shift(tf.bitcast(bits, tf.uint32), 8)
    return (tf.cast(high, tf.float32) + 0.5) * 2.0**-24


def _key(at: At, purpose: int) -> tf.Tensor:
    # Two 32-bit words, the only ones that XLA takes: one for the step, one for all
    # else.
    word = (at.seed * _STRIDE + at.update * len(_PURPOSES) + purpose) % 2**32
    word = word - 2**32 if word >= 2**31 else word
    return tf.stack([tf.constant(word, tf.int32), tf.cast(at.step, tf.int32)])
