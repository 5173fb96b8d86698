"""Gradients on every backend, and float64 where it has to be asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np


def numpy(value: Any) -> np.ndarray:
    """A tensor or variable as an array."""
    value = value.value if isinstance(value, keras.Variable) else value
    return keras.ops.convert_to_numpy(value)


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """JAX computes in float32 unless it is told otherwise."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.enable_x64(True):
            yield
    else:
        yield


def gradients(
    function: Callable[[], Any], variables: Sequence[keras.Variable]
) -> list[np.ndarray]:
    """Gradients of the scalar `function()` with respect to variables."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = function()
        found = tape.gradient(loss, [variable.value for variable in variables])
        return [np.asarray(tf.convert_to_tensor(gradient)) for gradient in found]
    if backend == "jax":
        import jax

        @jax.jit
        @jax.grad
        def gradient(values):
            with keras.StatelessScope(list(zip(variables, values, strict=True))):
                return function()

        return [np.asarray(g) for g in gradient([v.value for v in variables])]
    for variable in variables:
        variable.value.grad = None
    function().backward()
    return [numpy(variable.value.grad) for variable in variables]


def total(outputs: Any, seed: int = 11) -> Any:
    """A fixed linear functional of a layer's outputs: their product with noise."""
    result = 0.0
    rng = np.random.default_rng(seed)
    for output in keras.tree.flatten(outputs):
        weights = rng.normal(size=output.shape).astype("float32")
        weights = keras.ops.convert_to_tensor(weights, dtype=output.dtype)
        result += keras.ops.sum(output * weights)
    return result
