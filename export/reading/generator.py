"""What is exported: a generator, read from a file, a run's folder or memory."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from export.reading import keras_files, plain_models

# Images that the plain copy of a generator is compared on with the generator.
_CHECKED = 2


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
    if isinstance(source, (str, os.PathLike)):
        path = pathlib.Path(source)
        config = _run_config(path if path.is_dir() else path.parent)
    model = keras_files.load(source)
    return _describe(model, config, name, num_classes)


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
    check_weights(model, name)
    # Anew from its tensors, so that the inputs are a plain list in the order above
    # and not, say, a dictionary.
    listed = keras.Model(model.inputs, output, name=model.name)
    plain = plain_models.plain(listed)
    # What a run writes about its generator.
    told = config.get("generator")
    told = told if isinstance(told, dict) else {}
    known = _number_of_classes(
        plain, "labels" in order, num_classes, told.get("num_classes"), name
    )
    names = tuple(str(entry) for entry in told.get("class_names") or ())
    if known is None or len(names) != known:
        names = ()
    height, width, channels = (int(size) for size in output.shape[1:])
    generator = Generator(
        model=plain,
        latent_dim=int(latents.shape[-1]),
        image_shape=(height, width, channels),
        num_classes=known,
        class_names=names,
        config=config,
        source=name,
    )
    plain_models.check_equal(
        listed, plain, generator.in_order(**generator.draw(_CHECKED, seed=0))
    )
    return generator


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


def _number_of_classes(
    model: keras.Model,
    conditional: bool,
    given: int | None,
    configured: Any,
    name: str,
) -> int | None:
    """Returns how many classes there are, from whoever tells; None without labels."""
    rows = classes_of_layers(model)
    known = given or configured or rows
    if given is not None:
        good = isinstance(given, int) and not isinstance(given, bool) and given >= 1
        if not good or not conditional or (rows or given) != given:
            expected = "None: it takes no labels"
            if conditional:
                expected = "an integer of 1 or more" if rows is None else f"{rows}"
            raise ValueError(
                f"`num_classes` of {name} must be {expected}. "
                f"Received: num_classes={given!r}"
            )
    if not conditional:
        return None
    if not isinstance(known, int):
        raise ValueError(
            "`num_classes` must be given: neither the configuration nor a layer "
            f"of {name} tells how many classes there are."
        )
    return known


def classes_of_layers(model: keras.Model) -> int | None:
    """Returns the number of classes that all layers with one agree on, or None."""
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


def check_weights(model: keras.Model, name: str) -> None:
    """Raises `ValueError` if a weight is NaN or infinite."""
    for variable in model.variables:
        value = keras.ops.convert_to_numpy(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(
                f"{name} must have finite weights. Received: NaN or infinity in "
                f"{variable.path}; was it saved after its training had diverged?"
            )
