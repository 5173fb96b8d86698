"""Errors that are not about an argument's value, and the layer that one is about."""

from __future__ import annotations

import re
from collections.abc import Mapping


class VerificationError(RuntimeError):
    """An exported file does not do what the Keras model does."""


class ConversionError(RuntimeError):
    """A format can't express the model."""


def layer_of(path: str, names: Mapping[str, str]) -> str | None:
    """Returns the layer that the name of a graph's operation begins with.

    Args:
        path: the operation's name, such as `model_1/dense_1/MatMul`.
        names: what the user calls each layer, by its name in the graph.
    """
    for part in path.split("/"):
        # A layer that is called a second time gets a number in the graph.
        for name in (part, re.sub(r"_\d+$", "", part)):
            if name in names:
                return names[name]
    return None
