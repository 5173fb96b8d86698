"""An export can be held against Keras again, without the Keras model."""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
import pytest
from keras import layers

import export
from export import manifest
from export.__main__ import main
from export.verification import stored
from tests.export import networks

pytestmark = pytest.mark.slow  # its files take seconds to make


@pytest.fixture
def copy(exported, tmp_path):
    """The export's fastest file, as if it were on another machine."""
    path = shutil.copytree(
        exported, tmp_path / "out", ignore=lambda _, names: {"saved_model"} & set(names)
    )
    told = json.loads((path / "export.json").read_text())
    for name in ("int8-dynamic", "int8-full", "float16"):
        (path / f"generator-{name}.tflite").unlink()
    told["files"] = [one for one in told["files"] if one["file"].endswith("t32.tflite")]
    manifest.write(path, told)
    return path


def test_what_was_exported_is_what_keras_did(copy, capsys):
    assert main(["verify", str(copy)]) == 0
    printed = capsys.readouterr().out
    assert "all files are the ones that were exported" in printed
    assert "does what Keras did" in printed
    told = json.loads((copy / "export.json").read_text())["files"][0]
    (difference,) = stored.verify(copy)
    # The same images, of which some come more often where a batch is larger.
    assert difference.psnr == pytest.approx(told["psnr"], abs=3)
    assert difference.bound == told["bound"]


def test_a_file_with_other_weights_fails(copy, exported):
    """Exchanged with its digest, so that the comparison alone can find it."""
    told = json.loads((copy / "export.json").read_text())
    shutil.copy(
        exported / "generator-int8-full.tflite", copy / "generator-float32.tflite"
    )
    (copy / "export.json").unlink()
    told["files"][0]["bound"] = 90.0
    manifest.write(copy, told)
    with pytest.raises(export.VerificationError, match="float32.tflite: further from"):
        stored.verify(copy)


@pytest.mark.parametrize("name", ["generator-float32.tflite", "reference.npz"])
def test_a_damaged_file_is_named(copy, name, capsys):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    assert main(["verify", str(copy)]) == 1
    told = capsys.readouterr().err
    assert f"{name} (changed)" in told and told.count("\n") == 1


@pytest.mark.parametrize("number", range(3))
def test_a_hostile_reference_is_refused(copy, number):
    told = json.loads((copy / "export.json").read_text())
    path = copy / "reference.npz"
    if number == 0:
        np.savez(path, latents=np.array([{}], object), images=np.zeros(1))
    elif number == 1:
        np.savez(path, latents=np.zeros((2, 3)), images=np.zeros((2, 8, 8, 3)))
    else:
        path.write_bytes(b"PK")
    (copy / "export.json").unlink()
    manifest.write(copy, told)
    with pytest.raises(ValueError, match="reference.npz"):
        stored.verify(copy)


def test_what_is_no_export_is_said(tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert "is no export" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*Please consider providing the trackable")
def test_a_model_in_half_precision_is_compared_with_both(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((8,))
        x = layers.Reshape((4, 4, 4))(layers.Dense(64)(inputs))
        x = layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh")(x)
        model = networks.trained_like(keras.Model(inputs, x), 0)
    finally:
        keras.config.set_dtype_policy(before)
    lines: list[str] = []
    (difference,) = export.export_generator(
        model, tmp_path / "out", ["litert"], batch_sizes=[8], report=lines.append
    )
    z = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    own = np.asarray(keras.ops.cast(model(z), "float32"), "float64")
    copy_in_float32 = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(
            {**layer.get_config(), "dtype": "float32"}
        ),
    )
    copy_in_float32.set_weights(model.get_weights())
    error = np.mean(np.square(own - copy_in_float32(z)))
    assert difference.psnr > 110
    assert difference.own_psnr == pytest.approx(10 * np.log10(4 / error), abs=0.5)
    assert "own dB" in lines[-1] and "half precision" in lines[-1]
    told = json.loads((tmp_path / "out" / "export.json").read_text())
    assert told["compute_dtype"] == "bfloat16"
    assert told["files"][0]["own_psnr"] == difference.own_psnr
