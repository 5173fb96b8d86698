"""Folding: a plain Keras model with the normalized kernels baked in."""

from __future__ import annotations

from typing import Any, TypeVar

import keras

from sn_keras.comparing import check_equal
from sn_keras.copying import (
    Rebuilding,
    assign_weights,
    build_like,
    check_built,
    freeze_like,
    without_state,
)
from sn_keras.effective_kernels import effective_kernels
from sn_keras.keras_private import flatten_layers, sublayers
from sn_keras.reparameterization import Reparameterization
from sn_keras.wrapping import unwrapping

LayerOrModel = TypeVar("LayerOrModel", bound=keras.layers.Layer)


def fold(model: LayerOrModel, inputs: Any = None) -> LayerOrModel:
    """Returns a copy without wrappers whose kernels are the normalized ones.

    Every `SpectralNormalization` (and other wrapper of this package) is replaced by
    the layer inside, which gets the wrapper's name and the kernel that the wrapper
    runs inference with. The copy has no `u` and no `v`, needs no `sn_keras` to be
    loaded, gives the same output in inference up to rounding, and shares no weight
    with `model`, which is left as it is. Folding twice is folding once. The compile
    state (optimizer, loss) is not copied. Before it is returned, the copy is compared
    with `model` on one input; a model that draws random numbers in inference can't be.

    Args:
        model: a built Sequential, Functional or subclassed model, or a layer. A
            subclassed model or layer needs `get_config` and `from_config` that
            rebuild it; wrappers that it creates in its own constructor are found.
        inputs: what to compare on: what the model is called on, or a tuple of several
            arguments. Defaults to random numbers of the shape that it was built for.

    Returns:
        An object of the same class; for a wrapper, of the class inside it.

    Raises:
        TypeError: if `model` is no layer.
        ValueError: if `model` is not built, is not rebuilt by its config with the
            same weights and outputs, can't be called on random numbers and has no
            `inputs` given, or uses a layer both inside a wrapper and elsewhere, so
            that it would need two kernels.

    Example:
    ```python
    plain = fold(discriminator)
    plain.save("discriminator.keras")  # loads without sn_keras
    ```
    """
    check_built(model, "folded")
    _check_wrapped_once(model)
    with unwrapping():
        plain = Rebuilding(model).copy()
        build_like(model, plain)
    wrappers = [x for x in flatten_layers(model) if isinstance(x, Reparameterization)]
    sources = without_state(model, wrappers)
    assign_weights(model, sources, plain, plain.weights, effective_kernels(model))
    layers = (x for x in flatten_layers(model) if not isinstance(x, Reparameterization))
    freeze_like(layers, flatten_layers(plain))
    check_equal(model, plain, inputs)
    return plain


def _check_wrapped_once(model: keras.layers.Layer) -> None:
    layers = flatten_layers(model)
    for wrapper in layers:
        if not isinstance(wrapper, Reparameterization):
            continue
        for parent in layers:
            if parent is not wrapper and wrapper.layer in sublayers(parent):
                raise ValueError(
                    f"`model` {model.name!r} can't be folded: its layer "
                    f"{wrapper.layer.name!r} is used with the kernel that "
                    f"{wrapper.name!r} makes and also by {parent.name!r} without it. "
                    "Share the wrapper instead of the layer inside."
                )
