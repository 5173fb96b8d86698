"""Transposed convolutions as ordinary ones, which LiteRT runs at full speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf


class PhaseConvolution(keras.layers.Conv2DTranspose):
    """A strided transposed convolution as one small convolution a phase.

    With stride `s`, the outputs at `s·i + a` are, for each phase `a`, a convolution of
    the input with every `s`-th tap of the kernel. The phases are computed apart, each
    with `1/s²` of the work, and interleaved by `depth_to_space`: the same
    multiplications and additions, without the zeros that a dilated input would have.

    LiteRT's transposed convolution reaches two thirds of the machine's rate, its
    convolution all of it; TensorFlow's transposed convolution is the faster one
    there. So this is for LiteRT alone.

    Args:
        config: the configuration of a `Conv2DTranspose` that `can_replace` accepts.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__(**config)

    @staticmethod
    def can_replace(layer: keras.layers.Layer) -> bool:
        """Whether the layer is one that this class computes."""
        return (
            type(layer) is keras.layers.Conv2DTranspose
            and layer.padding == "same"
            and layer.output_padding is None
            and layer.data_format == "channels_last"
            and tuple(layer.dilation_rate) == (1, 1)
            and layer.strides[0] == layer.strides[1] > 1
            and min(layer.kernel_size) >= layer.strides[0]
        )

    def call(self, inputs: Any) -> Any:
        """Returns what the transposed convolution returns."""
        stride = self.strides[0]
        kernel = tf.transpose(tf.convert_to_tensor(self.kernel), (0, 1, 3, 2))
        rows = [_taps(self.kernel_size[0], stride, a) for a in range(stride)]
        columns = [_taps(self.kernel_size[1], stride, b) for b in range(stride)]
        outputs = []
        for row_taps, row_padding in rows:
            for column_taps, column_padding in columns:
                taps = tf.gather(kernel, row_taps, axis=0)
                taps = tf.gather(taps, column_taps, axis=1)
                # One padding for each phase, although they overlap: LiteRT's delegate
                # merges a padding into a convolution that alone uses it.
                padding = [(0, 0), row_padding, column_padding, (0, 0)]
                y = tf.nn.conv2d(tf.pad(inputs, padding), taps, 1, "VALID")
                if self.use_bias:
                    y = y + tf.convert_to_tensor(self.bias)
                outputs.append(self.activation(y))
        return tf.nn.depth_to_space(tf.concat(outputs, axis=-1), stride)


def _taps(size: int, stride: int, phase: int) -> tuple[list[int], tuple[int, int]]:
    """Returns one axis' taps of a phase, and the padding before and after.

    Output `stride·j + phase` is the sum over `m` of `x[j − m] · w[k]` with
    `k = stride·m + phase + p`, where `p` is what `same` padding cuts off before.
    """
    cut = (size - stride) // 2
    shifts = [m for m in range(-size, size) if 0 <= stride * m + phase + cut < size]
    taps = [stride * m + phase + cut for m in reversed(shifts)]
    return taps, (max(shifts), -min(shifts))
