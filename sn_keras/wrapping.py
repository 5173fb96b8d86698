"""What a wrapper takes from the layer inside, and what it hands on to it."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from sn_keras.keras_private import flatten_layers
from sn_keras.kernels import find_kernels

# Set while `fold` rebuilds a model: see `Reparameterization.__new__`. A context
# variable, so that another thread that builds a model meanwhile is not touched.
_unwrapping: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "sn_keras_unwrapping", default=False
)


@contextlib.contextmanager
def unwrapping() -> Iterator[None]:
    """Inside this scope a wrapper's constructor returns the layer it would wrap."""
    token = _unwrapping.set(True)
    try:
        yield
    finally:
        _unwrapping.reset(token)


def is_unwrapping() -> bool:
    """Returns whether that is so."""
    return _unwrapping.get()


def check_layer(layer: Any) -> None:
    """Raises unless `layer` is a layer that holds none of Keras' wrappers."""
    if not isinstance(layer, keras.layers.Layer):
        raise TypeError(
            "`layer` must be a `keras.layers.Layer` instance. "
            f"Received: layer={layer!r} (of type {type(layer).__name__})"
        )
    peer = keras.layers.SpectralNormalization
    if any(isinstance(inner, peer) for inner in flatten_layers(layer)):
        raise ValueError(
            "`layer` must not be or hold a `keras.layers.SpectralNormalization`, which "
            "overwrites the kernel in training calls. Wrap the layer inside it, or let "
            "`sn_keras.migrate` replace it in a model. "
            f"Received: layer={layer!r}"
        )


def check_not_taken_apart(wrapper: type, options: Mapping[str, Any]) -> None:
    """Raises if a wrapper is made by `Bidirectional`, which adds an option."""
    if "go_backwards" in options:
        raise ValueError(
            f"A {wrapper.__name__} can't be placed inside "
            "`keras.layers.Bidirectional`, which takes its layer apart. Write "
            f"`{wrapper.__name__}(Bidirectional(layer))` instead: both "
            "directions are normalized, each by itself."
        )


def kernel_axes(wrapper: Any) -> dict[str, Any]:
    """Returns, as JSON, which axes of each kernel count as output.

    `register_kernels` may have said so, which the process that loads needn't know.
    """
    found = find_kernels(wrapper.layer, wrapper.kernels)
    return {"output_axes": [list(kernel.output_axes) for kernel in found]}


def check_kernel_axes(wrapper: Any, saved: Mapping[str, Any]) -> None:
    """Raises a ValueError if a wrapper was saved with other axes, if that is known."""
    if "output_axes" not in saved or not wrapper.built:
        return
    found = kernel_axes(wrapper)["output_axes"]
    if found != saved["output_axes"]:
        raise ValueError(
            f"The layer {wrapper.name!r} was saved with kernels whose output axes are "
            f"{saved['output_axes']}, and here they are {found}. Call "
            "`sn_keras.register_kernels` as before it was saved."
        )


def default_name(wrapper: type, layer: keras.layers.Layer) -> str:
    """Returns a name that no wrapper has had yet, such as `…_normalization_conv2d`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", wrapper.__name__).lower()
    prefix = f"{words}_{layer.name}"
    number = keras.backend.get_uid(prefix)
    return prefix if number == 1 else f"{prefix}_{number - 1}"


def give_dtype(dtype: Any, layer: keras.layers.Layer) -> None:
    """Gives a layer the policy that its wrapper was given, if it can still take it."""
    if dtype is None:
        return
    policy = keras.dtype_policies.get(dtype)
    if policy.name == layer.dtype_policy.name:
        return
    if layer.built or len(flatten_layers(layer)) > 1 or policy.quantization_mode:
        raise ValueError(
            "`dtype` can't be given to a layer that is built or holds other layers: "
            f"give it to `layer`, as in `{type(layer).__name__}(…, "
            f"dtype={policy.name!r})`. Received: dtype={policy.name!r} around a layer "
            f"of dtype policy {layer.dtype_policy.name!r}"
        )
    layer.dtype_policy = policy


def with_training(signature: inspect.Signature) -> inspect.Signature:
    """Returns a signature that has an argument `training`."""
    parameters = list(signature.parameters.values())
    if "training" in signature.parameters:
        return signature
    last = parameters[-1:] if parameters[-1].kind is parameters[-1].VAR_KEYWORD else []
    training = inspect.Parameter(
        "training", inspect.Parameter.KEYWORD_ONLY, default=None
    )
    parameters = [*parameters[: len(parameters) - len(last)], training, *last]
    return signature.replace(parameters=parameters)


def symbolic(x: Any) -> Any:
    """Returns a symbolic tensor like `x`, or what is no tensor as it is."""
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        dtype = keras.backend.standardize_dtype(x.dtype)
        return keras.KerasTensor(tuple(x.shape), dtype)
    return x
