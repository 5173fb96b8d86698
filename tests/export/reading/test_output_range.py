"""The values of black and white are read off the model, or asked for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from export.reading import loading


def _model(activation, after=lambda x: x, scale=1.0):
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48)(inputs) * scale)
    return keras.Model(inputs, after(layers.Conv2D(3, 1, activation=activation)(x)))


def _shuffled(x):
    return layers.Permute((2, 1, 3))(layers.Cropping2D(1)(x))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (_model("tanh"), (-1, 1)),
        (_model("sigmoid"), (0, 1)),
        (_model("hard_sigmoid"), (0, 1)),
        (_model("softsign"), (-1, 1)),
        (_model(None, layers.Activation("sigmoid")), (0, 1)),
        (_model(None, ops.tanh), (-1, 1)),
        (_model(None, ops.sigmoid), (0, 1)),
        (_model("sigmoid", _shuffled), (0, 1)),
        (_model("sigmoid", layers.Rescaling(255)), (0, 255)),
        (_model("tanh", layers.Rescaling(127.5, 127.5)), (0, 255)),
        (_model("tanh", layers.Rescaling(-0.5, 0.5)), (0, 1)),
        # By the outputs: nothing says so, but they leave no other choice.
        (_model("tanh", lambda x: 0.9 * x, 5), (-1, 1)),
        (_model("sigmoid", lambda x: x * 1.0, 5), (0, 1)),
        (_model("sigmoid", lambda x: x * 255.0, 5), (0, 255)),
    ],
)
def test_the_range_is_read(model, expected):
    assert loading.load(model).output_range == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        _model(None, scale=9.0),
        _model("relu", lambda x: 0.1 * x),
        _model("tanh", lambda x: 0.1 * x),
        _model("sigmoid", lambda x: x * 1e4),
        _model("tanh", lambda x: x - 2.0),
    ],
)
def test_what_cant_be_read_is_asked_for(model):
    with pytest.raises(ValueError, match=r"`output_range` must be given .* explained"):
        loading.load(model)
    assert loading.load(model, wanted_range=(0, 2)).output_range == (0, 2)


@pytest.mark.slow
def test_the_range_goes_into_the_bytes_and_the_metadata(tmp_path):
    import json

    import tensorflow as tf

    import export
    from export.formats import metadata, signatures

    model = _model("sigmoid")
    lines = []
    export.export_generator(
        model, tmp_path / "out", batch_sizes=[2], report=lines.append
    )
    assert not any("outside" in line for line in lines)
    told = json.loads((tmp_path / "out" / "export.json").read_text())
    assert told["output_range"] == [0, 1]
    content = (tmp_path / "out" / "generator-float32.tflite").read_bytes()
    described = metadata.extract(content)["outputs"]["images"]
    assert described["range"] == [0, 1]
    assert described["to_uint8"] == "round((images - 0) * 255 / 1), clipped to [0, 255]"
    loaded = tf.saved_model.load(str(tmp_path / "out" / "saved_model"))
    sample = loaded.signatures["sample"]
    arguments = {
        "count": tf.constant(5),
        "seed": tf.constant(3, tf.int64),
        "truncation": tf.constant(1.0),
    }
    z = signatures.draw_latents(5, 8, 3, 1.0)
    expected = np.rint(np.asarray(model(z)) * 255)
    found = sample(**arguments)["images"].numpy().astype("float32")
    assert np.abs(found - expected).max() <= 1 and found.min() < 128


@pytest.mark.slow
def test_what_lies_outside_of_a_given_range_is_said(tmp_path):
    import export

    lines = []
    export.export_generator(
        _model("tanh"),
        tmp_path / "out",
        formats=["saved_model"],
        output_range=(0, 1),
        report=lines.append,
    )
    (line,) = (line for line in lines if "outside" in line)
    assert 30 < int(line.partition("%")[0]) < 70 and "become black or white" in line


def test_a_function_of_ones_own_tells_nothing_by_its_name():
    @keras.saving.register_keras_serializable("test_output_range")
    def sigmoid(x):
        return 0.5 * keras.activations.sigmoid(x)

    with pytest.raises(ValueError, match="`output_range` must be given"):
        loading.load(_model(sigmoid))
