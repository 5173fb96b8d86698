"""What is exported: a generator, read from a file, a run's folder or memory."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

# Importing the package registers its layers, so that files that hold them load.
import sn_keras


@dataclasses.dataclass(frozen=True)
class Generator:
    """A generator and what a user of its files has to know about it.

    Attributes:
        model: a built Keras model without wrappers of `sn_keras`.
        latent_dim: size of a latent.
        image_shape: `(height, width, channels)`.
        num_classes: number of classes, or None if the generator takes no labels.
        class_names: a name for each class; empty if they are not known.
        config: the run's configuration; empty if there is none.
        source: where the generator came from, for messages.
    """

    model: keras.Model
    latent_dim: int
    image_shape: tuple[int, int, int]
    num_classes: int | None
    class_names: tuple[str, ...]
    config: Mapping[str, Any]
    source: str

    @property
    def conditional(self) -> bool:
        """Whether images are drawn for a class."""
        return self.num_classes is not None

    def __call__(self, latents: Any, labels: Any = None) -> Any:
        """Returns the images of latents (and labels), in inference."""
        return self.model(self.in_order(latents, labels), training=False)

    def in_order(self, latents: Any, labels: Any = None) -> list[Any]:
        """Returns the inputs in the order in which the model takes them."""
        values = {"latents": latents, "labels": labels}
        return [values[name] for name in _input_order(self.model)]

    def draw(self, count: int, seed: int) -> dict[str, np.ndarray]:
        """Returns `count` latents (and labels) that depend on the seed alone."""
        rng = np.random.default_rng(seed)
        drawn: dict[str, np.ndarray] = {
            "latents": rng.normal(size=(count, self.latent_dim)).astype("float32")
        }
        if self.num_classes is not None:
            # Every class once before any comes twice.
            labels: np.ndarray = np.arange(count) % self.num_classes
            drawn["labels"] = rng.permutation(labels).astype("int32")
        return drawn


def load(source: Any, num_classes: int | None = None) -> Generator:
    """Returns the generator of a `.keras` file, a run's folder or a Keras model.

    Nothing that is loaded can run code: Keras' safe mode is on.

    Args:
        source: a path of a `.keras` file or of a folder with a `generator.keras` (and
            a `config.json`), or a built Keras model. The model takes latents of
            shape `(batch, latent_dim)` and, if it is conditional, integer labels of
            shape `(batch,)`; it returns images of shape `(batch, height, width,
            channels)`.
        num_classes: number of classes of a conditional generator, where neither the
            run's configuration nor the layers tell. Defaults to None.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file can't be loaded or is no generator.
        TypeError: if `source` is neither a path nor a Keras model.
    """
    config: Mapping[str, Any] = {}
    name = f"model {source.name!r}" if isinstance(source, keras.Model) else str(source)
    if isinstance(source, (str, pathlib.Path)):
        path = pathlib.Path(source)
        config = _run_config(path if path.is_dir() else path.parent)
    model = load_model(source)
    return _describe(model, config, name, num_classes)


def load_model(source: Any, argument: str = "generator") -> keras.Model:
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
    if not isinstance(source, (str, pathlib.Path)):
        raise TypeError(
            f"`{argument}` must be a path or a `keras.Model`. "
            f"Received: {argument}={source!r} (of type {type(source).__name__})"
        )
    path = pathlib.Path(source)
    return _read_model(path / f"{argument}.keras" if path.is_dir() else path)


def _run_config(folder: pathlib.Path) -> Mapping[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {config!r}")
    return config


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
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
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


def _describe(
    model: keras.Model,
    config: Mapping[str, Any],
    name: str,
    num_classes: int | None,
) -> Generator:
    order = _input_order(model)
    latents = model.inputs[order.index("latents")]
    output = model.outputs[0] if len(model.outputs) == 1 else None
    if output is None or len(output.shape) != 4 or None in output.shape[1:]:
        shapes = [tuple(tensor.shape) for tensor in model.outputs]
        raise ValueError(
            f"{name} is no generator: its output must be images of shape (batch, "
            f"height, width, channels). Received: outputs of shapes {shapes}"
        )
    if output.shape[-1] not in (1, 3):
        raise ValueError(
            f"{name} is no generator: images must have 1 or 3 channels on the last "
            f"axis. Received: outputs of shape {tuple(output.shape)}"
        )
    # What a run writes about its generator.
    told = config.get("generator") or {}
    known: int | None = None
    if "labels" in order:
        known = num_classes or told.get("num_classes") or _classes_of_layers(model)
        if not known:
            raise ValueError(
                "`num_classes` must be given: neither the configuration nor a layer "
                f"of {name} tells how many classes there are."
            )
    names = tuple(str(entry) for entry in told.get("class_names") or ())
    if known is None or len(names) != known:
        names = ()
    height, width, channels = (int(size) for size in output.shape[1:])
    # Anew from its tensors, so that the inputs are a plain list in the order above
    # and not, say, a dictionary.
    plain = _in_float32(
        sn_keras.fold(keras.Model(model.inputs, output, name=model.name))
    )
    return Generator(
        model=plain,
        latent_dim=int(latents.shape[-1]),
        image_shape=(height, width, channels),
        num_classes=known,
        class_names=names,
        config=config,
        source=name,
    )


def _in_float32(model: keras.Model) -> keras.Model:
    """Returns a model that computes in float32, whatever policy it was trained with.

    A mixed policy speeds training up; it is no property of the weights.
    """
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return layer.__class__.from_config({**layer.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _input_order(model: keras.Model) -> list[str]:
    """Returns what each input of the model is, `latents` or `labels`."""
    inputs = getattr(model, "inputs", None) or []
    order = []
    for tensor in inputs:
        integer = "int" in keras.backend.standardize_dtype(tensor.dtype)
        if len(tensor.shape) == 2 and not integer and tensor.shape[-1] is not None:
            order.append("latents")
        elif integer and len(tensor.shape) == 1:
            order.append("labels")
        else:
            order.append("?")
    if order not in (["latents"], ["latents", "labels"], ["labels", "latents"]):
        described = [(t.name, tuple(t.shape), str(t.dtype)) for t in inputs]
        raise ValueError(
            f"{model.name!r} is no generator: its inputs must be float latents of "
            "shape (batch, latent_dim) and, if it is conditional, integer labels of "
            f"shape (batch,). Received: inputs {described}"
        )
    return order


def _classes_of_layers(model: keras.Model) -> int | None:
    counts = {
        int(layer.num_classes)
        for layer in model.layers
        if isinstance(getattr(layer, "num_classes", None), int)
    }
    counts |= {
        int(layer.input_dim)
        for layer in model.layers
        if isinstance(layer, keras.layers.Embedding)
    }
    return counts.pop() if len(counts) == 1 else None
