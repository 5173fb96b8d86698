"""The Lipschitz constants of the operations of `keras.ops`, and of merging tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from sn_keras.bounds import SAME, Rule, Tensor, broadcast, to_float64, unary
from sn_keras.convolution_norms import spectral_norm
from sn_keras.product_bounds import OF_TWO, product_of


def _merged(
    signs: Callable[[int], float], root: bool = False
) -> Callable[[Any, Any, Sequence[Any], Any], Tensor]:
    """Makes the rule of a sum with the given factors, or of what lies side by side."""

    def rule(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
        flat = keras.tree.flatten(list(arguments))
        parts = [x for x in flat if isinstance(x, Tensor)]
        factor = signs(len(flat))
        if not root:
            parts = [
                x.scaled(factor * broadcast(walk, layer, x.shape, shape)) for x in parts
            ]
        bounds = {}
        for i in {i for x in parts for i in x.bounds}:
            each = [x.bounds.get(i, 0.0) for x in parts]
            bounds[i] = math.hypot(*each) if root else sum(each)
        return Tensor(parts[0].shape, bounds)

    return rule


def larger_of(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    """Of two, each entry is that of one: side by side, after both are broadcast."""
    flat = keras.tree.flatten(list(arguments))
    parts = [
        x.scaled(broadcast(walk, layer, x.shape, shape))
        for x in flat
        if isinstance(x, Tensor)
    ]
    return side_by_side(walk, layer, parts, shape)


def _product(walk: Any, operation: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    if all(isinstance(x, Tensor) for x in arguments):
        return product_of(walk, operation, arguments, shape)
    return _times_constant(walk, operation, arguments, shape, lambda c: np.abs(c).max())


def _quotient(
    walk: Any, operation: Any, arguments: Sequence[Any], shape: Any
) -> Tensor:
    if not isinstance(arguments[0], Tensor):
        raise walk.unknown(operation, "divides by an input")
    return _times_constant(
        walk, operation, arguments, shape, lambda c: 1 / np.abs(c).min()
    )


def _matmul(walk: Any, operation: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    if np.ndim(arguments[-1]) != 2:
        raise walk.unknown(operation, OF_TWO)
    return _times_constant(walk, operation, arguments, None, spectral_norm)


def _times_constant(
    walk: Any, operation: Any, arguments: Sequence[Any], shape: Any, factor: Any
) -> Tensor:
    tensors = [x for x in arguments if isinstance(x, Tensor)]
    constants = [x for x in arguments if not isinstance(x, Tensor)]
    if len(tensors) != 1 or len(constants) != 1:
        raise walk.unknown(operation, OF_TWO)
    x = tensors[0]
    repeated = broadcast(walk, operation, x.shape, shape)
    return x.scaled(repeated * float(factor(to_float64(constants[0]))))


def _repeat(walk: Any, operation: Any, x: Any, shape: Any) -> float:
    return math.sqrt(np.max(operation.repeats))


def _tile(walk: Any, operation: Any, x: Any, shape: Any) -> float:
    return math.sqrt(math.prod(np.atleast_1d(operation.repeats).tolist()))


def _sum(walk: Any, operation: Any, x: Any, shape: Any) -> float:
    if x.summed is not None and 0 not in _axes(operation, x):
        return x.summed
    return math.sqrt(_count(walk, operation, x))


def _mean(walk: Any, operation: Any, x: Any, shape: Any) -> float:
    return _sum(walk, operation, x, shape) / _count(walk, operation, x)


def _count(walk: Any, operation: Any, x: Any) -> int:
    sizes = [x.shape[axis] for axis in _axes(operation, x)]
    if None in sizes:
        raise walk.unknown(operation, "sums over an axis of unknown size")
    return math.prod(int(size or 0) for size in sizes)


def _axes(operation: Any, x: Any) -> list[int]:
    rank = len(x.shape)
    axes = range(rank) if operation.axis is None else np.atleast_1d(operation.axis)
    return [int(axis) % rank for axis in axes]


def _cast(walk: Any, operation: Any, x: Any, shape: Any) -> float:
    kind = operation.dtype
    if kind is not None and "float" not in keras.backend.standardize_dtype(kind):
        raise walk.unknown(operation, "rounds to integers")
    return 1.0


def _slice(walk: Any, operation: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    keys = arguments[1]
    keys = keys if isinstance(keys, (tuple, list)) else (keys,)
    plain = (int, slice, type(Ellipsis), type(None))
    if not all(isinstance(key, plain) for key in keys):
        raise walk.unknown(operation, "takes entries by an array of indices")
    return arguments[0].scaled(1.0)


def _pad(walk: Any, operation: Any, x: Any, shape: Any) -> float:
    if operation.mode != "constant":
        raise walk.unknown(operation, f"pads by {operation.mode!r}")
    return 1.0


sum_of = _merged(lambda count: 1.0)
average_of = _merged(lambda count: 1 / count)
side_by_side = _merged(lambda count: 1.0, root=True)

# By the names of the classes that the functions of `keras.ops` make.
OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(
        "Reshape Transpose Moveaxis Swapaxes Ravel Squeeze ExpandDims Flip Roll Split "
        "Copy Negative Max Min Amax Amin StopGradient Sort Tril Triu "
        "Unstack Diagonal".split(),
        SAME,
    ),
    **dict.fromkeys(("Add", "Subtract"), sum_of),
    **dict.fromkeys(("Maximum", "Minimum"), larger_of),
    **dict.fromkeys(
        ("Concatenate", "Stack", "Hstack", "Vstack", "Dstack", "Append"), side_by_side
    ),
    **dict.fromkeys(("Divide", "TrueDivide"), _quotient),
    "Multiply": _product,
    "Matmul": _matmul,
    "Sum": unary(_sum),
    "Mean": unary(_mean),
    "Repeat": unary(_repeat),
    "Tile": unary(_tile),
    **dict.fromkeys(("Cast", "ConvertToTensor"), unary(_cast)),
    "Pad": unary(_pad),
    "GetItem": _slice,
}
