"""Copies of layers, from which models are made anew."""

from __future__ import annotations

from typing import Any

import keras


def copied(layer: Any, **changes: Any) -> Any:
    """Returns a new layer of the same class and configuration, without its weights.

    Args:
        layer: a layer. A `Lambda`, whose function Keras can't rebuild, and an
            operation of `keras.ops` are returned: they have no state.
        changes: entries of its configuration to replace.
    """
    if isinstance(layer, keras.layers.Lambda):
        return layer
    if not isinstance(layer, keras.layers.Layer):
        return layer
    config = keras.saving.serialize_keras_object(layer)
    config["config"].update(changes)
    # The copy is built when it is called, perhaps on other shapes.
    config.pop("build_config", None)
    # `safe_mode` guards against code in files: this layer is in memory already, and
    # was not loaded from a file if it holds any.
    return keras.saving.deserialize_keras_object(
        config, custom_objects={type(layer).__name__: type(layer)}, safe_mode=False
    )
