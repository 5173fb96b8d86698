"""Brings the rows of all replicas together inside a distributed step."""

from __future__ import annotations

import tensorflow as tf


def gather_rows(values: tf.Tensor) -> tf.Tensor:
    """Returns the rows of every replica and worker, in the replicas' order.

    Each replica then makes the same update, so the state is equal everywhere. It costs
    a batch of features; adding up states of d² numbers would cost 32 MB a batch for
    2,048 features, and sums of xxᵀ that could be added up are not stable.

    Outside a strategy's `run` the values come back as they are.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    return context.all_gather(values, axis=0)


def check_finite(values: tf.Tensor, argument: str) -> tf.Tensor:
    """Returns `values`; a NaN or an infinity is an error, also inside a graph."""
    if tf.executing_eagerly():
        if not bool(tf.reduce_all(tf.math.is_finite(values))):
            raise ValueError(f"`{argument}` must be finite. Received: NaN or infinity")
        return values
    assertion = tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(values)),
        [f"`{argument}` must be finite. Received:", values],
    )
    with tf.control_dependencies([assertion]):
        return tf.identity(values)
