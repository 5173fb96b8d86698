"""From a generator to a folder of checked files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import export
from tests.export import networks


@pytest.fixture(scope="module")
def model():
    return networks.cnn(width=1 / 16)


def test_a_keras_file_becomes_a_saved_model_and_a_litert_file(model, tmp_path):
    model.save(tmp_path / "generator.keras")
    differences = export.export_generator(
        tmp_path / "generator.keras", tmp_path / "out", batch_sizes=[1, 2]
    )
    assert [one.format for one in differences] == ["saved_model", "litert"]
    assert all(one.psnr > 100 and one.largest < 1e-4 for one in differences)
    manifest = json.loads((tmp_path / "out" / "export.json").read_text())
    assert manifest["image_shape"] == [32, 32, 3]
    latents = np.random.default_rng(5).normal(size=(2, 128)).astype("float32")
    interpreter = Interpreter(str(tmp_path / "out" / "generator-float32.tflite"))
    images = interpreter.get_signature_runner("batch_2")(latents=latents)["images"]
    np.testing.assert_allclose(images, model(latents), atol=1e-5)


def test_only_the_output_is_left_in_its_folder(model, tmp_path):
    export.export_generator(model, tmp_path / "out", formats=["saved_model"])
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_what_exists_is_not_overwritten_unless_asked(model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("kept")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="out exists"):
            export.export_generator(model, tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out" / "precious.txt").read_text() == "kept"
