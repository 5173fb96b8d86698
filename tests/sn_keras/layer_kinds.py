"""The one table of the kinds of layer that have kernels.

Each entry says how to make the layer, what to call it on, and what the matrix of
each of its kernels is, written down in plain NumPy from the paper's definition:
rows are what the layer puts out. Nothing here looks into `sn_keras.kernel_registry`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

Matrix = Callable[[np.ndarray], np.ndarray]


def last_axis(kernel: np.ndarray) -> np.ndarray:
    """Output on the last axis: Dense, Conv, recurrent kernels, embeddings."""
    return kernel.reshape(-1, kernel.shape[-1]).T


def transposed(kernel: np.ndarray) -> np.ndarray:
    """A transposed convolution's kernel is (…, out, in)."""
    return np.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)


def depthwise(kernel: np.ndarray) -> np.ndarray:
    """(…, in, multiplier): every input channel has `multiplier` filters."""
    return kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).T


def first_axis_in(kernel: np.ndarray) -> np.ndarray:
    """(in, out, out): the projections that split heads."""
    return kernel.reshape(kernel.shape[0], -1).T


@dataclasses.dataclass(frozen=True, eq=False)
class LayerKind:
    """One kind of layer.

    Attributes:
        name: identifier in the tests' names.
        make: constructor, taking what every layer takes (`dtype`).
        shapes: shapes of the positional inputs, with the batch size.
        matrices: for each kernel the end of its variable's path and its matrix.
        integers: number of tokens if the input is integer token ids.
        nested: whether the inputs are (x, [state, …]), as for a cell.
        backends: those that can run it on a CPU; all if None.
    """

    name: str
    make: Callable[..., keras.Layer]
    shapes: tuple[tuple[int, ...], ...]
    matrices: dict[str, Matrix]
    integers: int | None = None
    nested: bool = False
    backends: tuple[str, ...] | None = None

    def inputs(self, dtype: str = "float32") -> tuple[Any, ...]:
        """The arrays to call the layer on."""
        rng = np.random.default_rng(7)
        if self.integers is not None:
            return (rng.integers(0, self.integers, self.shapes[0]).astype("int32"),)
        # Rounded to float32, so that every dtype gets the same values.
        arrays = [rng.normal(size=s).astype("float32") for s in self.shapes]
        arrays = [keras.ops.convert_to_tensor(a.astype(dtype)) for a in arrays]
        return (arrays[0], arrays[1:]) if self.nested else tuple(arrays)

    def build(self, layer: keras.Layer, dtype: str = "float32") -> None:
        """Builds a layer without running it, which under JAX would compile it."""
        inputs = self.inputs(dtype)
        layer(*keras.tree.map_structure(_symbolic, inputs))

    def kernel_variables(
        self, layer: keras.Layer
    ) -> list[tuple[keras.Variable, Matrix]]:
        """The kernels among a built layer's weights, found by their paths."""
        found = []
        for end, matrix in self.matrices.items():
            matches = [w for w in layer.trainable_weights if f"/{w.path}".endswith(end)]
            assert len(matches) == 1, (end, [w.path for w in layer.weights])
            found.append((matches[0], matrix))
        return found


def _symbolic(x: Any) -> keras.KerasTensor:
    return keras.KerasTensor(x.shape, keras.backend.standardize_dtype(x.dtype))


K = {"/kernel": last_axis}
RECURRENT = {"/kernel": last_axis, "/recurrent_kernel": last_axis}
SEPARABLE = {"/depthwise_kernel": depthwise, "/pointwise_kernel": last_axis}
ATTENTION = {
    "/query/kernel": first_axis_in,
    "/key/kernel": first_axis_in,
    "/value/kernel": first_axis_in,
    "/attention_output/kernel": last_axis,
}
IMAGE = ((2, 5, 5, 4),)
SERIES = ((2, 5, 4),)
VIDEO = ((2, 4, 4, 4, 4),)


def _kind(name, make, shapes, matrices, **options):
    return LayerKind(name, make, shapes, matrices, **options)


def _sequential(**kw):
    return keras.Sequential(
        [layers.Dense(5, name="a", **kw), layers.Dense(3, name="b", **kw)]
    )


