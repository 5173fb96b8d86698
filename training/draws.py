"""Random draws of a training step, as pure functions of seed, step and update.

Nothing is kept between steps but the step itself, so a run that is carried on draws
what it would have drawn, and every replica can draw for all and take its share.
"""

from __future__ import annotations

import tensorflow as tf

# What a key is for. Two draws from one key would be correlated.
LATENTS, LABELS, MIX, SAMPLES = range(4)

# The same numbers on every device, and with and without XLA.
_ALGORITHM = "philox"


def key(seed: int, step: tf.Tensor | int, update: int, purpose: int) -> tf.Tensor:
    """Returns a key for one draw.

    Args:
        seed: the run's seed.
        step: the step, an integer tensor or number.
        update: the update within the step: 0 is G's, 1 and up are D's.
        purpose: `LATENTS` or one of its neighbours.
    """
    start = tf.stack([tf.constant(seed, tf.int64), tf.cast(step, tf.int64)])
    return folded(folded(start, update), purpose)


def folded(start: tf.Tensor, number: int) -> tf.Tensor:
    """Returns another key, made of a key and a number."""
    return tf.random.fold_in(start, number, alg=_ALGORITHM)


def latents(one: tf.Tensor, count: int, length: int) -> tf.Tensor:
    """Returns `count` latent vectors `z ~ N(0, I)`."""
    return tf.random.stateless_normal([count, length], one, alg=_ALGORITHM)


def labels(one: tf.Tensor, count: int, num_classes: int) -> tf.Tensor:
    """Returns `count` labels, uniform over the classes."""
    return tf.random.stateless_uniform(
        [count],
        folded(one, LABELS),
        minval=0,
        maxval=num_classes,
        dtype=tf.int32,
        alg=_ALGORITHM,
    )


def mix(one: tf.Tensor, count: int) -> tf.Tensor:
    """Returns `ε ~ U(0, 1)` for each of `count` images."""
    return tf.random.stateless_uniform(
        [count, 1, 1, 1], folded(one, MIX), alg=_ALGORITHM
    )


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
