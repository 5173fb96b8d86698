"""SavedModels: for TensorFlow, and for TensorFlow Serving as they are."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from export.formats import metadata, signatures
from export.inference import simplification
from export.reading.loading import Generator

# TensorFlow keeps its hands off this folder of a SavedModel.
DESCRIPTION = "assets.extra/description.json"


def write(generator: Generator, path: pathlib.Path) -> None:
    """Writes a SavedModel with the signatures `serving_default` and `sample`.

    `serving_default` takes `latents` (and `labels`), any number of them, and returns
    `images` in the generator's own range. `sample` takes `count`, `seed`,
    `truncation` (and `labels`) and returns uint8 `images`.
    `assets.extra/description.json` says what each input and output means: signatures
    have no place for it.

    Args:
        generator: the generator.
        path: folder to write; made anew.

    Raises:
        OSError: if it can't be written.
    """
    model = simplification.simplify(generator.model)
    generator = dataclasses.replace(generator, model=model)
    functions = {
        "serving_default": signatures.generate(generator),
        "sample": signatures.sample(generator),
    }
    write_functions(model.variables, functions, path)
    described = {
        **metadata.describe(generator),
        "signatures": signatures.describe(generator),
    }
    write_description(described, path)


def write_functions(
    variables: Iterable[Any], functions: Mapping[str, Any], path: pathlib.Path
) -> None:
    """Writes a SavedModel with the given signatures.

    Args:
        variables: that they use.
        functions: `tf.function`s with an input signature, by the signature's name.
        path: folder to write; made anew.

    Raises:
        OSError: if it can't be written.
    """
    module = tf.Module()
    # The variables and nothing else of the model: a SavedModel needs no layers, and a
    # program that loads it then finds no Keras object in it.
    module.weights = [
        variable.value if hasattr(variable, "value") else variable
        for variable in variables
    ]
    try:
        tf.saved_model.save(module, str(path), signatures=dict(functions))
    except tf.errors.OpError as error:
        # A full disk, most of all, has no error of Python's own in TensorFlow.
        raise OSError(f"{path} can't be written: {error.message}") from error


def write_description(content: dict[str, Any], path: pathlib.Path) -> None:
    """Writes what a SavedModel's inputs and outputs mean into its folder.

    Args:
        content: anything that JSON can express.
        path: the SavedModel.
    """
    file = path / DESCRIPTION
    file.parent.mkdir()
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
