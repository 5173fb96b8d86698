"""Copies of models, made of their config and their own class objects."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any

import keras
from keras.layers import Layer

from sn_keras.keras_private import flatten_layers, freeze_alone, sublayers
from sn_keras.reparameterization import Reparameterization


def check_built(model: Any, purpose: str) -> None:
    """Raises unless `model` is a built layer or model."""
    if not isinstance(model, Layer):
        raise TypeError(
            "`model` must be a `keras.Model` or a `keras.layers.Layer`. "
            f"Received: model={model!r} (of type {type(model).__name__})"
        )
    if not model.built:
        raise ValueError(
            f"`model` {model.name!r} must be built before it can be {purpose}: call it "
            "on data or `build(input_shape)` first."
        )


class Rebuilding:
    """A copy of a layer or model, of its config and the classes that it is made of.

    A config names classes, and a name may stand for several: two classes of one name,
    a user's `Dense` beside Keras', `keras.layers.Add` beside the operation `Add` that
    `x + y` makes. So every object in the config is matched with the layer that it
    comes from, and gets a name of its own that stands for that layer's class.

    Args:
        model: the layer or model.
        replace: called with each layer that the config describes; what it returns, if
            not None, takes the place of the layer's class and needs a `from_config`.
    """

    def __init__(
        self, model: Layer, replace: Callable[[Layer], Any] = lambda layer: None
    ):
        self._model = model
        self._replace = replace
        self._layers = flatten_layers(model)
        self._objects: dict[str, Any] = {}

    def copy(self) -> Layer:
        """Returns the copy, built if its config says how, with weights of its own."""
        config = keras.saving.serialize_keras_object(self._model)
        self._name_objects(config, [self._model])
        # `safe_mode` guards against code in files; this config never left memory.
        return keras.saving.deserialize_keras_object(
            config, custom_objects=self._objects, safe_mode=False
        )

    def _name_objects(self, config: Any, within: list[Layer]) -> None:
        """Goes through a config; `within` are the layers that its objects may be."""
        if isinstance(config, (list, tuple)):
            for entry in config:
                self._name_objects(entry, within)
        if not isinstance(config, dict):
            return
        config.pop("compile_config", None)
        if {"class_name", "config", "module"} <= config.keys():
            layer = self._layer_of(config, within)
            if layer is None:
                self._name_object(config, _own_object(config, within))
            else:
                within = [*sublayers(layer), layer]
                _add_vocabulary(config["config"], layer)
                replacement = self._replace(layer)
                if replacement is not None:
                    # It builds what it returns itself.
                    config.pop("build_config", None)
                    self._name_object(config, replacement)
                elif not is_of_keras(type(layer)):
                    self._name_object(config, type(layer))
        elif config.get("class_name") == "__lambda__":
            self._name_object(config, _own_object(config, within))
        for value in config.values():
            self._name_objects(value, within)

    def _name_object(self, config: dict[str, Any], stands_for: Any) -> None:
        if stands_for is None:
            return
        name = f"sn_keras>copied {len(self._objects)}"
        self._objects[name] = stands_for
        config["registered_name"] = name
        if isinstance(stands_for, types.FunctionType):
            config.update(class_name="function", config=name)

    def _layer_of(self, config: dict[str, Any], within: list[Layer]) -> Layer | None:
        if not isinstance(config["config"], dict):
            return None

        def fits(layer: Layer) -> bool:
            return _is_named(type(layer), config["class_name"], config["module"])

        name = config["config"].get("name")
        near = [layer for layer in within if fits(layer) and layer.name == name]
        if near:
            return near[0]
        # Configs that users write may leave the name out, and hold layers of layers.
        found = [layer for layer in self._layers if fits(layer)]
        named = [layer for layer in found if layer.name == name] or found
        if len({type(layer) for layer in named}) > 1:
            raise ValueError(
                f"`model` {self._model.name!r} can't be copied: its config has a "
                f"{config['class_name']!r} named {name!r}, and several classes of this "
                "name are in use. Give the layers names of their own, and `name` to "
                "their config."
            )
        return named[0] if named else None


def build_like(model: Layer, copy: Layer) -> None:
    """Builds a copy as the model was built, unless it is built already."""
    if not copy.built:
        config = model.get_build_config()
        if config:
            copy.build_from_config(config)
    if not copy.built or (model.weights and not copy.weights):
        raise ValueError(
            f"`model` {model.name!r} of class {type(model).__name__} can't be copied: "
            "its copy could not be built. Implement `build(self, input_shape)`."
        )


def assign_weights(
    model: Layer,
    sources: list[keras.Variable],
    copy: Layer,
    targets: list[keras.Variable],
    values: dict[int, Any] | None = None,
) -> None:
    """Gives a copy of `model` its weights.

    Args:
        model: the model, for the message.
        sources: its weights, as far as the copy has them.
        copy: the copy.
        targets: the copy's, in the same order.
        values: what takes the place of some sources' values, by the sources' ids.
    """
    shapes = [tuple(weight.shape) for weight in sources]
    copy_shapes = [tuple(weight.shape) for weight in targets]
    if shapes != copy_shapes:
        raise ValueError(
            f"`model` {model.name!r} can't be copied: rebuilt from its config it has "
            f"weights of shapes {copy_shapes}, but {shapes} were expected. Does "
            "`get_config` return all that the constructor needs?"
        )
    for source, target in zip(sources, targets, strict=True):
        target.assign((values or {}).get(id(source), source))
        target.trainable = source.trainable
    finalize_states(copy)


def freeze_like(layers: Iterable[Layer], copies: Iterable[Layer]) -> None:
    """Freezes the copies of frozen layers; a config of one's own needn't say so.

    Args:
        layers: the layers.
        copies: theirs, in the same order; of others nothing is known and none frozen.
    """
    layers, copies = list(layers), list(copies)
    if list(map(type, layers)) == list(map(type, copies)):
        for layer, copy in zip(layers, copies, strict=True):
            freeze_alone(copy, not layer.trainable)


def finalize_states(model: Layer) -> None:
    """Has layers take what they run with from their weights: `Normalization` does."""
    for layer in flatten_layers(model):
        if callable(getattr(layer, "finalize_state", None)):
            layer.finalize_state()


def without_state(
    model: Layer, wrappers: list[Reparameterization]
) -> list[keras.Variable]:
    """Returns a model's weights but for those that some wrappers have of their own."""
    state = {id(w) for wrapper in wrappers for w in wrapper.state_variables}
    return [weight for weight in model.weights if id(weight) not in state]


