"""The interval that a generator's images lie in, which bytes are made of."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from export import keras_private
from sn_keras import values

Range = tuple[float, float]

_ACTIVATIONS: dict[str, Range] = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "soft_sign": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
# Layers and operations through which values go unchanged, at most some of them.
_TRANSPARENT = (
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Flatten,
    keras.layers.Cropping2D,
    keras.layers.Identity,
    keras.layers.Dropout,
)
# How far outputs of an unknown activation may lie beyond the interval.
_MARGIN = 0.25


def read(model: keras.Model, images: np.ndarray) -> tuple[Range, str]:
    """Returns the interval of a generator's outputs, and what tells it.

    The last activation tells it, and a rescaling after it. After another one the
    outputs do, if they are such that one of [−1, 1], [0, 1] and [0, 255] alone
    explains them.

    Args:
        model: a plain generator.
        images: outputs of it.

    Raises:
        ValueError: if neither tells it.
    """
    low, high = float(images.min()), float(images.max())
    told = _of_activation(model)
    if told is not None:
        (least, most), name = told
        slack = 1e-3 * (most - least)
        if least - slack <= low and high <= most + slack:
            return (least, most), f"the last activation, {name}"
    found = _of_values(low, high)
    if found is None:
        raise ValueError(
            f"`output_range` must be given (`--output-range LOW HIGH`): the last layer "
            f"of {model.name!r} doesn't tell which values are black and white, and "
            f"its outputs, from {low:.3g} to {high:.3g}, are explained by none of "
            "[-1, 1], [0, 1] and [0, 255] alone."
        )
    return found, f"the outputs, from {low:.3g} to {high:.3g}"


def _of_activation(model: keras.Model) -> tuple[Range, str] | None:
    """Returns the interval that the end of the graph can reach, if that is known."""
    tensor, scale, offset = model.outputs[0], 1.0, 0.0
    while True:
        layer = keras_private.producer(tensor)
        name = _activation(layer)
        if name is not None:
            ends = sorted(scale * end + offset for end in _ACTIVATIONS[name])
            return (ends[0], ends[1]), name
        inputs = keras_private.calls(layer)
        if len(inputs) != 1 or len(inputs[0].input_tensors) != 1:
            return None
        if type(layer) is keras.layers.Rescaling:
            if np.ndim(layer.scale) or np.ndim(layer.offset):
                return None
            offset += scale * float(layer.offset)
            scale *= float(layer.scale)
        elif not isinstance(layer, _TRANSPARENT) and not _is_linear(layer):
            return None
        tensor = inputs[0].input_tensors[0]


def _activation(layer: Any) -> str | None:
    """Returns the name of a layer's activation, or of an operation that is one."""
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "")
    if not isinstance(layer, keras.layers.Layer):
        name = type(layer).__name__.lower()
    elif activation not in (
        getattr(module, name, None) for module in (keras.activations, keras.ops)
    ):
        return None  # a function of the user's own, whatever its name
    return name if name in _ACTIVATIONS else None


def _is_linear(layer: Any) -> bool:
    kind = type(layer) is keras.layers.Activation
    return kind and layer.activation is keras.activations.linear


def _of_values(low: float, high: float) -> Range | None:
    if -1 - _MARGIN <= low < -_MARGIN and high <= 1 + _MARGIN:
        return (-1.0, 1.0)
    if -0.01 <= low and 0.5 < high <= 1.01:
        return (0.0, 1.0)
    if -32 <= low and 32 < high <= 255 + 32:
        return (0.0, 255.0)
    return None


def check(given: Any) -> Range:
    """Returns a range that a user gave.

    Raises:
        TypeError: if it isn't two numbers.
        ValueError: if they aren't finite, the lower one first.
    """
    wanted = "two numbers, the lower one first"
    if isinstance(given, (str, bytes)) or np.ndim(given) != 1 or len(given) != 2:
        raise TypeError(values.message("output_range", wanted, given))
    low, high = (values.number("output_range", one) for one in given)
    if not low < high:
        raise ValueError(values.message("output_range", wanted, given))
    return low, high
