"""From a generator to a folder of checked files."""

from __future__ import annotations

import json
import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import export
import sn_keras
from export.__main__ import main
from export.formats import litert, metadata, saved_model
from export.formats.names import PRECISIONS
from export.reading import loading

pytestmark = pytest.mark.slow  # its files take seconds to make


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


def test_the_saved_model_is_ready_to_serve(exported, tiny_resnet):
    loaded = tf.saved_model.load(str(exported / "saved_model"))
    serve = loaded.signatures["serving_default"]
    assert serve.structured_outputs["images"].shape.as_list() == [None, 8, 8, 3]
    z = np.random.default_rng(1).normal(size=(5, 16)).astype("float32")
    labels = np.array([0, 1, 2, 1, 0], "int32")
    images = serve(latents=tf.constant(z), labels=tf.constant(labels))["images"]
    np.testing.assert_allclose(images, tiny_resnet([z, labels]), atol=1e-5)
    reader = tf.compat.v1.saved_model
    proto = reader.load(
        tf.compat.v1.Session(graph=tf.Graph()), ["serve"], str(exported / "saved_model")
    )
    for name in ("serving_default", "sample"):
        assert proto.signature_def[name].method_name == "tensorflow/serving/predict"
    sample = proto.signature_def["sample"]
    assert set(sample.inputs) == {"count", "seed", "truncation", "labels"}
    # What a request may leave out.
    assert set(sample.defaults) == {"seed", "truncation", "labels"}


def test_the_saved_model_says_what_its_inputs_mean(exported):
    path = exported / "saved_model"
    told = json.loads((path / saved_model.DESCRIPTION).read_text())
    loaded = tf.saved_model.load(str(path))
    for name, signature in loaded.signatures.items():
        described = told["signatures"][name]
        assert set(described["inputs"]) == set(signature.structured_input_signature[1])
        assert set(described["outputs"]) == set(signature.structured_outputs)
    assert told["class_names"] == ["cat", "dog", "hen"]


def test_nothing_that_is_exported_assigns(exported):
    from tensorflow.lite.tools import flatbuffer_utils

    for precision in PRECISIONS:
        path = exported / f"generator-{precision}.tflite"
        content = flatbuffer_utils.read_model(str(path))
        ops = {
            flatbuffer_utils.opcode_to_name(content, op.opcodeIndex)
            for graph in content.subgraphs
            for op in graph.operators
        }
        assert "CONV_2D" in ops and "CUSTOM" not in ops
        assert not [op for op in ops if "VAR" in op or "ASSIGN" in op]
    loaded = tf.saved_model.load(str(exported / "saved_model"))
    for signature in loaded.signatures.values():
        functions = signature.graph.as_graph_def().library.function
        kinds = {node.op for function in functions for node in function.node_def}
        assert "Conv2D" in kinds and not [kind for kind in kinds if "Assign" in kind]


def test_litert_files_have_a_signature_a_batch_size(exported, tiny_resnet):
    z = np.random.default_rng(1).normal(size=(2, 16)).astype("float32")
    labels = np.array([2, 0], "int32")
    interpreter = Interpreter(str(exported / "generator-float32.tflite"))
    assert set(interpreter.get_signature_list()) == {"batch_1", "batch_2"}
    runner = interpreter.get_signature_runner("batch_2")
    images = runner(latents=z, labels=labels)["images"]
    np.testing.assert_allclose(images, tiny_resnet([z, labels]), atol=1e-5)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_out_of_range_fails_in_each_format(exported, label):
    latents, labels = np.zeros((2, 16), "float32"), np.array([0, label], "int32")
    for precision in PRECISIONS:
        interpreter = Interpreter(str(exported / f"generator-{precision}.tflite"))
        runner = interpreter.get_signature_runner("batch_2")
        with pytest.raises(RuntimeError, match="gather index out of bounds"):
            runner(latents=latents, labels=labels)
    serve = tf.saved_model.load(str(exported / "saved_model")).signatures
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve["serving_default"](
            latents=tf.constant(latents), labels=tf.constant(labels)
        )


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
    generator = loading.load(small_cnn)
    precisions = ("float32", "float16", "int8-dynamic")
    sizes = {
        precision: len(content)
        for precision, content in litert.convert(generator, precisions, (4, 8))
    }
    ((_, single),) = litert.convert(generator, ("float32",), (4,))
    assert sizes["float32"] - len(single) < 0.1 * len(single)
    assert sizes["float16"] < 0.55 * sizes["float32"]
    assert sizes["int8-dynamic"] < 0.38 * sizes["float32"]


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
    renamed = keras.models.clone_model(small_cnn, keras.Input((128,), name="noise"))
    renamed.set_weights(small_cnn.get_weights())
    export.export_generator(renamed, tmp_path / "out", formats=["onnx"])
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "generator.onnx"))
    z = np.random.default_rng(1).normal(size=(5, 128)).astype("float32")
    (images,) = session.run(["images"], {"latents": z})
    np.testing.assert_allclose(images, small_cnn(z), atol=1e-5)


def test_only_the_output_is_left_in_its_folder(small_cnn, tmp_path):
    export.export_generator(small_cnn, tmp_path / "out", ["litert"], batch_sizes=[1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_a_file_beyond_the_bound_leaves_what_was_there(exported, run, capsys):
    before = _contents(exported.parent)
    status = main(
        [str(run), "--output", str(exported), "--format", "litert"]
        + ["--batch-sizes", "2", "--min-psnr", "300", "--overwrite"]
    )
    assert status == 1 and _contents(exported.parent) == before
    output = capsys.readouterr()
    assert "images are in [-1, 1], which the last activation, tanh tells" in output.out
    assert "FAILED" in output.out and "further from Keras" in output.err


def test_a_wrong_file_is_noticed(small_cnn, tmp_path, monkeypatch):
    def wrong(generator, *arguments):
        layer = generator.model.layers[1]
        layer.kernel.assign(layer.kernel * 1.01)
        yield from convert(generator, *arguments)
        layer.kernel.assign(layer.kernel / 1.01)

    convert = litert.convert
    monkeypatch.setattr(litert, "convert", wrong)
    with pytest.raises(export.VerificationError, match="float32.tflite: further"):
        export.export_generator(
            small_cnn, tmp_path / "out", ["litert"], batch_sizes=[4]
        )
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten_unless_it_is_an_export(
    exported, small_cnn, tmp_path
):
    earlier = shutil.copytree(exported, tmp_path / "earlier")
    with pytest.raises(FileExistsError, match="earlier exists.*--overwrite"):
        export.export_generator(small_cnn, earlier)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("kept")
    os.symlink(earlier, tmp_path / "link")
    for name in ("mine", "link"):
        with pytest.raises(FileExistsError, match="no earlier export"):
            export.export_generator(small_cnn, tmp_path / name, overwrite=True)
    assert (tmp_path / "mine" / "precious.txt").read_text() == "kept"
    said: list[str] = []
    options = {"batch_sizes": [2], "overwrite": True, "report": said.append}
    export.export_generator(small_cnn, earlier, ["litert"], **options)
    assert said[-1].startswith("removed of the earlier export: ")
    assert "saved_model" in said[-1] and "reference.npz" not in said[-1]
    assert {path.name for path in earlier.iterdir()} == {
        "export.json",
        "generator-float32.tflite",
        "reference.npz",
    }
