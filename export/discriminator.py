"""Discriminators as SavedModels: logits, and the features that they rest on."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import sn_keras
from export import folder as folders
from export import manifest
from export.errors import VerificationError
from export.formats import saved_model
from export.reading import inputs as forms
from export.reading import keras_files, plain_models
from export.reading.loading import check_weights
from export.verification import isolation
from export.verification.comparison import whole_float32
from sn_keras import values

# The largest difference that passes, over the largest value.
_BOUND = 1e-4
_IMAGES = 5


def export_discriminator(
    discriminator: Any,
    output: str | os.PathLike[str],
    overwrite: bool = False,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Writes a discriminator as a SavedModel, and checks it against Keras.

    The signature `serving_default` takes `images` in [−1, 1], any number of them (and
    `labels`), and returns `logits` and `features`, which is what the last dense layer
    takes; for a model that returns a dictionary, such as one with an auxiliary
    classifier, also its other entries. Spectral normalization is folded.

    Args:
        discriminator: a `.keras` file, a folder with a `discriminator.keras`, or a
            Functional Keras model, to logits or a dictionary with `logits`.
        output: folder to write; the SavedModel is `saved_model` in it.
        overwrite: whether an earlier export in `output` may be replaced. Defaults to
            False.
        seed: the seed of the images that it is checked with. Defaults to 0.
        report: takes a line of text as work goes on. Defaults to nothing.

    Returns:
        The largest difference from Keras of each output, over its largest value.

    Raises:
        ValueError, TypeError: if `discriminator` is none.
        FileExistsError: if `output` must not be written.
        VerificationError: if the SavedModel does not do what Keras does.

    Example:
    ```python
    import keras
    from export import export_discriminator

    discriminator = keras.Sequential(
        [keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    export_discriminator(discriminator, "exported-d")
    ```
    """
    seed = values.integer("seed", seed, 0)
    overwrite = values.boolean("overwrite", overwrite)
    target = folders.check_target(output, overwrite)
    model, names, returned = _load(discriminator)
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    specs = [
        tf.TensorSpec((None, *shape), tensor.dtype, name)
        for shape, tensor, name in zip(shapes, model.inputs, names, strict=True)
    ]

    @tf.function(input_signature=specs, autograph=False)
    def serve(*inputs: Any) -> dict[str, Any]:
        return dict(zip(returned, model(list(inputs), training=False), strict=True))

    inputs = _draw(model, names, seed)
    with folders.replaced(target, overwrite) as folder:
        path = folder / "saved_model"
        saved_model.write_functions(model.variables, {"serving_default": serve}, path)
        saved_model.write_description(_described(model, names, returned), path)
        (actual,) = isolation.run_isolated(
            path, "saved_model", ["serving_default"], [inputs]
        )
        given = [inputs[name] for name in names]
        with whole_float32():
            expected = dict(zip(returned, model(given, training=False), strict=True))
        differences = {
            name: float(
                np.abs(actual[name] - np.asarray(value)).max()
                / max(np.abs(np.asarray(value)).max(), 1e-12)
            )
            for name, value in expected.items()
        }
        for name, difference in differences.items():
            report(f"{name}: largest difference {difference:.1e} of the largest value")
        if not all(difference <= _BOUND for difference in differences.values()):
            raise VerificationError(
                f"The SavedModel is further from Keras than {_BOUND}: {differences}. "
                f"{target} is as it was."
            )
        content = {"sn_keras": sn_keras.__version__, "differences": differences}
        manifest.write(folder, content)
    return differences


def _load(discriminator: Any) -> tuple[keras.Model, list[str], list[str]]:
    """Returns a model, and the names of its inputs and outputs, the features last."""
    model = keras_files.load(discriminator, "discriminator")
    model = forms.functional(model, f"discriminator {model.name!r}")
    check_weights(model, f"discriminator {model.name!r}")
    names = [_kind(tensor) for tensor in model.inputs]
    outputs = _outputs(model)
    good = sorted(names) in (["images"], ["images", "labels"]) and "logits" in outputs
    if good:
        # Anew from its tensors: lists in the order above, and not, say, dictionaries.
        listed = keras.Model(model.inputs, list(outputs.values()), name=model.name)
        fresh = [
            keras.Input(tensor.shape[1:], name=name)
            if name == "images"
            else keras.Input((), dtype="int32", name=name)
            for name, tensor in zip(names, model.inputs, strict=True)
        ]
        plain, _ = plain_models.plain(listed, fresh)
        dense = [one for one in plain.layers if isinstance(one, keras.layers.Dense)]
    if not good or not dense:
        described = [(t.name, tuple(t.shape), str(t.dtype)) for t in model.inputs]
        raise ValueError(
            f"{model.name!r} is no discriminator: its inputs must be images of shape "
            "(batch, height, width, channels) and, if it is conditional, integer "
            "labels of shape (batch,), its output logits or a dictionary with "
            "`logits`, which a dense layer must give. Received: "
            f"inputs {described}, outputs {list(outputs)}"
        )
    drawn = list(_draw(plain, names, 0).values())
    given = [forms.shaped(*pair) for pair in zip(drawn, model.inputs, strict=True)]
    plain_models.check_equal(listed, plain, given, drawn)
    features = dense[-1].input
    return (
        keras.Model(plain.inputs, [*plain.outputs, features]),
        names,
        [*outputs, "features"],
    )


def _outputs(model: keras.Model) -> dict[str, Any]:
    """Returns the outputs by name; `logits` if there is one alone."""
    tensors = list(getattr(model, "outputs", None) or [])
    if len(tensors) == 1:
        return {"logits": tensors[0]}
    named = model.output if tensors else {}
    return dict(named) if isinstance(named, dict) else {}


def _draw(model: keras.Model, names: list[str], seed: int) -> dict[str, np.ndarray]:
    """Returns inputs for a model, in its order."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, np.ndarray] = {}
    for tensor, name in zip(model.inputs, names, strict=True):
        if name == "images":
            drawn = rng.uniform(-1, 1, (_IMAGES, *tensor.shape[1:]))
            inputs[name] = drawn.astype("float32")
        else:
            classes = forms.classes_of_layers(model) or 1
            labels: np.ndarray = np.arange(_IMAGES) % classes
            inputs[name] = labels.astype("int32")
    return inputs


def _described(
    model: keras.Model, names: list[str], returned: list[str]
) -> dict[str, Any]:
    """Returns what the inputs and outputs mean, for JSON."""
    shapes = dict(zip(names, (t.shape[1:] for t in model.inputs), strict=True))
    height, width, channels = shapes["images"]
    inputs = {
        "images": f"float32 (count, {height}, {width}, {channels}), in [-1, 1]",
        "labels": "int32 (count,): classes from 0",
    }
    meanings = {
        "logits": ": larger where an image looks real",
        "features": ": what the last dense layer takes",
    }
    outputs = {}
    for name, tensor in zip(returned, model.outputs, strict=True):
        shape = ", ".join(["count", *map(str, tensor.shape[1:])])
        outputs[name] = f"float32 ({shape})" + meanings.get(name, "")
    return {
        "signatures": {
            "serving_default": {
                "inputs": {name: inputs[name] for name in names},
                "outputs": outputs,
            }
        }
    }


def _kind(tensor: Any) -> str:
    integer = "int" in keras.backend.standardize_dtype(tensor.dtype)
    if len(tensor.shape) == 4 and None not in tensor.shape[1:] and not integer:
        return "images"
    return "labels" if forms.kinds([tensor]) == ["labels"] else "?"
