"""The same function as one flat Keras model in float32, without wrappers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import sn_keras
from export.reading.copies import copied
from sn_keras.reparameterization import Reparameterization


def plain(model: keras.Model) -> keras.Model:
    """Returns a model that files can be made of; it shares no weight with `model`.

    - Wrappers of `sn_keras` are folded.
    - The layers of nested models become layers of the model itself: what follows
      (`simplification`) looks at one graph.
    - It computes in float32, whatever policy it was trained with: a mixed policy
      speeds training up, it is no property of the weights.

    Args:
        model: a built Functional or Sequential model.

    Raises:
        ValueError, TypeError: if the model can't be folded.
    """
    wrapped = any(
        isinstance(one, Reparameterization) for one in model._flatten_layers()
    )
    flat = sn_keras.fold(model) if wrapped else model
    while any(_is_nested(layer) for layer in flat.layers):
        flat = keras.models.clone_model(
            flat, clone_function=lambda layer: layer, call_function=_call_inside
        )
    copies: list[tuple[Any, Any]] = []

    def clone(layer: Any) -> Any:
        mixed = getattr(layer, "compute_dtype", "float32") != "float32"
        copy = copied(layer, dtype="float32") if mixed else copied(layer)
        copies.append((layer, copy))
        return copy

    # Once more even if all is float32: the layers of a nested model have calls in its
    # graph and in the flat one, and the copies have those of the flat one alone.
    flat = keras.models.clone_model(
        flat, clone_function=clone, call_function=_call_if_needed
    )
    for layer, copy in copies:
        if copy is not layer:
            copy.set_weights(layer.get_weights())
    return flat


def check_equal(model: keras.Model, copy: keras.Model, inputs: list[Any]) -> None:
    """Checks that a plain copy gives what the model gives, on some inputs.

    Files are compared with the copy, so an error in it would pass there.

    Args:
        model: the model.
        copy: what `plain` returned for it.
        inputs: for both.

    Raises:
        ValueError: if an output differs by more than rounding can explain.
    """
    computed = {
        getattr(layer, "compute_dtype", "") for layer in model._flatten_layers()
    }
    bound = 0.1 if computed & {"bfloat16", "float16"} else 1e-3
    # So that a copy which draws random numbers has others than the model.
    copy(inputs, training=False)
    found = (model(inputs, training=False), copy(inputs, training=False))
    for expected, actual in zip(*map(keras.tree.flatten, found), strict=True):
        wanted = keras.ops.convert_to_numpy(keras.ops.cast(expected, "float32"))
        error = np.abs(keras.ops.convert_to_numpy(actual) - wanted).mean()
        if not error <= bound * max(np.abs(wanted).mean(), 1e-6):
            raise ValueError(
                f"{model.name!r} can't be exported: a copy of it in float32, without "
                f"wrappers and nested models, differs from it by {error:.1e} in the "
                "mean. Does a layer draw random numbers in inference, or keep a state "
                "that is no weight?"
            )


def _is_nested(layer: Any) -> bool:
    """Whether a layer is a graph of layers and nothing besides."""
    kind = type(layer)
    return kind is keras.Sequential or (
        kind.__name__ == "Functional" and kind.__module__.startswith("keras.")
    )


def _call_inside(layer: Any, *arguments: Any, **options: Any) -> Any:
    """Calls a layer, or in place of a nested model its layers."""
    if _is_nested(layer):
        return layer.call(*arguments, **options)
    return layer(*arguments, **options)


def _call_if_needed(layer: Any, *arguments: Any, **options: Any) -> Any:
    """Calls a layer, but for conversions of a tensor to what it is already.

    A nested model converts its inputs, and batch norm would not be folded across it.
    """
    if type(layer).__name__ == "ConvertToTensor":
        old, new = arguments[0].dtype, layer.dtype or arguments[0].dtype
        if old == new or (old == "float32" and "float" in new):
            return arguments[0]
    return layer(*arguments, **options)
