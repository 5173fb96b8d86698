"""Generators of other makes: what each becomes in each format."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from export.formats import litert, onnx_file, saved_model
from export.reading import loading
from export.verification import worker
from tests.export import makes

# What `sample` and a page make bytes of; the others end in a tanh.
RANGES = {"upsampling and sigmoid": (0.0, 1.0), "images in [0, 255]": (0.0, 255.0)}
FORMATS = ("saved_model", "litert", "onnx")


def _write(generator, format, folder):
    if format == "saved_model":
        saved_model.write(generator, folder / "saved_model")
        return folder / "saved_model"
    if format == "onnx":
        return list(onnx_file.write(generator, folder))[0][1]
    ((_, content),) = litert.convert(generator, batch_sizes=(3,))
    (folder / "generator.tflite").write_bytes(content)
    return folder / "generator.tflite"


def _own(model, drawn):
    """What the model gives, called as its own project calls it."""
    if not getattr(model, "inputs", None):
        return np.asarray(model(drawn["latents"]))
    given = []
    for tensor in model.inputs:
        labels = any(word in tensor.name for word in ("label", "class"))
        value = drawn["labels" if labels else "latents"]
        if tensor.name == "one_hot_labels":
            value = np.eye(3)[value]
        dtype = "float32" if "float" in tensor.dtype else tensor.dtype
        given.append(value.reshape((-1, *tensor.shape[1:])).astype(dtype))
    several = len(given) > 1
    given = keras.tree.pack_sequence_as(model.input, given) if several else given[0]
    outputs = model(given, training=False)
    images = outputs[0] if isinstance(outputs, list) else outputs
    return np.asarray(keras.ops.cast(images, "float32"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*Please consider providing the trackable")
@pytest.mark.parametrize("name", makes.MAKES)
def test_every_format_does_what_the_model_does(name, tmp_path):
    model = makes.make(name)
    generator = loading.load(model, 3 if "labels" in name else None)
    low, high = RANGES.get(name, (-1.0, 1.0))
    assert generator.output_range == (low, high)
    drawn = generator.draw(3, 1)
    # In units of half precision where the model itself computes in it.
    largest = (0.05 if name == "mixed_bfloat16" else 2e-5) * (high - low)
    expected = _own(model, drawn)
    assert expected.shape == (3, *generator.image_shape)
    assert np.ptp(expected, axis=0).max() > 0.01 * (high - low)
    for format in FORMATS:
        path = _write(generator, format, tmp_path)
        run = worker.RUNTIMES[format](str(path))
        signature = "batch_3" if format == "litert" else "serving_default"
        images = run(signature, drawn)["images"]
        np.testing.assert_allclose(images, expected, atol=largest, err_msg=format)
