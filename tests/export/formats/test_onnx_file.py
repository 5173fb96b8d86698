"""What an ONNX file says of itself, and its weights in half the size."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers

import export
from export.formats import onnx_file
from export.reading import loading

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")


@pytest.fixture(scope="module")
def written(tiny_resnet, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    generator = loading.load(tiny_resnet)
    return generator, dict(onnx_file.write(generator, folder, ["float16"]))


def _dimensions(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_dimensions_and_metadata_are_named(written, precision):
    model = onnx.load(written[1][precision])
    inputs = {value.name: _dimensions(value) for value in model.graph.input}
    assert inputs == {"latents": ["batch", 16], "labels": ["batch"]}
    (output,) = model.graph.output
    assert (output.name, _dimensions(output)) == ("images", ["batch", 8, 8, 3])
    session = onnxruntime.InferenceSession(written[1][precision])
    told = json.loads(session.get_modelmeta().custom_metadata_map["sn_keras"])
    assert told["outputs"]["images"]["range"] == [-1, 1] and told["num_classes"] == 3


def test_float16_is_half_the_size_and_takes_and_returns_float32(written):
    generator, files = written
    drawn = generator.draw(5, 0)
    images = [
        onnxruntime.InferenceSession(path).run(["images"], drawn)[0]
        for path in (files["float32"], files["float16"])
    ]
    np.testing.assert_allclose(images[0], generator(**drawn), atol=1e-5)
    assert images[1].dtype == "float32"
    assert 0 < np.abs(images[1] - images[0]).max() < 0.02
    weights = [
        sum(len(one.raw_data) for one in onnx.load(path).graph.initializer)
        for path in (files["float32"], files["float16"])
    ]
    assert weights[1] < 0.6 * weights[0]


def test_a_weight_beyond_float16_is_named(tmp_path):
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48, activation="tanh")(inputs))
    model = keras.Model(inputs, x)
    model.layers[1].kernel.assign(np.full((8, 48), 1e5))
    with pytest.raises(export.ConversionError, match="1e.05, beyond float16's 65504"):
        list(onnx_file.write(loading.load(model), tmp_path, ["float16"]))


class FourierTransform(layers.Layer):
    def call(self, inputs):
        real, imaginary = keras.ops.fft2((inputs, keras.ops.zeros_like(inputs)))
        return keras.ops.tanh(real + imaginary)


def test_what_onnx_lacks_is_named_with_its_layer_and_a_way_out(tmp_path):
    inputs = keras.Input((8,))
    x = layers.Reshape((3, 4, 4))(layers.Dense(48)(inputs))
    x = layers.Permute((2, 3, 1))(FourierTransform(name="волна")(x))
    generator = loading.load(keras.Model(inputs, x), wanted_range=(-1, 1))
    with pytest.raises(export.ConversionError, match="'волна'.*--format saved_model"):
        list(onnx_file.write(generator, tmp_path))
