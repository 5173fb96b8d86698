"""The largest slope of each activation, and so its Lipschitz constant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

# By name in `keras.activations`. Where there is no closed form, the digits are of the
# maximum of the derivative, rounded up.
_SLOPES = {
    "linear": 1.0,
    "relu": 1.0,
    "relu6": 1.0,
    "leaky_relu": 1.0,
    "elu": 1.0,
    "celu": 1.0,
    "tanh": 1.0,
    "softplus": 1.0,
    "softsign": 1.0,
    "log_sigmoid": 1.0,
    "hard_tanh": 1.0,
    "soft_shrink": 1.0,
    "tanh_shrink": 1.0,
    "squareplus": 1.0,
    "sparse_plus": 1.0,
    "sigmoid": 0.25,
    "hard_sigmoid": 1 / 6,
    "sparse_sigmoid": 0.5,
    "selu": 1.7580994,
    "silu": 1.09984,
    "gelu": 1.129,  # and of its approximation by tanh
    "mish": 1.0885,
    "hard_silu": 1.5,
    # p ↦ diag(p) − p pᵀ has no eigenvalue above 1/2.
    "softmax": 0.5,
    # Not `sparsemax`: the projection onto the simplex has slope 1, but Keras' own, up
    # to 3.15, sums its cumulated sums, and jumps where an entry becomes 0.
}
_FUNCTIONS = {
    getattr(keras.activations, name): slope
    for name, slope in _SLOPES.items()
    if hasattr(keras.activations, name)
}


def of_function(function: Any) -> float | None:
    """Returns the slope of one of Keras' own activation functions, else None.

    A function that merely bears a known name is not known.
    """
    if function is None:
        return 1.0
    try:
        return _FUNCTIONS.get(function)
    except TypeError:  # not hashable
        return None


def of_operation(name: str, operation: Any) -> float | None:
    """Returns the slope of an operation such as `keras.ops.relu` makes, else None.

    Args:
        name: the operation's class.
        operation: the operation, for its arguments.
    """
    if name == "LeakyRelu":
        return max(1.0, abs(float(operation.negative_slope)))
    if name == "Elu":
        return max(1.0, abs(float(operation.alpha)))
    if not getattr(operation, _POSITIVE.get(name, ""), 1.0) > 0:
        return None
    return _OPERATIONS.get(name)


# `hard_sigmoid` makes a `HardSigmoid`. Those with arguments are above, or not here:
# a `Softmax` over an axis is, a `Mish` is made of several.
_OPERATIONS = {
    **{
        "".join(part.capitalize() for part in name.split("_")): slope
        for name, slope in _SLOPES.items()
        if name not in ("leaky_relu", "elu", "linear", "mish")
    },
    **dict.fromkeys(("Absolute", "Abs", "Sin", "Cos", "Arctan", "Clip"), 1.0),
}

# Without a sign these jump, or grow without bound.
_POSITIVE = {"Celu": "alpha", "Squareplus": "b", "SoftShrink": "threshold"}

_LAYERS: dict[type, Callable[[Any], float | None]] = {
    keras.layers.LeakyReLU: lambda layer: max(1.0, abs(float(layer.negative_slope))),
    # One with a threshold jumps there.
    keras.layers.ReLU: lambda layer: (
        None if layer.threshold else max(1.0, abs(float(layer.negative_slope)))
    ),
    keras.layers.ELU: lambda layer: max(1.0, abs(float(layer.alpha))),
    keras.layers.Softmax: lambda layer: 0.5,
    keras.layers.Activation: lambda layer: of_activation(layer.activation),
}


def of_activation(activation: Any) -> float | None:
    """Returns the slope of what a layer has as `activation`: a function or a layer."""
    if isinstance(activation, keras.layers.Layer):
        slope = _LAYERS.get(type(activation))
        return None if slope is None else slope(activation)
    return of_function(activation)


def of_layer(layer: keras.layers.Layer) -> float | None:
    """Returns the slope of an activation layer of exactly a known type, else None."""
    return of_activation(layer) if type(layer) in _LAYERS else None
