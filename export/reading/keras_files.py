"""Reading `.keras` files, and saying what is wrong with those that can't be read."""

from __future__ import annotations

import json
import os
import pathlib
import zipfile
from typing import Any

import keras

# Registers its layers, so that files that hold them load.
import sn_keras  # noqa: F401


def load(source: Any, argument: str = "generator") -> keras.Model:
    """Returns a model from a `.keras` file, a folder with one, or the model itself.

    Args:
        source: see above.
        argument: what messages call it, and the file in a folder is called. Defaults
            to `generator`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file can't be loaded.
        TypeError: if `source` is neither a path nor a Keras model.
    """
    if isinstance(source, keras.Model):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"`{argument}` must be a path or a `keras.Model`. "
            f"Received: {argument}={source!r} (of type {type(source).__name__})"
        )
    path = pathlib.Path(source)
    return _read_model(path / f"{argument}.keras" if path.is_dir() else path)


def _read_model(path: pathlib.Path) -> keras.Model:
    if not path.exists():
        raise FileNotFoundError(f"There is no model at {path}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is no whole `.keras` file: it is cut short or of another format."
        )
    unknown = unknown_layers(path)
    if unknown:
        raise ValueError(
            f"{path} has layers that can't be loaded: {', '.join(unknown)}. Custom "
            "layers must be importable: load the model in Python where they are "
            "registered (`keras.saving.register_keras_serializable`), and call "
            "`export.export_generator` on the model object."
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, h5py and zlib raise errors of their own
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{path} can't be loaded: {first[0]}") from error


def unknown_layers(path: pathlib.Path) -> list[str]:
    """Returns `Class (layer name)` of each layer in a file that Keras can't find."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no whole `.keras` file: {error}") from error
    found: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            registered = node.get("registered_name")
            module = node.get("module")
            if isinstance(node.get("class_name"), str) and "config" in node:
                foreign = module is None or not str(module).startswith("keras")
                if foreign and registered and not _is_registered(registered):
                    inner = node["config"]
                    name = inner.get("name") if isinstance(inner, dict) else None
                    entry = node["class_name"] + (f" ({name!r})" if name else "")
                    if entry not in found:
                        found.append(entry)
            for value in node.values():
                visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(config)
    return found


def _is_registered(name: str) -> bool:
    return keras.saving.get_registered_object(name) is not None
