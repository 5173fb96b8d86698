"""From a generator to a folder of checked files."""

from __future__ import annotations

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import export
import sn_keras
from export import generators, litert, metadata, saved_model
from export.__main__ import main
from export.formats import PRECISIONS
from tests.export import networks


@pytest.fixture(scope="module")
def model():
    return networks.conditional_resnet(size=8)


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    """A run's folder with a conditional generator."""
    folder = tmp_path_factory.mktemp("run")
    model.save(folder / "generator.keras")
    told = {"generator": {"num_classes": 3, "class_names": ["cat", "dog", "hen"]}}
    (folder / "config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="module")
def exported(run):
    """The same run, exported in all formats and precisions by the command."""
    status = main(
        [str(run), "--output", str(run / "out"), "--format", "saved_model", "litert"]
        + ["--precision", *PRECISIONS, "--batch-sizes", "1", "2"]
        + ["--min-psnr", "20"]
    )
    assert status == 0
    return run / "out"


def _contents(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_file_is_near_the_keras_model(exported):
    files = json.loads((exported / "export.json").read_text())["files"]
    names = ["saved_model"] + [f"generator-{one}.tflite" for one in PRECISIONS]
    assert [file["file"] for file in files] == names
    psnr = {file["file"]: file["psnr"] for file in files}
    assert psnr["saved_model"] > 110
    assert psnr["generator-float32.tflite"] > 110
    assert psnr["generator-float16.tflite"] > 55


def test_the_saved_model_is_ready_to_serve(exported, model):
    loaded = tf.saved_model.load(str(exported / "saved_model"))
    serve = loaded.signatures["serving_default"]
    assert serve.structured_outputs["images"].shape.as_list() == [None, 8, 8, 3]
    z = np.random.default_rng(1).normal(size=(5, 16)).astype("float32")
    labels = np.array([0, 1, 2, 1, 0], "int32")
    images = serve(latents=tf.constant(z), labels=tf.constant(labels))["images"]
    np.testing.assert_allclose(images, model([z, labels]), atol=1e-5)
    reader = tf.compat.v1.saved_model
    proto = reader.load(
        tf.compat.v1.Session(graph=tf.Graph()), ["serve"], str(exported / "saved_model")
    )
    for name in ("serving_default", "sample"):
        assert proto.signature_def[name].method_name == "tensorflow/serving/predict"
    assert set(proto.signature_def["sample"].inputs) == {
        "count",
        "seed",
        "truncation",
        "labels",
    }


def test_litert_files_have_a_signature_a_batch_size(exported, model):
    z = np.random.default_rng(1).normal(size=(2, 16)).astype("float32")
    labels = np.array([2, 0], "int32")
    interpreter = Interpreter(str(exported / "generator-float32.tflite"))
    assert set(interpreter.get_signature_list()) == {"batch_1", "batch_2"}
    runner = interpreter.get_signature_runner("batch_2")
    images = runner(latents=z, labels=labels)["images"]
    np.testing.assert_allclose(images, model([z, labels]), atol=1e-5)


def test_litert_files_tell_what_they_are(exported):
    content = (exported / "generator-int8-full.tflite").read_bytes()
    described = metadata.extract(content)
    assert described["class_names"] == ["cat", "dog", "hen"]
    assert described["inputs"]["labels"]["range"] == [0, 2]
    assert described["outputs"]["images"]["range"] == [-1.0, 1.0]
    assert described["versions"]["sn_keras"] == sn_keras.__version__
    assert described["config"]["generator"]["num_classes"] == 3
    with pytest.raises(ValueError, match="no metadata"):
        metadata.extract(_plain())


def _plain():
    function = tf.function(lambda x: x + 1).get_concrete_function(tf.ones(2))
    return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()


@pytest.mark.filterwarnings("ignore:.*Please consider providing the trackable")
def test_batch_sizes_share_the_weights_and_small_precisions_are_small(small_cnn):
    generator = generators.load(small_cnn)
    precisions = ("float32", "float16", "int8-dynamic")
    sizes = {
        (precision, batches): len(content)
        for batches in ((4,), (4, 8))
        for precision, content in litert.convert(generator, precisions, batches)
    }
    for precision in precisions:
        extra = sizes[precision, (4, 8)] - sizes[precision, (4,)]
        assert extra < 0.1 * sizes["float32", (4,)]
    assert sizes["float16", (4,)] < 0.55 * sizes["float32", (4,)]
    assert sizes["int8-dynamic", (4,)] < 0.35 * sizes["float32", (4,)]


def test_int8_full_computes_in_int8(exported):
    from tensorflow.lite.tools import flatbuffer_utils

    content = flatbuffer_utils.read_model(str(exported / "generator-int8-full.tflite"))
    types = {
        flatbuffer_utils.type_to_name(graph.tensors[op.outputs[0]].type)
        for graph in content.subgraphs
        for op in graph.operators
        if flatbuffer_utils.opcode_to_name(content, op.opcodeIndex)
        in ("CONV_2D", "FULLY_CONNECTED")
    }
    assert types == {"INT8"}


def test_onnx(small_cnn, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    export.export_generator(small_cnn, tmp_path / "out", formats=["onnx"])
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "generator.onnx"))
    z = np.random.default_rng(1).normal(size=(5, 128)).astype("float32")
    (images,) = session.run(["images"], {"latents": z})
    np.testing.assert_allclose(images, small_cnn(z), atol=1e-5)


def test_only_the_output_is_left_in_its_folder(small_cnn, tmp_path):
    export.export_generator(small_cnn, tmp_path / "out", ["litert"], batch_sizes=[1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_file_beyond_the_bound_leaves_what_was_there(exported, run, capsys):
    before = _contents(run)
    status = main(
        [str(run), "--output", str(exported), "--format", "litert"]
        + ["--batch-sizes", "2", "--min-psnr", "300", "--overwrite"]
    )
    assert status == 1 and _contents(run) == before
    output = capsys.readouterr()
    assert "FAILED" in output.out and "further from Keras" in output.err


def test_a_wrong_file_is_noticed(small_cnn, tmp_path, monkeypatch):
    def wrong(generator, path):
        layer = generator.model.layers[1]
        layer.kernel.assign(layer.kernel * 1.01)
        write(generator, path)
        layer.kernel.assign(layer.kernel / 1.01)

    write = saved_model.write
    monkeypatch.setattr(saved_model, "write", wrong)
    with pytest.raises(export.VerificationError, match="saved_model: further"):
        export.export_generator(small_cnn, tmp_path / "out", ["saved_model"])
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten_unless_it_is_an_export(
    exported, small_cnn, tmp_path
):
    with pytest.raises(FileExistsError, match="out exists.*--overwrite"):
        export.export_generator(small_cnn, exported)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("kept")
    os.symlink(exported, tmp_path / "link")
    for name in ("mine", "link"):
        with pytest.raises(FileExistsError, match="no earlier export"):
            export.export_generator(small_cnn, tmp_path / name, overwrite=True)
    assert (tmp_path / "mine" / "precious.txt").read_text() == "kept"
    export.export_generator(
        small_cnn, exported, ["litert"], batch_sizes=[2], overwrite=True
    )
    assert {path.name for path in exported.iterdir()} == {
        "export.json",
        "generator-float32.tflite",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ["coreml"]}, "`formats` must be"),
        ({"formats": "litert"}, "`formats` must be"),
        ({"precisions": []}, "`precisions` must be"),
        ({"batch_sizes": [0]}, "`batch_sizes` must be"),
        ({"batch_sizes": [2, 2]}, "`batch_sizes` must be"),
        ({"batch_sizes": []}, "`batch_sizes` must be"),
    ],
)
def test_bad_arguments_are_named(small_cnn, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export.export_generator(small_cnn, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_int8_full_without_latents_to_calibrate_with(small_cnn, tmp_path):
    with pytest.raises(ValueError, match="`calibration_samples` must be 1"):
        export.export_generator(
            small_cnn,
            tmp_path / "out",
            ["litert"],
            ["int8-full"],
            calibration_samples=0,
        )
    assert list(tmp_path.iterdir()) == []


class InverseError(layers.Layer):
    def call(self, inputs):
        return keras.ops.erfinv(keras.ops.tanh(inputs))


def test_an_op_that_litert_lacks_is_named_with_its_layer(tmp_path):
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48)(inputs))
    odd = keras.Model(inputs, InverseError(name="odd_one")(x))
    with pytest.raises(export.ConversionError, match="tf.Erfinv of layer 'odd_one'"):
        export.export_generator(odd, tmp_path / "out", ["litert"])
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_wrong_in_a_line(tmp_path, capsys):
    assert main([str(tmp_path / "none.keras"), "--output", str(tmp_path / "o")]) == 1
    assert "There is no model at" in capsys.readouterr().err
    assert main(["benchmark", str(tmp_path)]) == 1
    assert "is no export" in capsys.readouterr().err
    assert main(["web", str(tmp_path)]) == 1
    assert "is no export" in capsys.readouterr().err
