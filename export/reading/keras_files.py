"""Reading `.keras` files, and saying what is wrong with those that can't be read."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import zipfile
from typing import Any

import h5py
import keras

# Registers its layers, so that files that hold them load.
import sn_keras  # noqa: F401

# How many times its own size a file may unpack to, and what any may.
_LARGEST_RATIO = 10
_ALWAYS_UNPACKED = 256_000_000


def load(source: Any, argument: str = "generator") -> keras.Model:
    """Returns a model from a `.keras` file, a folder with one, or the model itself.

    Args:
        source: see above.
        argument: what messages call it, and the file in a folder is called. Defaults
            to `generator`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file can't be loaded, or Keras runs on another backend than
            TensorFlow.
        TypeError: if `source` is neither a path nor a Keras model.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`KERAS_BACKEND` must be 'tensorflow': `export` writes TensorFlow's "
            "formats, also of what another backend has trained. Received: "
            f"KERAS_BACKEND={keras.backend.backend()!r}, of the environment or of "
            "keras.json"
        )
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
    _check_sizes(path)
    unknown = unknown_parts(path)
    if unknown:
        raise ValueError(
            f"{path} has parts that can't be loaded: {', '.join(unknown)}. Custom "
            "layers and functions must be importable: load the model in Python where "
            "they are registered (`keras.saving.register_keras_serializable`), and "
            "call `export.export_generator` on the model object. (Those of `sn_keras` "
            "are registered here; a program of your own takes `import sn_keras` first.)"
        )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras, h5py and zlib raise errors of their own
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{path} can't be loaded: {first[0]}") from error


def _check_sizes(path: pathlib.Path) -> None:
    """Refuses a file that unpacks to far more than itself, before it is unpacked.

    Keras stores weights as they are, so that a whole file is about as large as they.
    """
    packed = path.stat().st_size
    most = max(_LARGEST_RATIO * packed, _ALWAYS_UNPACKED)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_size(path, packed, sum(one.file_size for one in entries), most)
            for entry in entries:
                if entry.filename.endswith(".h5"):
                    with archive.open(entry) as file:
                        _check_size(path, packed, _size_of_arrays(file), most)
    # Encrypted, or packed by a method that Python lacks, among others.
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError) as error:
        raise ValueError(f"{path} is no whole `.keras` file: {error}") from error


def _check_size(path: pathlib.Path, packed: int, size: int, most: int) -> None:
    if size > most:
        raise ValueError(
            f"{path} is refused: its {packed / 1e6:.1f} MB unpack to "
            f"{size / 1e6:,.0f} MB, which the weights of no trained model do."
        )


def _size_of_arrays(file: Any) -> int:
    """Returns the bytes of all arrays in an HDF5 file, which may be compressed."""
    sizes: list[int] = []

    def add(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            sizes.append(int(node.size or 0) * node.dtype.itemsize)

    with contextlib.suppress(OSError, RuntimeError):  # Keras says what is wrong
        with h5py.File(file, "r") as content:
            content.visititems(add)
    return sum(sizes)


def unknown_parts(path: pathlib.Path) -> list[str]:
    """Returns each layer and function in a file that Keras can't find.

    Layers are called `Class (layer name)`, functions by their registered name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        if isinstance(config, dict):
            config.pop("compile_config", None)  # isn't read
        return _unregistered(config)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no whole `.keras` file: {error}") from error
    except RecursionError as error:
        raise ValueError(
            f"{path} can't be loaded: its layers nest too deep."
        ) from error


def _unregistered(config: Any) -> list[str]:
    found: list[str] = []

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("class_name"), str) and "config" in node:
                foreign = not str(node.get("module")).startswith("keras")
                if foreign and node.get("registered_name") and not _is_known(node):
                    entry = _called(node)
                    if entry not in found:
                        found.append(entry)
            for value in node.values():
                visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(config)
    return found


def _called(node: dict[str, Any]) -> str:
    kind, inner = node["class_name"], node["config"]
    if kind == "function":
        return str(inner)
    name = inner.get("name") if isinstance(inner, dict) else None
    return kind + (f" ({name!r})" if name else "")


def _is_known(node: dict[str, Any]) -> bool:
    if node["class_name"] != "function":
        registered = keras.saving.get_registered_object(node["registered_name"])
        return registered is not None
    try:  # Keras has functions of its own too, in several modules
        keras.saving.deserialize_keras_object(node, safe_mode=True)
    except Exception:  # of the types that Keras happens to raise
        return False
    return True
