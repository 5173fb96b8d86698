"""Nearest upsampling before a convolution, done with a fraction of the work."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


class NearestUpsampling(keras.layers.Layer):
    """Repeats rows and columns by LiteRT's own op.

    Keras' `UpSampling2D` becomes two tilings and three reshapes, which take twice as
    long.

    Args:
        size: repetitions of a row and of a column.
        name: the layer's name.
    """

    def __init__(self, size: int, name: str):
        super().__init__(name=name)
        self.size = size

    def call(self, inputs: Any, **others: Any) -> Any:
        """Returns the larger images."""
        height, width = (self.size * side for side in inputs.shape[1:3])
        return tf.image.resize(inputs, (height, width), "nearest")


def is_nearest(layer: keras.layers.Layer) -> bool:
    """Whether the layer is one that `NearestUpsampling` computes."""
    return (
        type(layer) is keras.layers.UpSampling2D
        and layer.interpolation == "nearest"
        and layer.data_format == "channels_last"
        and layer.size[0] == layer.size[1] > 1
    )


def can_merge(layer: keras.layers.Layer) -> bool:
    """Whether an upsampling before this layer can be merged into it, or follow it."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.padding == "same"
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and tuple(layer.strides) == (1, 1)
        and tuple(layer.dilation_rate) == (1, 1)
        and all(size % 2 == 1 for size in layer.kernel_size)
    )


def merged_config(config: dict[str, Any], size: int) -> dict[str, Any]:
    """Returns the transposed convolution's configuration for a convolution's.

    Args:
        config: of the convolution.
        size: of the upsampling.
    """
    kept = ("name", "dtype", "filters", "padding", "activation", "use_bias")
    return {
        **{key: config[key] for key in kept},
        "kernel_size": [taps + size - 1 for taps in config["kernel_size"]],
        "strides": size,
    }


def merged_kernel(kernel: np.ndarray, size: int) -> np.ndarray:
    """Returns the transposed convolution's kernel.

    A convolution with `w` of an image whose pixels are repeated `s` times is a
    transposed convolution with stride `s` and the kernel `flip(w) ∗ (1, …, 1)`, since
    each input pixel reaches an output by all of its copies. Each output takes
    `(k + s − 1)² / s²` products in place of `k²`: 4 in place of 9.

    Args:
        kernel: of the convolution, (height, width, in, out).
        size: of the upsampling.
    """
    flipped: np.ndarray = kernel[::-1, ::-1].astype("float64")
    height, width = (taps + size - 1 for taps in kernel.shape[:2])
    merged = np.zeros((height, width, *kernel.shape[2:]))
    for row in range(size):
        for column in range(size):
            merged[row : row + kernel.shape[0], column : column + kernel.shape[1]] += (
                flipped
            )
    return merged.transpose(0, 1, 3, 2).astype(kernel.dtype)
