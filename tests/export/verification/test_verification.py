"""Files are run without Keras, and judged by PSNR and by a classifier."""

from __future__ import annotations

import json
import math
import pathlib
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import export
from export import verification
from export.formats.names import signature_name
from export.reading import loading
from export.verification import comparison, isolation, scores
from tests.export import networks


@pytest.mark.slow
@pytest.mark.parametrize("format", ["saved_model", "litert"])
def test_the_process_that_runs_a_file_has_no_keras(exported, tmp_path, format):
    name = {"saved_model": "saved_model", "litert": "generator-float32.tflite"}[format]
    request = {"format": format, "path": str(exported / name)}
    request["calls"] = [signature_name(format, 2)]
    (tmp_path / "request").write_text(json.dumps(request))
    arrays = {"0/latents": np.zeros((2, 16), "float32"), "0/labels": np.zeros(2, "i4")}
    np.savez(tmp_path / "inputs.npz", **arrays)
    program = pathlib.Path(verification.__file__).parent / "worker.py"
    files = [tmp_path / one for one in ("request", "inputs.npz", "outputs.npz")]
    subprocess.run([sys.executable, program, *files], check=True, capture_output=True)
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert outputs["0/images"].shape == (2, 8, 8, 3)
        loaded = {module.partition(".")[0] for module in outputs["modules"]}
    assert not loaded & {"sn_keras", "export", "training"}
    # TensorFlow imports Keras, which then has no model there.
    assert ("keras" in loaded) <= ("tensorflow" in loaded) == (format == "saved_model")


def test_a_file_that_cant_be_run_is_named(tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"TFL3")
    with pytest.raises(export.VerificationError, match="bad.tflite can't be run"):
        isolation.run_isolated(tmp_path / "bad.tflite", "litert", ["batch_1"], [{}])


def test_files_are_run_where_float32_is_whole(tmp_path, monkeypatch):
    given = {}
    failed = types.SimpleNamespace(returncode=1, stderr="")
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **options: given.update(options) or failed
    )
    with pytest.raises(export.VerificationError):
        isolation.run_isolated(tmp_path / "g.tflite", "litert", [], [])
    assert given["env"]["CUDA_VISIBLE_DEVICES"] == "-1"


def test_keras_images_are_computed_in_whole_float32():
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled
    seen = []

    class Watched(types.SimpleNamespace):
        def __call__(self, latents):
            seen.append(tf32())
            return latents.reshape(-1, 1, 1, 1)

    drawn = {"latents": np.zeros((64, 1), "float32")}
    generator = Watched(
        image_shape=(1, 1, 1),
        output_range=(-1, 1),
        compute_dtype="float32",
        draw=lambda count, seed: drawn,
    )
    before = tf32()
    comparison.reference(generator, [1])
    assert not any(seen) and tf32() == before


def test_psnr():
    reference = np.zeros((2, 4, 4, 3), "float32")
    # 10 · log10(2² / 0.02²) = 40
    assert comparison.psnr(reference + 0.02, reference) == pytest.approx(40, abs=1e-4)
    assert comparison.psnr(reference, reference) == math.inf
    # An error of 1 % of the range, whatever the range: 10 · log10(1 / 0.01²) = 40.
    assert comparison.psnr(reference + 2.55, reference, 255) == pytest.approx(40)
    assert comparison.psnr(reference + 0.01, reference, 1) == pytest.approx(
        40, abs=1e-4
    )


def test_the_classifier_score_has_the_values_that_it_must():
    sure = 50.0 * np.eye(4)[np.arange(40) % 4]
    # Sure of each image and all classes alike: the number of classes. Never sure: 1.
    assert scores.classifier_score(sure) == pytest.approx(4)
    assert scores.classifier_score(np.zeros((40, 4))) == pytest.approx(1)
    assert scores.classifier_score(sure[:1].repeat(40, axis=0)) == pytest.approx(1)


