"""The Lipschitz constants of products with a row that was looked up by a label.

For a fixed label `y`, `h ↦ e(y)·h` is linear, and its norm is the length of the row
`e(y)` of the embedding; over all labels the bound is the longest row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from sn_keras.bounds import Tensor, broadcast

OF_TWO = (
    "is a product of two inputs, and neither is a row that an `Embedding` has for an "
    "integer, so that the slope grows with the inputs"
)


def product_of(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    """Entry by entry: by the largest entry of a row."""
    x, rows = _factors(walk, layer, arguments)
    if x is None:
        return Tensor((), {})
    largest = math.prod(float(np.abs(row.rows).max()) for row in rows)
    product = x.scaled(largest * broadcast(walk, layer, x.shape, shape))
    if shape is None or not x.shape == rows[0].shape == tuple(shape) or largest == 0:
        return product
    if len(rows) > 1:
        return product
    # `Σ e_i h_i`, however many there are, is at most `‖e‖ ‖h‖`.
    return Tensor(product.shape, product.bounds, summed=_longest(rows[0]) / largest)


def dot_of(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    """Summed over an axis: by the longest row."""
    if layer.normalize:
        raise walk.unknown(layer, "divides by the lengths of its inputs")
    x, rows = _factors(walk, layer, arguments)
    if x is None:
        return Tensor((), {})
    return x.scaled(_longest(rows[0]))


def _factors(
    walk: Any, layer: Any, arguments: Sequence[Any]
) -> tuple[Tensor | None, list[Any]]:
    """Returns the factor that depends on the model's inputs, and the others."""
    factors = keras.tree.flatten(list(arguments))
    if not all(isinstance(x, Tensor) for x in factors):
        raise walk.unknown(layer, "has a factor that is no layer's output")
    varying = [x for x in factors if x.bounds]
    fixed = [x for x in factors if not x.bounds]
    if len(varying) > 1 or (varying and any(x.rows is None for x in fixed)):
        raise walk.unknown(layer, OF_TWO)
    return (varying[0] if varying else None), fixed


def _longest(x: Any) -> float:
    return float(np.linalg.norm(x.rows, axis=-1).max())