KINDS = [
    _kind("dense", lambda **kw: layers.Dense(5, **kw), ((4, 6),), K),
    _kind(
        "einsum_dense_ellipsis",
        lambda **kw: layers.EinsumDense("...x,xy->...y", 5, bias_axes="y", **kw),
        SERIES,
        K,
    ),
    _kind(
        "einsum_dense_two_out",
        lambda **kw: layers.EinsumDense(
            "ab,bcd->acd", (3, 2), bias_axes="cd", activation="tanh", **kw
        ),
        ((4, 6),),
        {"/kernel": first_axis_in},
    ),
    _kind(
        "einsum_dense_two_in",
        lambda **kw: layers.EinsumDense("abc,bcd->ad", (3,), **kw),
        ((4, 3, 2),),
        K,
    ),
    _kind(
        "einsum_dense_out_first",
        lambda **kw: layers.EinsumDense("ab,cb->ac", (5,), **kw),
        ((4, 6),),
        {"/kernel": lambda kernel: kernel},
    ),
    _kind("conv1d", lambda **kw: layers.Conv1D(3, 3, **kw), SERIES, K),
    _kind(
        "conv1d_causal_dilated",
        lambda **kw: layers.Conv1D(3, 2, padding="causal", dilation_rate=2, **kw),
        SERIES,
        K,
    ),
    _kind(
        "conv2d",
        lambda **kw: layers.Conv2D(6, 3, strides=2, padding="same", **kw),
        IMAGE,
        K,
    ),
    _kind("conv2d_groups", lambda **kw: layers.Conv2D(6, 2, groups=2, **kw), IMAGE, K),
    _kind(
        "conv2d_dilated",
        lambda **kw: layers.Conv2D(3, 2, dilation_rate=2, **kw),
        IMAGE,
        K,
    ),
    _kind(
        "conv2d_channels_first",
        lambda **kw: layers.Conv2D(3, 3, data_format="channels_first", **kw),
        ((2, 4, 5, 5),),
        K,
        # TensorFlow's convolutions on the CPU know channels_last alone.
        backends=("jax", "torch"),
    ),
    _kind("conv3d", lambda **kw: layers.Conv3D(3, 2, **kw), VIDEO, K),
    _kind(
        "conv1d_transpose",
        lambda **kw: layers.Conv1DTranspose(3, 3, strides=2, **kw),
        SERIES,
        {"/kernel": transposed},
    ),
    _kind(
        "conv2d_transpose",
        lambda **kw: layers.Conv2DTranspose(3, 4, strides=2, padding="same", **kw),
        IMAGE,
        {"/kernel": transposed},
    ),
    _kind(
        "conv3d_transpose",
        lambda **kw: layers.Conv3DTranspose(3, 2, **kw),
        VIDEO,
        {"/kernel": transposed},
    ),
    _kind(
        "depthwise_conv1d",
        lambda **kw: layers.DepthwiseConv1D(3, depth_multiplier=2, **kw),
        SERIES,
        {"/kernel": depthwise},
    ),
    _kind(
        "depthwise_conv2d",
        lambda **kw: layers.DepthwiseConv2D(3, depth_multiplier=2, **kw),
        IMAGE,
        {"/kernel": depthwise},
    ),
    _kind(
        "separable_conv1d",
        lambda **kw: layers.SeparableConv1D(5, 3, depth_multiplier=2, **kw),
        SERIES,
        SEPARABLE,
    ),
    _kind(
        "separable_conv2d",
        lambda **kw: layers.SeparableConv2D(5, 3, **kw),
        IMAGE,
        SEPARABLE,
    ),
    _kind(
        "embedding",
        lambda **kw: layers.Embedding(6, 4, **kw),
        ((3, 5),),
        {"/embeddings": last_axis},
        integers=6,
    ),
    _kind(
        "multi_head_attention",
        lambda **kw: layers.MultiHeadAttention(2, 3, **kw),
        ((2, 4, 6), (2, 5, 3)),
        ATTENTION,
    ),
    _kind(
        "grouped_query_attention",
        lambda **kw: layers.GroupQueryAttention(3, 4, 2, **kw),
        ((2, 4, 6), (2, 5, 6)),
        ATTENTION,
    ),
    # Sigmoid, because `keras.ops.tanh` returns float32 for float64 on JAX.
    _kind(
        "simple_rnn",
        lambda **kw: layers.SimpleRNN(3, activation="sigmoid", **kw),
        SERIES,
        RECURRENT,
    ),
    _kind(
        "lstm",
        lambda **kw: layers.LSTM(3, return_sequences=True, **kw),
        SERIES,
        RECURRENT,
    ),
    _kind("gru", lambda **kw: layers.GRU(3, **kw), SERIES, RECURRENT),
    _kind(
        "gru_reset_before",
        lambda **kw: layers.GRU(3, reset_after=False, **kw),
        SERIES,
        RECURRENT,
    ),
    _kind(
        "rnn_of_cells",
        lambda **kw: layers.RNN(
            [
                layers.LSTMCell(3, name="a", **kw),
                layers.SimpleRNNCell(2, activation="sigmoid", name="b", **kw),
            ],
            **kw,
        ),
        SERIES,
        {f"/{cell}{end}": last_axis for cell in "ab" for end in RECURRENT},
    ),
    _kind(
        "simple_rnn_cell",
        lambda **kw: layers.SimpleRNNCell(3, activation="sigmoid", **kw),
        ((2, 4), (2, 3)),
        RECURRENT,
        nested=True,
    ),
    _kind(
        "lstm_cell",
        lambda **kw: layers.LSTMCell(3, **kw),
        ((2, 4), (2, 3), (2, 3)),
        RECURRENT,
        nested=True,
    ),
    _kind(
        "gru_cell",
        lambda **kw: layers.GRUCell(3, **kw),
        ((2, 4), (2, 3)),
        RECURRENT,
        nested=True,
    ),
    _kind(
        "conv_lstm1d",
        lambda **kw: layers.ConvLSTM1D(2, 2, **kw),
        ((2, 3, 4, 3),),
        RECURRENT,
    ),
    _kind(
        "conv_lstm2d",
        lambda **kw: layers.ConvLSTM2D(2, 2, **kw),
        ((2, 3, 4, 4, 3),),
        RECURRENT,
    ),
    _kind(
        "conv_lstm3d",
        lambda **kw: layers.ConvLSTM3D(2, 2, **kw),
        ((1, 2, 3, 3, 3, 2),),
        RECURRENT,
    ),
    _kind(
        "bidirectional_lstm",
        lambda **kw: layers.Bidirectional(layers.LSTM(2, name="lstm", **kw), **kw),
        SERIES,
        {
            f"/{way}_lstm/lstm_cell{end}": last_axis
            for way in ("forward", "backward")
            for end in RECURRENT
        },
    ),
    _kind(
        "time_distributed_dense",
        lambda **kw: layers.TimeDistributed(layers.Dense(3, **kw), **kw),
        SERIES,
        K,
    ),
    _kind(
        "sequential",
        _sequential,
        ((4, 6),),
        {"/a/kernel": last_axis, "/b/kernel": last_axis},
    ),
]