def is_of_keras(kind: type) -> bool:
    """Whether a class is Keras' own."""
    return kind.__module__.partition(".")[0] == "keras"


def _add_vocabulary(config: dict[str, Any], layer: Layer) -> None:
    """Adds what a `StringLookup` or its like has learned by `adapt`, no weight."""
    vocabulary = getattr(layer, "get_vocabulary", None)
    if "vocabulary" in config and not config["vocabulary"] and callable(vocabulary):
        config["vocabulary"] = vocabulary(include_special_tokens=False) or None


def _names(kind: type) -> tuple[str, str | None]:
    """Returns a class's names in a config; Keras has no module for a script's own."""
    module = kind.__module__
    return kind.__name__, None if module == "__main__" else module


def _is_named(kind: type, name: str, module: str | None) -> bool:
    """Whether a config means a class by these names."""
    if _names(kind) == (name, module):
        return True
    # Keras writes its public names, `keras.layers` and no `keras.src.layers.core`.
    public: Any = keras
    for part in str(module).split(".")[1:]:
        public = getattr(public, part, None)
    return is_of_keras(kind) and getattr(public, name, None) is kind


def _own_object(config: dict[str, Any], within: list[Layer]) -> Any:
    """Returns a function, or the class of an initializer or such, of the user's own."""
    kind = config["class_name"]
    found: list[Any] = []
    for value in (value for layer in within for value in vars(layer).values()):
        if isinstance(value, types.FunctionType):
            wanted = "<lambda>" if kind == "__lambda__" else config["config"]
            fits = kind in ("function", "__lambda__") and value.__name__ == wanted
        else:
            value = type(value)
            fits = hasattr(value, "get_config") and not issubclass(value, Layer)
            fits = fits and _names(value) == (kind, config.get("module"))
        if fits and value not in found:
            found.append(value)
    return found[0] if len(found) == 1 else None
