"""The kernels of a layer, each seen as a matrix: see `sn_keras.kernel_registry`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from sn_keras import keras_private, values
from sn_keras.kernel_registry import kernel_attributes

# Names that Keras' layers give to trainable weights that are no kernels although
# some have two axes or more (the bias of EinsumDense and of GRU, PReLU's alpha, the
# scale of a LayerNormalization over several axes).
NOT_KERNELS = frozenset({"bias", "gamma", "beta", "alpha", "scale"})


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
        owner: the layer whose attribute it is.
        attribute: the attribute's name, such as `kernel`.
    """

    name: str
    variable: keras.Variable
    output_axes: tuple[int, ...]
    dtype: str
    owner: keras.layers.Layer | None = None
    attribute: str = "kernel"

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


def find_kernels(
    layer: keras.layers.Layer,
    names: Sequence[str] | None = None,
    *,
    among_others: bool = False,
) -> list[Kernel]:
    """Returns the kernels of a built layer and of all layers inside it.

    They are looked up anew at each call because enabling LoRA or quantising
    replaces a layer's kernel after it was built.

    Args:
        layer: a built layer.
        names: those that are wanted, by name, by its end (`kernel`) or beginning
            (`query`); all if None.
        among_others: whether there may be weights that look like a kernel and are not
            known as one.

    Returns:
        A list with one `Kernel` or more, each variable once.

    Raises:
        ValueError: if there is no kernel, or one without entries; if none has one of
            the names; if all are wanted and there is a weight to be trained that looks
            like one but is not known as one; if a layer is quantised, has LoRA
            enabled or is rematerialised.
    """
    kernels: list[Kernel] = []
    for owner in keras_private.flatten_layers(layer):
        check_supported(owner)
        for attribute, axes in kernel_attributes(owner).items():
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
            in_order = tuple(sorted(a % rank for a in axes if -rank <= a < rank))
            if len(set(in_order)) < len(axes):
                wanted = f"different axes of a kernel of rank {rank}"
                what = f"{attribute} of {type(owner).__name__}"
                raise ValueError(values.message(what, wanted, axes))
            axes = in_order
            name = _unique(_relative_name(variable, layer), kernels)
            dtype = owner.variable_dtype
            kernels.append(Kernel(name, variable, axes, dtype, owner, attribute))
    if not kernels:
        matrices = [weight for weight in layer.weights if len(weight.shape) >= 2]
        call = _registration(layer, matrices)
        hint = f" If one of these is its kernel, name it: {call}."
        raise ValueError(
            f"`layer` has no kernel to normalize. Received: layer={layer!r} of class "
            f"{type(layer).__name__} with weights "
            f"{[(w.name, tuple(w.shape)) for w in layer.weights]}."
            + (hint if matrices else "")
        )
    if names is not None:
        return _selected(kernels, names)
    if not among_others:
        _refuse_unknown(layer, kernels)
    return kernels


def check_supported(owner: keras.layers.Layer) -> None:
    """Raises `ValueError` for layers whose kernel is not what `call` multiplies by."""
    if getattr(owner, "quantization_mode", None) is not None:
        problem = f"is quantised ({owner.quantization_mode})"
    elif getattr(owner, "lora_enabled", False) or getattr(owner, "lora_rank", None):
        problem = "has LoRA enabled"
    elif keras_private.is_rematerialized(owner):
        raise ValueError(
            f"`layer` {owner.name!r} ({type(owner).__name__}) was created inside a "
            "`keras.RematScope`: the second forward pass of rematerialisation would "
            "run on the raw kernel. Create it outside the scope."
        )
    else:
        return
    raise ValueError(
        f"`layer` {owner.name!r} ({type(owner).__name__}) {problem}, so its kernel is "
        "not a variable that can be normalized. Wrap the layer as it was, and apply "
        "that to what `sn_keras.fold(model)` returns."
    )


def _relative_name(variable: keras.Variable, layer: keras.layers.Layer) -> str:
    _, found, rest = f"/{variable.path}".rpartition(f"/{layer.name}/")
    return rest if found else variable.path


def _unique(name: str, kernels: list[Kernel]) -> str:
    # Layers inside a layer may have the same name.
    names = {kernel.name for kernel in kernels}
    numbered = (f"{name}_{i}" for i in range(1, len(kernels) + 1))
    return next(n for n in (name, *numbered) if n not in names)


def _selected(kernels: list[Kernel], names: Sequence[str]) -> list[Kernel]:
    def has(kernel: Kernel, name: str) -> bool:
        return f"/{name}/" in f"/{kernel.name}/"

    for name in names:
        if not any(has(kernel, name) for kernel in kernels):
            known = [kernel.name for kernel in kernels]
            parts = [*known, *(part for one in known for part in one.split("/"))]
            message = values.message("kernels", f"among {known}", name)
            raise ValueError(message + values.meant(name, parts))
    return [kernel for kernel in kernels if any(has(kernel, name) for name in names)]


def _refuse_unknown(layer: keras.layers.Layer, kernels: list[Kernel]) -> None:
    known = {id(kernel.variable) for kernel in kernels}
    # Of frozen layers too, which may be trained later.
    for weight in keras_private.trained_weights(layer):
        if (
            len(weight.shape) >= 2
            and id(weight) not in known
            and weight.name not in NOT_KERNELS
        ):
            raise ValueError(
                f"`layer` {layer.name!r} ({type(layer).__name__}) has the weight "
                f"{weight.path!r} of shape {tuple(weight.shape)}, which is not known "
                "as a kernel and would stay unnormalized. Name all kernels of its "
                f"class: {_registration(layer, [weight])}."
            )


def _registration(layer: keras.layers.Layer, weights: list[keras.Variable]) -> str:
    """Returns the call that names one of some weights, as far as it can be told."""
    ids = [id(weight) for weight in weights]
    found = [
        (type(owner).__name__, attribute)
        for owner in keras_private.flatten_layers(layer)
        for attribute, value in vars(owner).items()
        if id(value) in ids
    ]
    kind, attribute = (found or [(type(layer).__name__, "attribute")])[0]
    call = f"sn_keras.register_kernels({kind}, {attribute}=(-1,))"
    return f"`{call}`, with the axes that count as output"