def parameters(kinds: list[LayerKind]) -> list[Any]:
    """The kinds as pytest parameters; those the backend can't run are skipped."""
    backend = keras.backend.backend()
    return [
        pytest.param(
            kind,
            id=kind.name,
            marks=pytest.mark.skipif(
                kind.backends is not None and backend not in kind.backends,
                reason=f"{backend} has no such operation on the CPU",
            ),
        )
        for kind in kinds
    ]


every_kind = pytest.mark.parametrize("kind", parameters(KINDS))


def with_spectrum(matrix: Matrix, shape: tuple[int, ...], values: Any) -> np.ndarray:
    """A float32 kernel of a shape whose matrix has given singular values.

    Args:
        matrix: from a kernel to its matrix.
        shape: the kernel's shape.
        values: function from their number to the singular values.
    """
    rng = np.random.default_rng(3)
    positions = matrix(np.arange(np.prod(shape)).reshape(shape))
    rows, columns = positions.shape
    count = min(rows, columns)
    left, _ = np.linalg.qr(rng.normal(size=(rows, count)))
    right, _ = np.linalg.qr(rng.normal(size=(columns, count)))
    kernel = np.empty(int(np.prod(shape)), "float32")
    kernel[positions] = (left * values(count)) @ right.T
    return kernel.reshape(shape)


def outer_kernel(matrix: Matrix, shape: tuple[int, ...], value: Any) -> np.ndarray:
    """The kernel whose matrix is `value`."""
    positions = matrix(np.arange(np.prod(shape)).reshape(shape))
    kernel = np.empty(int(np.prod(shape)))
    kernel[positions] = value
    return kernel.reshape(shape)
