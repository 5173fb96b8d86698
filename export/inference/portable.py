"""Convolutions that converters don't take, as others that compute the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class SplitConvolution(keras.layers.Conv2D):
    """A grouped convolution as an ordinary one a group, put side by side.

    TensorFlow has an operator for it, in which tf2onnx and LiteRT's converter see a
    convolution whose kernel doesn't fit.
    """

    def call(self, inputs: Any) -> Any:
        """Returns what the grouped convolution returns."""
        ops = keras.ops
        parts = ops.split(inputs, self.groups, axis=-1)
        kernels = ops.split(ops.convert_to_tensor(self.kernel), self.groups, axis=-1)
        outputs = [
            ops.conv(x, kernel, self.strides, self.padding, None, self.dilation_rate)
            for x, kernel in zip(parts, kernels, strict=True)
        ]
        y = ops.concatenate(outputs, axis=-1)
        if self.use_bias:
            y = y + ops.convert_to_tensor(self.bias)
        return self.activation(y)


def rewritten(
    layer: keras.layers.Layer, weights: list[np.ndarray]
) -> tuple[keras.layers.Layer, list[np.ndarray]]:
    """Returns a layer that every converter takes, and its weights.

    - A grouped convolution becomes a `SplitConvolution`.
    - The kernel of a transposed convolution that is smaller than its stride is filled
      up with zeros: what it leaves out of the output is zero either way.
    - A dilated transposed convolution becomes an ordinary one, whose kernel has the
      zeros that the dilation stands for.

    Args:
        layer: any layer; its own weights are not read.
        weights: its weights.
    """
    if getattr(layer, "data_format", None) == "channels_first":
        return layer, weights
    if type(layer) is keras.layers.Conv2D and layer.groups > 1:
        return SplitConvolution.from_config(layer.get_config()), weights
    if type(layer) is not keras.layers.Conv2DTranspose or layer.output_padding:
        return layer, weights
    dilations = tuple(layer.dilation_rate)
    if (
        dilations == (1, 1)
        and min(
            size - stride
            for size, stride in zip(layer.kernel_size, layer.strides, strict=True)
        )
        >= 0
    ):
        return layer, weights
    kernel, *bias = weights
    spread = [
        rate * (size - 1) + 1
        for rate, size in zip(dilations, layer.kernel_size, strict=True)
    ]
    sizes = [max(*pair) for pair in zip(spread, layer.strides, strict=True)]
    whole: np.ndarray = np.zeros((*sizes, *kernel.shape[2:]), kernel.dtype)
    whole[: spread[0] : dilations[0], : spread[1] : dilations[1]] = kernel
    config = {**layer.get_config(), "kernel_size": sizes, "dilation_rate": 1}
    return keras.layers.Conv2DTranspose.from_config(config), [whole, *bias]
