"""Folding: a plain Keras model with the normalized kernels baked in."""

from __future__ import annotations

from typing import TypeVar

import keras

from sn_keras.effective_kernels import effective_kernels
from sn_keras.reparameterization import Reparameterization, unwrapping

LayerOrModel = TypeVar("LayerOrModel", bound=keras.layers.Layer)


def fold(model: LayerOrModel) -> LayerOrModel:
    """Returns a copy without wrappers whose kernels are the normalized ones.

    Every `SpectralNormalization` (and other wrapper of this package) is replaced by
    the layer inside, which gets the wrapper's name and the kernel that the wrapper
    runs inference with. The copy has no `u` and no `v`, needs no `sn_keras` to be
    loaded, gives the same output in inference up to rounding, and shares no weight
    with `model`, which is left as it is. Folding twice is folding once. The compile
    state (optimizer, loss) is not copied.

    Args:
        model: a built Sequential, Functional or subclassed model, or a layer. A
            subclassed model or layer needs `get_config` and `from_config` that
            rebuild it; wrappers that it creates in its own constructor are found.

    Returns:
        An object of the same class; for a wrapper, of the class inside it.

    Raises:
        TypeError: if `model` is no layer.
        ValueError: if `model` is not built, is not rebuilt by its config with the
            same weights, or uses a layer both inside a wrapper and elsewhere, so that
            it would need two kernels.

    Example:
    ```python
    plain = fold(discriminator)
    plain.save("discriminator.keras")  # loads without sn_keras
    ```
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(
            "`model` must be a `keras.Model` or a `keras.layers.Layer`. "
            f"Received: model={model!r} (of type {type(model).__name__})"
        )
    if not model.built:
        raise ValueError(
            f"`model` {model.name!r} must be built before it can be folded: call it on "
            "data or `build(input_shape)` first."
        )
    layers = model._flatten_layers()
    _check_wrapped_once(model, layers)
    classes = {type(layer).__name__: type(layer) for layer in layers}
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)
    with unwrapping():
        # `safe_mode` guards against code in files; this config never left memory.
        plain = keras.saving.deserialize_keras_object(
            config, custom_objects=classes, safe_mode=False
        )
    if not plain.built:
        _build_like(model, plain)
    _copy_weights(model, plain, layers)
    return plain


def _check_wrapped_once(
    model: keras.layers.Layer, layers: list[keras.layers.Layer]
) -> None:
    for wrapper in layers:
        if not isinstance(wrapper, Reparameterization):
            continue
        for parent in layers:
            if parent is not wrapper and wrapper.layer in parent._layers:
                raise ValueError(
                    f"`model` {model.name!r} can't be folded: its layer "
                    f"{wrapper.layer.name!r} is used with the kernel that "
                    f"{wrapper.name!r} makes and also by {parent.name!r} without it. "
                    "Share the wrapper instead of the layer inside."
                )


def _build_like(model: keras.layers.Layer, plain: keras.layers.Layer) -> None:
    config = model.get_build_config()
    if config:
        plain.build_from_config(config)
    if not plain.built or (model.weights and not plain.weights):
        raise ValueError(
            f"`model` {model.name!r} of class {type(model).__name__} can't be folded: "
            "its copy could not be built. Implement `build(self, input_shape)`."
        )


def _copy_weights(
    model: keras.layers.Layer,
    plain: keras.layers.Layer,
    layers: list[keras.layers.Layer],
) -> None:
    wrappers = [layer for layer in layers if isinstance(layer, Reparameterization)]
    state = {id(w) for wrapper in wrappers for w in wrapper.state_variables}
    sources = [weight for weight in model.weights if id(weight) not in state]
    folded = effective_kernels(model)
    shapes = [tuple(weight.shape) for weight in sources]
    plain_shapes = [tuple(weight.shape) for weight in plain.weights]
    if shapes != plain_shapes:
        raise ValueError(
            f"`model` {model.name!r} can't be folded: rebuilt from its config it has "
            f"weights of shapes {plain_shapes}, but {shapes} were expected. Does "
            "`get_config` return all that the constructor needs?"
        )
    for source, target in zip(sources, plain.weights, strict=True):
        target.assign(folded.get(id(source), source))
