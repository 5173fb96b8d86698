"""Nothing that is loaded can run code."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export import discriminator
from export.reading import generator, keras_files


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
        generator.load(path)
    with pytest.raises(ValueError, match="can't be loaded"):
        discriminator._load(path)
    with pytest.raises(ValueError, match="can't be loaded"):
        keras_files.load(path, "classifier")
    assert not made.exists()


def test_a_changed_configuration_alone_is_no_reason(tmp_path):
    path = _tampered(tmp_path / "generator.keras", {"activation": "tanh"})
    loaded = generator.load(path)
    assert np.abs(loaded(**loaded.draw(2, 0))).max() <= 1
