"""SavedModels: for TensorFlow, and for TensorFlow Serving as they are."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from export import signatures, simplification
from export.generators import Generator


def write(generator: Generator, path: pathlib.Path) -> None:
    """Writes a SavedModel with the signatures `serving_default` and `sample`.

    `serving_default` takes `latents` (and `labels`), any number of them, and returns
    `images` in [−1, 1]. `sample` takes `count`, `seed`, `truncation` (and `labels`)
    and returns uint8 `images`.

    Args:
        generator: the generator.
        path: folder to write; made anew.
    """
    model = simplification.simplify(generator.model)
    generator = dataclasses.replace(generator, model=model)
    functions = {
        "serving_default": signatures.generate(generator),
        "sample": signatures.sample(generator),
    }
    write_functions(generator, functions, path)


def write_functions(
    generator: Generator, functions: Mapping[str, Any], path: pathlib.Path
) -> None:
    """Writes a SavedModel with the given signatures of a generator.

    Args:
        generator: the generator whose variables they use.
        functions: `tf.function`s with an input signature, by the signature's name.
        path: folder to write; made anew.
    """
    module = tf.Module()
    # The variables and nothing else of the model: a SavedModel needs no layers, and a
    # program that loads it then finds no Keras object in it.
    module.weights = [
        variable.value if hasattr(variable, "value") else variable
        for variable in generator.model.variables
    ]
    tf.saved_model.save(module, str(path), signatures=dict(functions))
