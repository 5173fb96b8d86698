"""Which layer an operation of a graph belongs to."""

from __future__ import annotations

import re

import keras


def layer_of(path: str, model: keras.Model) -> str | None:
    """Returns the layer that the name of a graph's operation begins with.

    Args:
        path: the operation's name, such as `model_1/dense_1/MatMul`.
        model: whose layers to look among.
    """
    names = [layer.name for layer in model.layers]
    for part in path.split("/"):
        # A layer that is called a second time gets a number in the graph.
        for name in (part, re.sub(r"_\d+$", "", part)):
            if name in names:
                return name
    return None
