"""What an export says of itself is checked, whoever wrote it."""

from __future__ import annotations

import json

import keras
import pytest
from keras import layers

import export
from export import manifest

FILE = {
    "file": "generator-float32.tflite",
    "format": "litert",
    "precision": "float32",
    "psnr": 120.0,
    "largest": 1e-6,
    "bound": 90.0,
}
GOOD = {
    "latent_dim": 8,
    "image_shape": [4, 4, 3],
    "num_classes": 3,
    "class_names": ["cat", "dog", "hen"],
    "output_range": [-1.0, 1.0],
    "batch_sizes": [1, 16],
    "files": [FILE],
}


def written(folder, **changes):
    (folder / FILE["file"]).write_bytes(b"model")
    manifest.write(folder, {**GOOD, **changes})
    return folder


def test_what_was_written_is_read(tmp_path):
    read = manifest.read_generator(written(tmp_path))
    assert {key: read[key] for key in GOOD} == GOOD
    assert read["contents"] == {
        FILE["file"]: {
            "bytes": 5,
            # `printf model | sha256sum`
            "sha256": "9372c470eeadd5ecd9c3c74c2b3cb633"
            "f8e2f2fad799250a0f70d652b6b825e4",
        }
    }


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 10**8},
        {"num_classes": -1},
        {"num_classes": "3"},
        {"num_classes": 2.5},
        {"num_classes": True},
        {"latent_dim": 10**9},
        {"latent_dim": None},
        {"image_shape": [10**6, 10**6, 3]},
        {"image_shape": [4, 4, 5]},
        {"image_shape": 48},
        {"batch_sizes": []},
        {"batch_sizes": [10**7]},
        {"batch_sizes": {"1": 1}},
        {"class_names": [["<b>"]]},
        {"output_range": [1, -1]},
        {"output_range": [0, None]},
        {"output_range": "01"},
        {"files": []},
        {"files": ["generator.onnx"]},
        {"files": [{**FILE, "psnr": "high"}]},
        {"files": [{**FILE, "format": "exe"}]},
        {"files": [{**FILE, "precision": ["float32"]}]},
    ],
)
def test_a_value_that_no_export_has_is_named(tmp_path, change):
    name = next(iter(change))
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        manifest.read_generator(written(tmp_path, **change))


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    inputs = keras.Input((4, 4, 3))
    large = layers.UpSampling2D((4096, 1))(inputs)
    model = keras.Model(inputs, large)
    with pytest.raises(ValueError, match="`image_shape` must be .* to 8192 pixels"):
        export.export_generator(model, tmp_path / "out", output_range=(-1, 1))
    assert list(tmp_path.iterdir()) == []
    read = manifest.read_generator(written(tmp_path, latent_dim=256 * 256 * 3))
    assert read["latent_dim"] == 196608


@pytest.mark.parametrize("file", ["../secret", "/etc/passwd", "..", "a/b", "", "a\nb"])
def test_it_names_nothing_outside_its_folder(tmp_path, file):
    with pytest.raises(ValueError, match="`files` must be a list of files of the fold"):
        manifest.read_generator(written(tmp_path, files=[{**FILE, "file": file}]))


@pytest.mark.parametrize("key", [*GOOD, "contents"])
def test_a_key_that_is_missing_is_named(tmp_path, key):
    path = written(tmp_path) / manifest.NAME
    told = json.loads(path.read_text())
    del told[key]
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match=f"`{key}`"):
        manifest.read_generator(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 10**5, '{"contents": 7}'])
def test_what_is_no_manifest_is_named(tmp_path, text):
    (tmp_path / manifest.NAME).write_text(text)
    with pytest.raises(ValueError, match="export.json"):
        manifest.read_generator(tmp_path)


def test_another_kind_of_export_is_no_generators(tmp_path):
    manifest.write(tmp_path, {"differences": {}})
    with pytest.raises(FileNotFoundError, match="no export of a generator"):
        manifest.read_generator(tmp_path)


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda path: path.write_bytes(b"mode"), "changed"),
        (lambda path: path.write_bytes(b"Model"), "changed"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_a_file_that_was_not_verified_is_named(tmp_path, damage, word):
    damage(written(tmp_path) / FILE["file"])
    with pytest.raises(ValueError, match=rf"not what was .*\.tflite \({word}\)"):
        manifest.read_generator(tmp_path)
    assert manifest.read_generator(tmp_path, whole=False)["latent_dim"] == 8
