"""The weights of SavedModels that Keras 2 wrote."""

from __future__ import annotations

import importlib
import os
from typing import Any

import keras

from sn_keras.addons_files import COPY_IN_SAVED_MODEL, AddonsWeightNormalization

# What a Keras 2 layer calls the variables that are here called otherwise.
_NAMES_IN_CHECKPOINTS = {
    "kernel": ("kernel", "w"),
    "embeddings": ("embeddings", "w"),
    "vector_u": ("vector_u", "u", "sn_u"),
}


def load_saved_model(model: keras.Model, folder: str) -> None:
    """Reads the weights of a SavedModel that Keras 2 wrote into a model of its layers.

    Raises:
        ValueError: if there is no value, or more than one, for a weight.
    """
    try:
        # By its name: `sn_keras` is for all backends, and only this format is
        # TensorFlow's own.
        tensorflow = importlib.import_module("tensorflow")
    except ImportError as error:
        raise ValueError("A SavedModel can be read where TensorFlow is.") from error
    variables = os.path.join(folder, "variables", "variables")
    if not os.path.exists(f"{variables}.index"):
        raise ValueError(f"There is no SavedModel in {folder!r}.")
    reader = tensorflow.train.load_checkpoint(variables)
    values = {}
    for key in reader.get_variable_to_shape_map():
        path, found, _ = key.partition("/.ATTRIBUTES/VARIABLE_VALUE")
        if found and COPY_IN_SAVED_MODEL not in path:
            values[path] = reader.get_tensor(key)
    _assign(model, "", values)


def _assign(model: Any, prefix: str, values: dict[str, Any]) -> None:
    weighted = [layer for layer in model.layers if layer.weights]
    for index, layer in enumerate(weighted):
        path = f"{prefix}layer_with_weights-{index}/"
        if isinstance(layer, keras.Model):
            _assign(layer, path, values)
            continue
        for weight in layer.weights:
            names = _NAMES_IN_CHECKPOINTS.get(weight.name, (weight.name,))
            if isinstance(layer, AddonsWeightNormalization) and weight is layer.v:
                names = ("v",)
            found = [
                value
                for key, value in values.items()
                if key.startswith(path)
                and key.rpartition("/")[2] in names
                and value.shape == tuple(weight.shape)
            ]
            if len(found) != 1:
                raise ValueError(
                    f"It has {len(found)} values of shape {tuple(weight.shape)} for "
                    f"{weight.path!r} under {path!r}."
                )
            weight.assign(found[0])