def _bright(classes):
    """Classifies images by their brightness."""
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 25)(inputs))
    model = keras.Model(inputs, layers.Dense(classes)(x))
    return networks.trained_like(model, 1)


def test_of_a_softmax_the_logarithms_are_the_logits():
    plain = _bright(3)
    model = keras.Model(plain.input, layers.Softmax()(plain.output))
    generator = types.SimpleNamespace(
        output_range=(0.0, 255.0), image_shape=(8, 8, 3), num_classes=None
    )
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype("float32")
    one, other = (
        scores.Classifier(classifier, generator).logits(images)
        for classifier in (plain, model)
    )
    difference = one - other
    np.testing.assert_allclose(difference, difference[:, :1].repeat(3, 1), atol=1e-4)
    assert scores.classifier_score(one) == pytest.approx(scores.classifier_score(other))


@pytest.mark.slow
def test_the_scores_change_is_told(tiny_resnet, tmp_path, capsys):
    _bright(3).save(tmp_path / "classifier.keras")
    differences = export.export_generator(
        tiny_resnet,
        tmp_path / "out",
        ["litert"],
        ["float32", "float16"],
        [4],
        classifier=tmp_path / "classifier.keras",
    )
    latents = loading.load(tiny_resnet).draw(512, 0)
    images = tiny_resnet([latents["latents"], latents["labels"]], training=False)
    pixels = np.clip(np.rint((np.asarray(images) + 1) * 127.5), 0, 255)
    logits = np.asarray(_bright(3)(pixels), "float64")
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    divergence = (shares * np.log(shares / shares.mean(axis=0))).sum(axis=1).mean()
    right = (logits.argmax(axis=1) == latents["labels"]).mean()
    for one in differences:
        assert one.score.images == 512
        assert one.score.keras == pytest.approx(np.exp(divergence), rel=1e-3)
        assert abs(one.score.change) < 1e-3
        assert one.score.keras_right == pytest.approx(right, abs=0.01)
    files = json.loads((tmp_path / "out" / "export.json").read_text())["files"]
    assert [file["score"]["bound"] for file in files] == [0.001, 0.005]


@pytest.mark.slow
def test_a_changed_score_fails(tiny_resnet, tmp_path, monkeypatch):
    monkeypatch.setitem(comparison.SCORE_BOUNDS, "float16", -1.0)
    with pytest.raises(export.VerificationError, match="float16.tflite: further"):
        export.export_generator(
            tiny_resnet,
            tmp_path / "out",
            ["litert"],
            ["float16"],
            [4],
            classifier=_bright(3),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_classifier_of_something_else_is_refused(tiny_resnet, small_resnet):
    with pytest.raises(ValueError, match="`classifier` must take .* of 3 classes"):
        scores.Classifier(_bright(5), loading.load(tiny_resnet))
    with pytest.raises(ValueError, match=r"of shape \(16, 16, 3\)"):
        scores.Classifier(_bright(3), loading.load(small_resnet))


@pytest.mark.slow
def test_a_collapsed_generator_is_exported(tmp_path):
    inputs = keras.Input((8,))
    x = layers.Dense(48, kernel_initializer="zeros", bias_initializer="normal")(inputs)
    model = keras.Model(inputs, layers.Reshape((4, 4, 3))(x))
    (difference,) = export.export_generator(
        model, tmp_path / "out", ["saved_model"], output_range=(-1, 1)
    )
    assert difference.passed


@pytest.mark.slow
def test_a_generator_that_looks_at_labels_alone_is_exported(tmp_path):
    latents, labels = keras.Input((8,)), keras.Input((), dtype="int32", name="labels")
    x = layers.Embedding(3, 48)(labels) + 0.0 * layers.Dense(48)(latents)
    model = keras.Model([latents, labels], layers.Reshape((4, 4, 3))(x))
    networks.trained_like(model, 0)
    (difference,) = export.export_generator(
        model, tmp_path / "out", ["saved_model"], output_range=(-1, 1)
    )
    assert difference.passed
