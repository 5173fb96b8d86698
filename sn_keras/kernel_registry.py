"""Which variables of a layer are kernels, and the matrix that each one is.

| layer | kernel | shape in Keras | `d_out × d_in` |
|---|---|---|---|
| Dense | `kernel` | (in, out) | out × in |
| Conv1D, 2D, 3D | `kernel` | (…, in / groups, out) | out × (… · in / groups) |
| Conv*Transpose | `kernel` | (…, **out**, in) | out × (… · in) |
| DepthwiseConv1D, 2D | `kernel` | (…, in, multiplier) | (in · multiplier) × … |
| SeparableConv1D, 2D | `depthwise_kernel` | (…, in, multiplier) | as DepthwiseConv |
| | `pointwise_kernel` | (1, …, in · multiplier, out) | out × (in · multiplier) |
| EinsumDense | `kernel` | as the equation says | kept axes × summed axes |
| Embedding | `embeddings` | (tokens, out) | out × tokens |
| SimpleRNN, GRU, LSTM | `kernel` | (in, gates · units) | (gates · units) × in |
| | `recurrent_kernel` | (units, gates · units) | (gates · units) × units |
| ConvLSTM1D, 2D, 3D | both | as a convolution's | as a convolution's |
| MultiHeadAttention, GroupedQueryAttention | each projection | as EinsumDense | |

A convolution's matrix is the one of the paper (every filter is a row). Its
spectral norm is not the norm of the convolution as an operator on images; the two
differ by a bounded factor (Miyato et al. 2018, footnote 3). Composite layers
(Bidirectional, TimeDistributed, a Sequential) have the kernels of what is inside.
A layer of another class has the kernels that `register_kernels` names, or else
those among `kernel`, `recurrent_kernel`, `depthwise_kernel`, `pointwise_kernel`
and `embeddings` that it has, with the output on the last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from sn_keras import values

OutputAxes = tuple[int, ...] | Callable[[keras.layers.Layer], tuple[int, ...]]

_LAST: tuple[int, ...] = (-1,)


def _einsum_output_axes(layer: keras.layers.Layer) -> tuple[int, ...]:
    operands, output = layer.equation.replace(" ", "").split("->")
    kernel_labels = operands.split(",")[1].replace("...", "")
    return tuple(i for i, label in enumerate(kernel_labels) if label in output)


_REGISTRY: dict[type, dict[str, OutputAxes]] = {
    keras.layers.Conv1DTranspose: {"kernel": (-2,)},
    keras.layers.Conv2DTranspose: {"kernel": (-2,)},
    keras.layers.Conv3DTranspose: {"kernel": (-2,)},
    keras.layers.DepthwiseConv1D: {"kernel": (-2, -1)},
    keras.layers.DepthwiseConv2D: {"kernel": (-2, -1)},
    keras.layers.SeparableConv1D: {
        "depthwise_kernel": (-2, -1),
        "pointwise_kernel": _LAST,
    },
    keras.layers.SeparableConv2D: {
        "depthwise_kernel": (-2, -1),
        "pointwise_kernel": _LAST,
    },
    keras.layers.EinsumDense: {"kernel": _einsum_output_axes},
}
if hasattr(keras.layers, "ReversibleEmbedding"):  # since Keras 3.13
    _REGISTRY[keras.layers.ReversibleEmbedding] = {
        "embeddings": _LAST,
        "reverse_embeddings": _LAST,
    }

_DEFAULT: dict[str, OutputAxes] = {
    name: _LAST
    for name in (
        "kernel",
        "recurrent_kernel",
        "depthwise_kernel",
        "pointwise_kernel",
        "embeddings",
    )
}


def register_kernels(
    layer_class: type[keras.layers.Layer],
    *unnamed: Any,
    **output_axes: int | Sequence[int],
) -> None:
    """Names the kernels of a layer class of your own.

    Args:
        layer_class: a subclass of `keras.layers.Layer`; its subclasses follow.
        *unnamed: refused, with a word on what to write.
        **output_axes: for each attribute that holds a kernel, the axis or axes that
            count as output (`d_out`); negative axes count from the end.

    Raises:
        TypeError: if `layer_class` is no layer class, axes are no integers, or given
            without the name of an attribute.
        ValueError: if no attribute is named.

    Example:
    ```python
    class Bilinear(keras.layers.Layer):
        def build(self, input_shape):
            self.weight = self.add_weight(shape=(input_shape[-1], 4, 4))

    register_kernels(Bilinear, weight=(1, 2))
    ```
    """
    if not (isinstance(layer_class, type) and issubclass(layer_class, keras.Layer)):
        raise TypeError(
            "`layer_class` must be a subclass of `keras.layers.Layer`. "
            f"Received: layer_class={layer_class!r}"
        )
    if unnamed or not output_axes:
        wanted = "given by attributes' names, as in `register_kernels(My, w=(-1,))`"
        kind = TypeError if unnamed else ValueError
        raise kind(values.message("output_axes", wanted, unnamed or output_axes))
    _REGISTRY[layer_class] = {
        k: values.integers(k, axes) for k, axes in output_axes.items()
    }


def kernel_attributes(owner: keras.layers.Layer) -> dict[str, OutputAxes]:
    """Returns the attributes that hold the kernels of a layer of `owner`'s class."""
    for parent in type(owner).__mro__:
        if parent in _REGISTRY:
            return _REGISTRY[parent]
    return _DEFAULT
