"""Batch norm and leaky ReLU by TensorFlow's fused kernels.

- Keras writes batch norm as seven elementwise operations and reductions, each with a
  gradient of its own, in float32 also where the activations are bfloat16. TensorFlow
  has one kernel for all of it and one for its gradient.
- TensorFlow's gradient of leaky ReLU reads its input, so the output of convolution and
  bias has to be kept, and the three can't be one kernel. Its output has the same sign.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from training.fast.form import Form

_FUSED_DTYPES = ("float16", "bfloat16", "float32")
# cuDNN takes no smaller one.
_LEAST_EPSILON = 1e-5


def form(layer: keras.layers.Layer) -> Form | None:
    """Returns a layer's call by a fused kernel, if there is one.

    Args:
        layer: a built layer.
    """
    # By its very type: a subclass may compute something else.
    kind = type(layer)
    if kind is keras.layers.BatchNormalization and _can_be_fused(layer):
        return Form(layer, "call", _batch_norm)
    if kind is keras.layers.LeakyReLU and layer.negative_slope > 0:
        return Form(layer, "call", _leaky_relu)
    return None


def _can_be_fused(layer: keras.layers.BatchNormalization) -> bool:
    spec = layer.input_spec
    return (
        spec is not None
        and spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.compute_dtype in _FUSED_DTYPES
        and layer.epsilon >= _LEAST_EPSILON
        # Statistics over all replicas need a collective in the middle.
        and not layer.synchronized
        and not getattr(layer, "renorm", False)  # unknown to Keras 3.12
    )


def _batch_norm(
    layer: keras.layers.BatchNormalization,
    inputs: Any,
    training: bool | None = None,
    mask: Any = None,
) -> Any:
    if not training or not layer.trainable or mask is not None:
        # By inference, a fused kernel would need the same number of passes.
        plain = keras.layers.BatchNormalization.call
        return plain(layer, inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    ones, zeros = tf.ones([channels]), tf.zeros([channels])
    outputs, mean, variance = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=tf.cast(layer.gamma, tf.float32) if layer.scale else ones,
        offset=tf.cast(layer.beta, tf.float32) if layer.center else zeros,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=layer.epsilon,
        exponential_avg_factor=1.0,
        is_training=True,
    )[:3]
    # The kernel normalizes by the mean of squares, as Keras does, but returns the
    # unbiased estimate, which is larger by n / (n − 1).
    count = tf.cast(tf.size(inputs) // channels, tf.float32)
    variance *= (count - 1) / count
    momentum = layer.momentum
    for average, value in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance),
    ):
        average.assign(average * momentum + value * (1 - momentum))
    return outputs


def _leaky_relu(layer: keras.layers.LeakyReLU, inputs: Any) -> Any:
    slope = layer.negative_slope

    @tf.custom_gradient
    def activate(features: tf.Tensor) -> tuple[tf.Tensor, Any]:
        outputs = tf.nn.leaky_relu(features, slope)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.LeakyReluGrad(
                gradients=upstream, features=outputs, alpha=slope
            )

        return outputs, gradient

    return activate(inputs)
