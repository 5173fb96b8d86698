"""Nothing that is loaded can run code."""

from __future__ import annotations

import json
import warnings
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export import discriminator
from export.reading import keras_files, loading


def _layer(module, name, **config):
    return {"module": module, "class_name": name, "config": config}


def _tampered(path, replacement):
    """A generator's file whose dense layer is something else in the configuration."""
    inputs = keras.Input((8,), name="latents")
    x = layers.Dense(48, name="dense")(inputs)
    keras.Model(inputs, layers.Reshape((4, 4, 3))(x)).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    (dense,) = (one for one in config["config"]["layers"] if one["name"] == "dense")
    if "activation" in replacement:
        dense["config"].update(replacement)
    else:
        replacement["config"].setdefault("name", "dense")
        dense.update(replacement)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def trap(tmp_path):
    """A file that each attack would make, and the code that would make it."""
    made = tmp_path / "made"
    return made, f"open({str(made)!r}, 'w').close()"


def _attacks(code, folder):
    lambda_ = {"class_name": "__lambda__", "config": {"code": code}}
    function = {"module": "os", "class_name": "function", "config": "system"}
    return [
        _layer("keras.layers", "Lambda", function=lambda_),
        _layer("builtins", "eval", source=code),
        _layer("subprocess", "Popen", args=["touch", str(folder / "made")]),
        _layer("keras.layers", "TFSMLayer", filepath=str(folder / "model")),
        {"activation": {**function, "registered_name": "system"}},
        {"activation": {**function, "module": "builtins", "config": "exec"}},
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_a_file_cant_run_code(number, trap, tmp_path):
    made, code = trap

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 8))])
        def serve(self, x):
            tf.io.write_file(str(made), "")
            return tf.zeros((tf.shape(x)[0], 48))

    model = Writes()
    tf.saved_model.save(model, str(tmp_path / "model"), {"serve": model.serve})
    attack = _attacks(code, tmp_path)[number]
    path = _tampered(tmp_path / "generator.keras", attack)
    with pytest.raises(ValueError, match="can't be loaded"):
        loading.load(path)
    with pytest.raises(ValueError, match="can't be loaded"):
        discriminator._load(path)
    with pytest.raises(ValueError, match="can't be loaded"):
        keras_files.load(path, "classifier")
    assert not made.exists()


def test_a_changed_configuration_alone_is_no_reason(tmp_path):
    path = _tampered(tmp_path / "generator.keras", {"activation": "tanh"})
    loaded = loading.load(path)
    assert np.abs(loaded(**loaded.draw(2, 0))).max() <= 1


def _packed(path, name, content):
    """A generator's file with an entry that is larger than it looks."""
    _tampered(path, {"activation": "tanh"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def _with_compressed_weights(path):
    """Weights that HDF5 itself has compressed: 400 MB of zeros in a few KB."""
    _tampered(path, {"activation": "tanh"})
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with h5py.File(path.parent / "weights.h5", "w") as file:
        options = {"chunks": (1 << 20,), "compression": "gzip"}
        file.create_dataset("vars/0", (10**8,), "float32", **options)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.write(path.parent / "weights.h5", "model.weights.h5")


@pytest.mark.parametrize("number", range(3))
def test_a_file_that_unpacks_to_far_more_is_refused_by_its_sizes(
    number, tmp_path, monkeypatch
):
    monkeypatch.setattr(keras_files, "_ALWAYS_UNPACKED", 4_000_000)
    path = tmp_path / "generator.keras"
    if number == 2:
        _with_compressed_weights(path)
    else:
        name = ("model.weights.h5", "assets/more.json")[number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the entry that is there twice
            _packed(path, name, bytes(5_000_000))
    monkeypatch.setattr(keras.saving, "load_model", None)  # not called
    for load in (loading.load, discriminator._load):
        with pytest.raises(ValueError, match=r"is refused: its .* MB unpack to"):
            load(path)


def test_a_configuration_that_nests_too_deep_is_refused(tmp_path):
    path = tmp_path / "generator.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", '{"a":' * 10**5 + "1" + "}" * 10**5)
    with pytest.raises(ValueError, match="nest too deep"):
        loading.load(path)
