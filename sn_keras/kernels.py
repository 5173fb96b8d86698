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

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

OutputAxes = tuple[int, ...] | Callable[[keras.layers.Layer], tuple[int, ...]]

_LAST: tuple[int, ...] = (-1,)
# Names that Keras' layers give to trainable weights that are no kernels although
# some have two axes or more (the bias of EinsumDense and of GRU, PReLU's alpha, the
# scale of a LayerNormalization over several axes).
_NOT_KERNELS = frozenset({"bias", "gamma", "beta", "alpha", "scale"})


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel of a layer, seen as a matrix.

    Attributes:
        name: name within the wrapped layer, such as `kernel` or `query/kernel`.
        variable: the Keras variable, of rank 2 or more.
        output_axes: the axes that make up `d_out`, ascending and non-negative; the
            others make up `d_in`.
        dtype: the dtype that the variable is stored in. (The variable's own `dtype`
            says what a surrounding autocast scope casts it to.)
    """

    name: str
    variable: keras.Variable
    output_axes: tuple[int, ...]
    dtype: str

    @property
    def state_dtype(self) -> str:
        """Dtype of the arithmetic on it: float64 for float64, otherwise float32."""
        return "float64" if self.dtype == "float64" else "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """The kernel's shape as plain integers."""
        return tuple(int(size) for size in self.variable.shape)

    @property
    def d_out(self) -> int:
        """Rows of the matrix."""
        return math.prod(self.shape[axis] for axis in self.output_axes)

    @property
    def d_in(self) -> int:
        """Columns of the matrix."""
        return math.prod(self.shape) // self.d_out

    def matrix_t(self, value: Any) -> Any:
        """Returns the transposed matrix `Wᵀ`, shape `(d_in, d_out)`.

        Args:
            value: the kernel's value or any tensor of its shape.
        """
        order = self._order()
        if order != tuple(range(len(order))):
            value = ops.transpose(value, order)
        return ops.reshape(value, (self.d_in, self.d_out))

    def tensor(self, matrix_t: Any) -> Any:
        """The inverse of `matrix_t`: from `(d_in, d_out)` back to the shape."""
        order = self._order()
        value = ops.reshape(matrix_t, [self.shape[axis] for axis in order])
        if order != tuple(range(len(order))):
            inverse = [order.index(axis) for axis in range(len(order))]
            value = ops.transpose(value, inverse)
        return value

    def per_row(self, values: Any) -> Any:
        """Reshapes one value a row, shape `(d_out,)`, to broadcast over the kernel."""
        shape = [n if a in self.output_axes else 1 for a, n in enumerate(self.shape)]
        return ops.reshape(values, shape)

    def _order(self) -> tuple[int, ...]:
        inputs = (a for a in range(len(self.shape)) if a not in self.output_axes)
        return (*inputs, *self.output_axes)


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
    layer_class: type[keras.layers.Layer], **output_axes: Sequence[int]
) -> None:
    """Names the kernels of a layer class of your own.

    Args:
        layer_class: a subclass of `keras.layers.Layer`; its subclasses follow.
        **output_axes: for each attribute that holds a kernel, the axes that count
            as output (`d_out`); negative axes count from the end.

    Raises:
        TypeError: if `layer_class` is no layer class.
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
    if not output_axes:
        raise ValueError(
            "`output_axes` must name one attribute or more, as in "
            "`register_kernels(MyLayer, weight=(-1,))`. Received none."
        )
    _REGISTRY[layer_class] = {k: tuple(axes) for k, axes in output_axes.items()}


def find_kernels(layer: keras.layers.Layer) -> list[Kernel]:
    """Returns the kernels of a built layer and of all layers inside it.

    They are looked up anew at each call because enabling LoRA or quantising
    replaces a layer's kernel after it was built.

    Args:
        layer: a built layer.

    Returns:
        A list with one `Kernel` or more, each variable once.

    Raises:
        ValueError: if there is no kernel, or one without entries; if there is a
            trainable weight that looks
            like one but is not known as one; if a layer is quantised, has LoRA
            enabled or is rematerialised.
    """
    kernels: list[Kernel] = []
    for owner in layer._flatten_layers():
        check_supported(owner)
        for attribute, axes in _kernel_attributes(owner).items():
            variable = getattr(owner, attribute, None)
            if not isinstance(variable, keras.Variable) or len(variable.shape) < 2:
                continue
            if any(kernel.variable is variable for kernel in kernels):
                continue
            if 0 in tuple(variable.shape):
                raise ValueError(
                    f"`layer` {owner.name!r} ({type(owner).__name__}) must have a "
                    "kernel with entries. Received: one of shape "
                    f"{tuple(variable.shape)}"
                )
            rank = len(variable.shape)
            axes = axes(owner) if callable(axes) else axes
            axes = tuple(sorted(axis % rank for axis in axes))
            name = _unique(_relative_name(variable, layer), kernels)
            kernels.append(Kernel(name, variable, axes, owner.variable_dtype))
    if not kernels:
        raise ValueError(
            f"`layer` has no kernel to normalize. Received: layer={layer!r} of class "
            f"{type(layer).__name__} with weights "
            f"{[(w.name, tuple(w.shape)) for w in layer.weights]}. If one of these "
            "is its kernel, name it with `sn_keras.register_kernels`."
        )
    _refuse_unknown(layer, kernels)
    return kernels


def check_supported(owner: keras.layers.Layer) -> None:
    """Raises `ValueError` for layers whose kernel is not what `call` multiplies by."""
    if getattr(owner, "quantization_mode", None) is not None:
        problem = f"is quantised ({owner.quantization_mode})"
    elif getattr(owner, "lora_enabled", False) or getattr(owner, "lora_rank", None):
        problem = "has LoRA enabled"
    elif getattr(owner, "_remat_mode", None) is not None:
        raise ValueError(
            f"`layer` {owner.name!r} ({type(owner).__name__}) was created inside a "
            "`keras.RematScope`: the second forward pass of rematerialisation would "
            "run on the raw kernel. Create it outside the scope."
        )
    else:
        return
    raise ValueError(
        f"`layer` {owner.name!r} ({type(owner).__name__}) {problem}, so its kernel is "
        "not a variable that can be normalized. Call `sn_keras.fold(model)` first and "
        "apply it to the folded model."
    )


def _kernel_attributes(owner: keras.layers.Layer) -> dict[str, OutputAxes]:
    for parent in type(owner).__mro__:
        if parent in _REGISTRY:
            return _REGISTRY[parent]
    return _DEFAULT


def _relative_name(variable: keras.Variable, layer: keras.layers.Layer) -> str:
    _, found, rest = f"/{variable.path}".rpartition(f"/{layer.name}/")
    return rest if found else variable.path


def _unique(name: str, kernels: list[Kernel]) -> str:
    # Layers inside a layer may have the same name.
    names = {kernel.name for kernel in kernels}
    numbered = (f"{name}_{i}" for i in range(1, len(kernels) + 1))
    return next(n for n in (name, *numbered) if n not in names)


def _refuse_unknown(layer: keras.layers.Layer, kernels: list[Kernel]) -> None:
    known = {id(kernel.variable) for kernel in kernels}
    for weight in layer.weights:
        if (
            weight.trainable
            and len(weight.shape) >= 2
            and id(weight) not in known
            and weight.name not in _NOT_KERNELS
        ):
            raise ValueError(
                f"`layer` {layer.name!r} ({type(layer).__name__}) has the weight "
                f"{weight.path!r} of shape {tuple(weight.shape)}, which is not known "
                "as a kernel and would stay unnormalized. Name the kernels of its "
                "class with `sn_keras.register_kernels`."
            )
