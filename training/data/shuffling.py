"""Random orders of any length, computed where they are needed and never stored."""

from __future__ import annotations

import tensorflow as tf


def epoch_indices(positions: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Returns the index of the image at each position of an endless stream.

    Positions `k · count` to `(k + 1) · count - 1`, epoch `k`, are a random order of
    `range(count)`, one for each `k`.

    Args:
        positions: int64 of shape `(n,)`.
        count: the number of images.
        seed: another one gives other orders.
    """
    epochs = positions // count
    first = tf.reduce_min(epochs)
    # As a rule one epoch, and two where a batch runs on over an end.
    keys = _keys([seed, 0], first, tf.reduce_max(epochs) - first + 1)
    # Not by `tf.random.experimental.index_shuffle`, which takes one key alone (TF 2.21
    # pads several of them along the wrong axis).
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count,
        seed=tf.gather(keys, epochs - first),
        max_index=tf.constant(count - 1, tf.int64),
        rounds=4,
    )


def permutation(count: int | tf.Tensor, seed: int, *path: tf.Tensor) -> tf.Tensor:
    """Returns a random order of `range(count)`, one for each seed and path.

    Args:
        count: how many numbers to order.
        seed: another one gives other orders.
        path: numbers that say which order this is, such as the epoch.
    """
    key = tf.constant([seed, 1], tf.int64)
    for part in path:
        key = tf.random.experimental.stateless_fold_in(key, part)
    count = tf.cast(count, tf.int64)
    return tf.raw_ops.RandomIndexShuffle(
        index=tf.range(count), seed=_keys(key, 0, 1)[0], max_index=count - 1, rounds=4
    )


def _keys(seed: tf.Tensor, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Returns keys number `first` to `first + count - 1` of a seed, `(count, 3)`.

    Keys that differ by little give orders that are much alike (the first image stays
    the first in one epoch of five): hence numbers go through Philox before they are
    keys. A count of it makes four numbers, of which three are taken.
    """
    key, _ = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    low = tf.cast(first, tf.uint64)
    numbers = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[count, 4],
        key=key,
        counter=tf.stack([low, tf.zeros_like(low)]),
        alg=1,  # Philox, on every device
        dtype=tf.uint32,
    )
    return tf.cast(numbers[:, :3], tf.int64)
