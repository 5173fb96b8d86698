"""The gradient of a bfloat16 convolution by its kernel, as a convolution.

Where there are few positions, the processor's kernel for that gradient is slow (4×4
positions: a fourth of the speed at 32×32). The gradient is a convolution too, of the
images and the gradient by the output, and the processor's kernel for that is fast.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from training.fast.form import Form

# Above 4×4, the processor's own kernel is as fast.
_FEW_POSITIONS = 16


def form(layer: keras.layers.Layer) -> Form | None:
    """Returns a convolution with that gradient, where it is faster.

    That is on a CPU, in bfloat16, where the smaller side has 16 positions or fewer.

    Args:
        layer: a built layer.
    """
    devices = {device.device_type for device in tf.config.list_physical_devices()}
    if devices & {"GPU", "TPU"}:
        return None
    # By its very type: a subclass may compute something else.
    if type(layer) is keras.layers.Conv2D and _is_plain_bfloat16(layer):
        return Form(layer, "convolution_op", _convolution)
    if type(layer) is keras.layers.Conv2DTranspose and _is_plain_bfloat16(layer):
        return Form(layer, "call", _transposed_convolution)
    return None


def _is_plain_bfloat16(layer: keras.layers.Layer) -> bool:
    return (
        layer.compute_dtype == "bfloat16"
        and layer.data_format == "channels_last"
        and tuple(layer.dilation_rate) == (1, 1)
        # Only the one kind has groups, only the other an output's padding.
        and getattr(layer, "groups", 1) == 1
        and getattr(layer, "output_padding", None) is None
    )


def _convolution(layer: keras.layers.Conv2D, inputs: Any, kernel: Any) -> Any:
    strides, padding = layer.strides, layer.padding.upper()

    @tf.custom_gradient
    def convolve(images: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            by_images = tf.nn.conv2d_transpose(
                upstream, weights, tf.shape(images), strides, padding
            )
            return by_images, _by_kernel(images, upstream, weights, strides, padding)

        return tf.nn.conv2d(images, weights, strides, padding), gradient

    _, height, width, _ = layer.compute_output_shape(inputs.shape)
    if height is None or width is None or height * width > _FEW_POSITIONS:
        return keras.layers.Conv2D.convolution_op(layer, inputs, kernel)
    return convolve(inputs, tf.convert_to_tensor(kernel))


def _transposed_convolution(layer: keras.layers.Conv2DTranspose, inputs: Any) -> Any:
    strides, padding = layer.strides, layer.padding.upper()
    _, *size = layer.compute_output_shape(inputs.shape)

    @tf.custom_gradient
    def convolve(features: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            by_features = tf.nn.conv2d(upstream, weights, strides, padding)
            return by_features, _by_kernel(
                upstream, features, weights, strides, padding
            )

        outputs = tf.nn.conv2d_transpose(
            features, weights, [tf.shape(features)[0], *size], strides, padding
        )
        return outputs, gradient

    height, width = inputs.shape[1:3]
    if height is None or width is None or height * width > _FEW_POSITIONS:
        return keras.layers.Conv2DTranspose.call(layer, inputs)
    outputs = convolve(inputs, tf.convert_to_tensor(layer.kernel))
    if layer.use_bias:
        outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(layer.bias))
    return outputs if layer.activation is None else layer.activation(outputs)


def _by_kernel(
    images: tf.Tensor,
    upstream: tf.Tensor,
    kernel: tf.Tensor,
    strides: tuple[int, int],
    padding: str,
) -> tf.Tensor:
    """Returns the gradient of a convolution by its kernel, as a convolution.

    Args:
        images: the convolution's input, `(n, height, width, in)`.
        upstream: the gradient by its output, `(n, rows, columns, out)`.
        kernel: gives the shape, `(kernel rows, kernel columns, in, out)`.
        strides: of the rows and the columns.
        padding: `"SAME"` or `"VALID"`.
    """
    size = kernel.shape[:2]
    if padding == "SAME":
        pads = [[0, 0]]
        for axis in (0, 1):
            reach = (upstream.shape[1 + axis] - 1) * strides[axis] + size[axis]
            total = max(reach - images.shape[1 + axis], 0)
            pads.append([total // 2, total - total // 2])
        images = tf.pad(images, [*pads, [0, 0]])
    # Channels play the part of the batch, and the batch that of the channels.
    gradient = tf.nn.conv2d(
        tf.transpose(images, [3, 1, 2, 0]),
        tf.transpose(upstream, [1, 2, 0, 3]),
        1,
        "VALID",
        dilations=strides,
    )
    # Rows that no stride reached belong to no weight.
    return tf.transpose(gradient, [1, 2, 0, 3])[: size[0], : size[1]]
