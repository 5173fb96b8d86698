"""Convolutions next to a change of resolution, with 4 products in place of 9.

With `W` the 3×3 kernel and `K = W ∗ (2×2 ones)`, which is 4×4:

- repeating pixels twice a side and then convolving by `W` is one transposed
  convolution by the flipped `K` with stride 2;
- convolving by `W` and then averaging 2×2 outputs is one convolution by `K / 4` with
  stride 2.

A 1×1 convolution changes places with both, so that it runs at the lower resolution.
These are the blocks of the paper's residual networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from training.fast.form import Form

# Upsampled images bear what they were made of, and a convolution's outputs bear what
# makes their averages: whichever layer takes them up may then leave the detour. In a
# graph, what nobody takes is never computed.
_SOURCE = "_sn_keras_upsampled_from"
_AVERAGES = "_sn_keras_averages"


def form(layer: keras.layers.Layer) -> Form | None:
    """Returns a layer's call that does so with the layers before and after it.

    That is on a CPU, in graphs, and where all sizes are known.

    Args:
        layer: a built layer.
    """
    devices = {device.device_type for device in tf.config.list_physical_devices()}
    if devices & {"GPU", "TPU"}:
        return None
    # By its very type: a subclass may compute something else.
    kind = type(layer)
    if kind is keras.layers.UpSampling2D and _doubles(layer):
        return Form(layer, "call", _upsample)
    if kind is keras.layers.AveragePooling2D and _halves(layer):
        return Form(layer, "call", _average)
    if kind is keras.layers.Conv2D and _keeps_resolution(layer):
        return Form(layer, "call", _convolve)
    return None


def _doubles(layer: keras.layers.UpSampling2D) -> bool:
    return (
        layer.interpolation == "nearest"
        and layer.data_format == "channels_last"
        and tuple(layer.size) == (2, 2)
    )


def _halves(layer: keras.layers.AveragePooling2D) -> bool:
    return layer.data_format == "channels_last" and tuple(layer.pool_size) == tuple(
        layer.strides
    ) == (2, 2)


def _keeps_resolution(layer: keras.layers.Conv2D) -> bool:
    size = tuple(layer.kernel_size)
    return (
        (size == (1, 1) or (size == (3, 3) and layer.padding == "same"))
        and layer.data_format == "channels_last"
        and tuple(layer.strides) == tuple(layer.dilation_rate) == (1, 1)
        and layer.groups == 1
    )


def _upsample(layer: keras.layers.UpSampling2D, inputs: Any) -> Any:
    outputs = keras.layers.UpSampling2D.call(layer, inputs)
    if _is_known_in_a_graph(inputs):
        setattr(outputs, _SOURCE, inputs)
    return outputs


def _average(layer: keras.layers.AveragePooling2D, inputs: Any) -> Any:
    averages = getattr(inputs, _AVERAGES, None)
    if averages is None:
        return keras.layers.AveragePooling2D.call(layer, inputs)
    return averages()


def _convolve(layer: keras.layers.Conv2D, inputs: Any) -> Any:
    linear = layer.activation in (None, keras.activations.linear)
    source = getattr(inputs, _SOURCE, None)
    if source is None:
        outputs = keras.layers.Conv2D.call(layer, inputs)
    else:
        outputs = _biased(layer, _of_upsampled(source, _kernel(layer)))
        if not linear:
            outputs = layer.activation(outputs)
    even = _is_known_in_a_graph(inputs) and not any(n % 2 for n in inputs.shape[1:3])
    if linear and even:
        setattr(outputs, _AVERAGES, _averages(layer, inputs))
    return outputs


def _averages(layer: keras.layers.Conv2D, inputs: Any) -> Callable[[], tf.Tensor]:
    # Read here: in a wrapper, the kernel has its normalized value during the call.
    kernel = _kernel(layer)
    bias = tf.convert_to_tensor(layer.bias) if layer.use_bias else None

    def compute() -> tf.Tensor:
        if kernel.shape[0] == 1:
            outputs = tf.nn.conv2d(
                tf.nn.avg_pool2d(inputs, 2, 2, "VALID"), kernel, 1, "SAME"
            )
        else:
            outputs = tf.nn.conv2d(inputs, _spread(kernel) / 4, 2, "SAME")
        return outputs if bias is None else tf.nn.bias_add(outputs, bias)

    return compute


def _of_upsampled(source: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Returns the convolution of the images that `source` becomes by doubling."""
    if kernel.shape[0] == 1:
        small = tf.nn.conv2d(source, kernel, 1, "SAME")
        # `tf.image.resize` is faster, but its gradient has no gradient, which a
        # gradient penalty needs.
        return tf.repeat(tf.repeat(small, 2, axis=1), 2, axis=2)
    height, width = (2 * side for side in source.shape[1:3])
    shape = [tf.shape(source)[0], height, width, kernel.shape[-1]]
    flipped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    return tf.nn.conv2d_transpose(source, _spread(flipped), shape, 2, "SAME")


def _spread(kernel: tf.Tensor) -> tf.Tensor:
    """Returns the full convolution of each channel's kernel with 2×2 ones."""
    for axis in (0, 1):
        before, after = ([[0, 0] for _ in range(4)] for _ in range(2))
        before[axis][0] = after[axis][1] = 1
        kernel = tf.pad(kernel, before) + tf.pad(kernel, after)
    return kernel


def _kernel(layer: keras.layers.Conv2D) -> tf.Tensor:
    return tf.convert_to_tensor(layer.kernel)


def _biased(layer: keras.layers.Conv2D, outputs: tf.Tensor) -> tf.Tensor:
    if not layer.use_bias:
        return outputs
    return tf.nn.bias_add(outputs, tf.convert_to_tensor(layer.bias))


def _is_known_in_a_graph(images: Any) -> bool:
    # Eagerly, what nobody takes would be computed all the same.
    return tf.is_symbolic_tensor(images) and None not in images.shape[1:]
