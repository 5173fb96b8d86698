"""What is known of a tensor's Lipschitz constants, and the form of a rule."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """What is known of a tensor.

    Attributes:
        shape: its shape, with None for unknown sizes; empty if nothing is known.
        bounds: its Lipschitz constant with respect to each input of the model, by the
            input's index; without those that it doesn't depend on.
        rows: what a sample of it is one of, shape `(rows, entries)`, if it was looked
            up by integers; else None.
        summed: by how much a sum of it within a sample is longer at most, if that is
            known beside its size; else None.
    """

    shape: Shape
    bounds: dict[int, float]
    rows: np.ndarray | None = None
    summed: float | None = None

    def scaled(self, factor: float) -> Tensor:
        """Returns what a map of the Lipschitz constant `factor` makes of it."""
        bounds = {i: factor * bound for i, bound in self.bounds.items()}
        return Tensor(self.shape, bounds)


class UnknownBoundError(ValueError):
    """A layer or operation without a known bound; the message says why."""


Rule = Callable[[Any, Any, Sequence[Any], Any], Tensor]


def to_float64(value: Any) -> np.ndarray:
    """Returns a variable's or tensor's value as a float64 array."""
    # Not `cast` to float64: JAX has none unless it is told to.
    value = value.value if isinstance(value, keras.Variable) else value
    return np.asarray(keras.ops.convert_to_numpy(value)).astype("float64")


def broadcast(walk: Any, layer: Any, shape: Shape, to: Shape | None) -> float:
    """Returns by how much a tensor's norm grows as it is repeated along axes."""
    if to is None or tuple(shape) == tuple(to):
        return 1.0
    repeats = 1
    for size, wanted in zip((1,) * (len(to) - len(shape)) + shape, to, strict=True):
        if size == 1 and wanted != 1:
            if wanted is None:
                raise walk.unknown(layer, "repeats along an axis of unknown size")
            repeats *= wanted
    return math.sqrt(repeats)


def unary(factor: float | Callable[[Any, Any, Any, Any], float]) -> Rule:
    """Makes the rule of a map of one tensor from its Lipschitz constant."""

    def rule(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
        x = arguments[0]
        constant = factor(walk, layer, x, shape) if callable(factor) else factor
        return x.scaled(constant)

    return rule


SAME = unary(1.0)


def rearranged(walk: Any, layer: Any, arguments: Sequence[Any], shape: Any) -> Tensor:
    """The rule of a layer that returns each sample's entries, in another order."""
    return arguments[0]
