"""Adam's update of a weight in one pass.

Keras writes it as twelve elementwise operations, each a pass over the weight or its
averages; TensorFlow has one kernel for all of it.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from training import keras_private
from training.averaging import RampedAdam
from training.fast.form import Form


def form(optimizer: keras.optimizers.Optimizer) -> Form | None:
    """Returns an update of each weight by one kernel, for plain Adam alone."""
    # By its very type: a subclass, such as AdamW's, may compute something else.
    known = (keras.optimizers.Adam, RampedAdam)
    if type(optimizer) in known and not optimizer.amsgrad:
        return Form(optimizer, "update_step", _update_step)
    return None


def _update_step(
    optimizer: keras.optimizers.Adam, gradient: Any, variable: Any, learning_rate: Any
) -> None:
    if not isinstance(gradient, tf.Tensor):
        # An embedding's: rows and their numbers.
        plain = keras.optimizers.Adam.update_step
        plain(optimizer, gradient, variable, learning_rate)
        return
    dtype = variable.dtype
    first, second = keras_private.adam_moments(optimizer, variable)
    step = tf.cast(optimizer.iterations + 1, dtype)
    beta_1, beta_2 = (
        tf.constant(beta, dtype) for beta in (optimizer.beta_1, optimizer.beta_2)
    )
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=first.value.handle,
        v=second.value.handle,
        beta1_power=tf.pow(beta_1, step),
        beta2_power=tf.pow(beta_2, step),
        lr=tf.cast(learning_rate, dtype),
        beta1=beta_1,
        beta2=beta_2,
        epsilon=tf.constant(optimizer.epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )
