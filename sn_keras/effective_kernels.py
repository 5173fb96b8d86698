"""What the layers inside a model multiply by once all wrappers had their say."""

from __future__ import annotations

from typing import Any

import keras

from sn_keras.keras_private import flatten_layers
from sn_keras.reparameterization import Reparameterization
from sn_keras.substitution import Substitution


def effective_kernels(layer: keras.layers.Layer) -> dict[int, Any]:
    """Maps the ids of the kernels that wrappers inside `layer` replace to the tensors.

    Args:
        layer: a built layer or model, or a wrapper.

    Returns:
        `{id(variable): tensor}`, with what the innermost layer multiplies by in
        inference. Kernels that no wrapper replaces are left out.
    """
    values: dict[int, Any] = {}
    outer: list[tuple[Reparameterization, dict[int, Any]]] = []
    # Layers come outermost first, so a wrapper inside a wrapper reads what the outer
    # one made of the kernel, as it does in a forward pass. A wrapper beside it, around
    # the same layer, does not.
    for wrapper in flatten_layers(layer):
        if not isinstance(wrapper, Reparameterization):
            continue
        seen: dict[int, Any] = {}
        for other, made in outer:
            if wrapper in flatten_layers(other.layer):
                seen.update(made)
        inner = wrapper.layer.weights
        with Substitution([(w, seen[id(w)]) for w in inner if id(w) in seen]):
            substitutes = wrapper.substitutes(training=False)
        outer.append((wrapper, {id(kernel): value for kernel, value in substitutes}))
        values.update(outer[-1][1])
    return values
