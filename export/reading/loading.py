"""What is exported: a generator, read from a file, a run's folder or memory."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from export.manifest import MOST_CLASSES
from export.reading import inputs as forms
from export.reading import keras_files, output_range, plain_models
from sn_keras import values

# Images that a plain copy is compared on with the generator, and that tell its range.
_CHECKED = 8


@dataclasses.dataclass(frozen=True)
class Generator:
    """A generator and what a user of its files has to know about it.

    Attributes:
        model: a plain Keras model of float32 latents (batch, latent_dim) and, if it is
            conditional, int32 labels (batch,).
        original: the model that it was made of, with inputs of any form.
        names: names of the original's layers, by those of the plain model's.
        latent_dim: size of a latent.
        image_shape: `(height, width, channels)`.
        num_classes: number of classes, or None if the generator takes no labels.
        class_names: a name for each class; empty if they are not known.
        output_range: the values of black and of white.
        range_told_by: what tells the range.
        config: the run's configuration; empty if there is none.
        source: where the generator came from, for messages.
    """

    model: keras.Model
    original: keras.Model
    names: Mapping[str, str]
    latent_dim: int
    image_shape: tuple[int, int, int]
    num_classes: int | None
    class_names: tuple[str, ...]
    output_range: tuple[float, float]
    range_told_by: str
    config: Mapping[str, Any]
    source: str

    @property
    def conditional(self) -> bool:
        """Whether images are drawn for a class."""
        return self.num_classes is not None

    @property
    def compute_dtype(self) -> str:
        """The dtype that the original computes in."""
        return plain_models.compute_dtype(self.original)

    def __call__(self, latents: Any, labels: Any = None) -> Any:
        """Returns the images of latents (and labels), in inference."""
        given = [latents, labels] if self.conditional else [latents]
        return self.model(given, training=False)

    def predict(self, latents: np.ndarray, labels: Any = None) -> np.ndarray:
        """Returns the images of the original, in its own precision."""
        drawn = {"latents": latents, "labels": labels}
        found = self.original(forms.of_model(self.original, drawn), training=False)
        return np.asarray(keras.ops.cast(found, "float32"))

    def draw(self, count: int, seed: int | Sequence[int]) -> dict[str, np.ndarray]:
        """Returns `count` latents (and labels) that depend on the seed alone."""
        return draw(self.latent_dim, self.num_classes, count, seed)


def draw(
    latent_dim: int, num_classes: int | None, count: int, seed: int | Sequence[int]
) -> dict[str, np.ndarray]:
    """Returns latents (and labels, every class once before any comes twice).

    Args:
        latent_dim: size of a latent.
        num_classes: number of classes, or None.
        count: how many to draw.
        seed: one or several, that they depend on.
    """
    rng = np.random.default_rng(seed)
    drawn: dict[str, np.ndarray] = {
        "latents": rng.normal(size=(count, latent_dim)).astype("float32")
    }
    if num_classes is not None:
        labels: np.ndarray = np.arange(count) % num_classes
        drawn["labels"] = rng.permutation(labels).astype("int32")
    return drawn


def load(
    source: Any, num_classes: int | None = None, wanted_range: Any = None
) -> Generator:
    """Returns the generator of a `.keras` file, a run's folder or a Keras model.

    Nothing that is loaded can run code: Keras' safe mode is on.

    Args:
        source: a path of a `.keras` file or of a folder with a `generator-ema.keras`
            (averaged weights, where a run has them) or a `generator.keras`, and a
            `config.json`; or a built Keras model. The model takes latents of any
            shape and, if it is conditional, labels in a form that `inputs.kinds`
            knows; one of its outputs is images of shape `(batch, height, width,
            channels)` with 1, 3 or 4 channels.
        num_classes: number of classes of a conditional generator, where neither the
            run's configuration nor the layers tell. Defaults to None.
        wanted_range: the values of black and of white, where neither the last
            activation nor the outputs tell. Defaults to None.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file can't be loaded or is no generator.
        TypeError: if `source` is neither a path nor a Keras model.
    """
    config: Mapping[str, Any] = {}
    if isinstance(source, (str, os.PathLike)):
        path = pathlib.Path(source)
        config = _run_config(path) if path.is_dir() else _config_beside(path)
        averaged = path / "generator-ema.keras"
        if averaged.is_file():
            source = averaged
    name = f"model {source.name!r}" if isinstance(source, keras.Model) else str(source)
    if wanted_range is not None:
        wanted_range = output_range.check(wanted_range)
    model = forms.functional(keras_files.load(source), name)
    return _describe(model, config, name, num_classes, wanted_range)


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


def _config_beside(path: pathlib.Path) -> Mapping[str, Any]:
    """Returns the configuration of the run that a file lies in; {} if that is none."""
    try:
        config = _run_config(path.parent)
    except (OSError, ValueError):
        return {}
    return config if {"preset", "generator"} <= config.keys() else {}


def _describe(
    model: keras.Model,
    config: Mapping[str, Any],
    name: str,
    num_classes: Any,
    wanted_range: tuple[float, float] | None,
) -> Generator:
    kinds = forms.checked_kinds(model, name)
    output = _images(model, name)
    check_weights(model, name)
    latents = model.inputs[kinds.index("latents")]
    latent_dim = int(np.prod(latents.shape[1:]))
    fresh = {"latents": keras.Input((latent_dim,), name="latents")}
    if "labels" in kinds:
        fresh["labels"] = keras.Input((), dtype="int32", name="labels")
    # Anew from its tensors, so that the inputs are a plain list and not, say, a
    # dictionary, and the images are the only output.
    listed = keras.Model(model.inputs, output, name=model.name)
    plain, names = plain_models.plain(listed, [fresh[kind] for kind in kinds])
    plain = keras.Model(list(fresh.values()), plain.outputs[0], name=plain.name)
    known, class_names = _classes(model, kinds, num_classes, config, name)
    drawn = draw(latent_dim, known, _CHECKED, seed=0)
    plain_models.check_equal(
        listed, plain, forms.of_model(listed, drawn), list(drawn.values())
    )
    told_by = "`output_range`"
    if wanted_range is None:
        images = np.asarray(plain(list(drawn.values()), training=False))
        wanted_range, told_by = output_range.read(plain, images)
    height, width, channels = (int(size) for size in output.shape[1:])
    return Generator(
        model=plain,
        original=listed,
        names=names,
        latent_dim=latent_dim,
        image_shape=(height, width, channels),
        num_classes=known,
        class_names=class_names,
        output_range=wanted_range,
        range_told_by=told_by,
        config=config,
        source=name,
    )


def _images(model: keras.Model, name: str) -> Any:
    """Returns the one output that is images."""
    good = [
        tensor
        for tensor in model.outputs
        if len(tensor.shape) == 4
        and None not in tensor.shape[1:]
        and tensor.shape[-1] in (1, 3, 4)
    ]
    if len(good) == 1:
        return good[0]
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if good:
        raise ValueError(
            f"{name} has several outputs that are images: export "
            "`keras.Model(model.inputs, model.outputs[i])` with the one that is meant. "
            f"Received: outputs of shapes {shapes}"
        )
    raise ValueError(
        f"{name} is no generator: its output must be images of shape (batch, height, "
        "width, channels), with 1, 3 or 4 channels on the last axis. "
        f"Received: outputs of shapes {shapes}"
    )


def _classes(
    model: keras.Model,
    kinds: Sequence[str],
    given: Any,
    config: Mapping[str, Any],
    name: str,
) -> tuple[int | None, tuple[str, ...]]:
    """Returns how many classes there are and their names, from whoever tells."""
    conditional = "labels" in kinds
    # What a run writes about its generator.
    told = config.get("generator")
    told = told if isinstance(told, dict) else {}
    rows = forms.classes_of_layers(model)
    if conditional:
        rows = forms.classes_of_form(model.inputs[kinds.index("labels")]) or rows
    if given is not None:
        plain = values.integer("num_classes", given, 1, MOST_CLASSES)
        if not conditional or (rows or plain) != plain:
            expected = f"{rows}" if conditional else "None: it takes no labels"
            raise ValueError(
                f"`num_classes` of {name} must be {expected}. "
                f"Received: num_classes={given!r}"
            )
        given = plain
    if not conditional:
        return None, ()
    configured = told.get("num_classes")
    if rows and isinstance(configured, int) and configured > rows:
        raise ValueError(
            f"config.json beside {name} must be of its run. Received: num_classes="
            f"{configured}, and the generator has {rows} classes"
        )
    known = given or configured or rows
    if not isinstance(known, int) or not 1 <= known <= MOST_CLASSES:
        raise ValueError(
            "`num_classes` must be given: neither the configuration nor a layer "
            f"of {name} tells how many classes there are (1 to {MOST_CLASSES})."
        )
    listed = told.get("class_names")
    names = tuple(map(str, listed)) if isinstance(listed, list) else ()
    return known, names if len(names) == known else ()


def check_weights(model: keras.Model, name: str) -> None:
    """Raises `ValueError` if a weight is NaN or infinite."""
    for variable in model.variables:
        value = keras.ops.convert_to_numpy(variable)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(
                f"{name} must have finite weights. Received: NaN or infinity in "
                f"{variable.path}; was it saved after its training had diverged?"
            )
