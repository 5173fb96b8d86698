"""Which linear map a kernel's spectral norm is that of: its matrix, or the layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from sn_keras import values
from sn_keras.convolution_operators import (
    CONVOLUTIONS,
    Adjoint,
    Convolution,
    Size,
    convolution,
    standardized,
)
from sn_keras.kernels import Kernel
from sn_keras.power_iteration import Matrix

NORMS = ("kernel", "operator")

# Layers that multiply by their kernel's matrix.
_DENSE = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Embedding)


@dataclasses.dataclass(frozen=True)
class KernelMatrix(Matrix):
    """The `d_out × d_in` matrix of a kernel."""

    kernel: Kernel

    @property
    def v_shape(self) -> Size:
        """Shape of the right singular vector."""
        return (self.kernel.d_in,)

    @property
    def u_shape(self) -> Size:
        """Shape of the left singular vector."""
        return (self.kernel.d_out,)

    def weight(self, value: Any) -> Any:
        """Returns `Wᵀ`."""
        return self.kernel.matrix_t(value)


def linear_map(
    kernel: Kernel, norm: str, size: int | Sequence[int] | None
) -> KernelMatrix | Convolution | Adjoint:
    """Returns the linear map whose norm is asked for.

    Args:
        kernel: a kernel of a built layer.
        norm: "kernel", or "operator" for the layer's own map.
        size: of a convolution's input for "operator", an integer or one a spatial
            axis; None is what it was built for.

    Raises:
        ValueError: if the layer that has the kernel is no linear map, or the size of
            its input is not known.
    """
    if norm == "kernel":
        return KernelMatrix(kernel)
    if has_input_size(kernel):
        rank = len(kernel.shape) - 2
        size = _built_size(kernel) if size is None else standardized(size, rank)
        if len(size) != rank:
            wanted = f"an integer or {rank} of them for {kernel.owner!r}"
            raise ValueError(values.message("input_size", wanted, size))
        return convolution(kernel, size)
    if not _is_dense(kernel):
        owner = kernel.owner
        raise ValueError(
            "`norm` can't be 'operator' for a layer that is no linear map of its input "
            "which Keras has as one operation. Received: "
            f"layer={owner!r}. With norm='kernel' each of its kernels is normalized as "
            "the matrix that it is."
        )
    return KernelMatrix(kernel)


def has_input_size(kernel: Kernel) -> bool:
    """Whether a kernel's operator norm depends on the size of its layer's input."""
    # A convolution with 1×1 kernels has the norm of its matrix at any size.
    if kernel.attribute == "pointwise_kernel":
        return False
    return _is_one_of(kernel.owner, CONVOLUTIONS)


def _is_dense(kernel: Kernel) -> bool:
    layer: Any = kernel.owner
    if isinstance(layer, keras.layers.EinsumDense):
        operands, output = layer.equation.replace(" ", "").split("->")
        inputs, weight = operands.split(",")
        # A label of all three is one matrix for each of its values.
        if set(inputs) & set(weight) & set(output) - {"."}:
            return False
        # One that is summed without a weight adds up to more than the matrix says.
        if set(inputs) - set(output) - {"."} != set(weight) - set(output):
            return False
    if kernel.attribute == "pointwise_kernel":
        return _is_one_of(layer, CONVOLUTIONS)
    return _is_one_of(layer, _DENSE)


def _is_one_of(layer: Any, classes: tuple[Any, ...]) -> bool:
    # A subclass with a `call` of its own may compute anything.
    return any(isinstance(layer, c) and type(layer).call is c.call for c in classes)


def _built_size(kernel: Kernel) -> Size:
    layer: Any = kernel.owner
    shape = (layer.get_build_config() or {}).get("input_shape")
    if shape is not None:
        first = layer.data_format == "channels_first"
        size = tuple(shape[2:] if first else shape[1:-1])
        if None not in size:
            return size
    axes = len(kernel.shape) - 2
    raise ValueError(
        "`input_size` must be given: the norm of a convolution depends on the size of "
        f"its input, and {layer.name!r} was built for inputs of shape {shape}. "
        "For instance `SpectralNormalization(layer, norm='operator', "
        f"input_size={(32,) * axes})`."
    )
