"""Configs and files give back the same layer, bit for bit."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import (
    FrobeniusNormalization,
    SpectralNormalization,
    WeightNormalization,
)
from tests.sn_keras.gradients import numpy

WRAPPERS = {
    "spectral": lambda layer: SpectralNormalization(
        layer, power_iterations=2, gamma=True, seed=5, name="outer", trainable=False
    ),
    "weight": lambda layer: WeightNormalization(layer, gamma=True, name="outer"),
    "frobenius": lambda layer: FrobeniusNormalization(layer, name="outer"),
}


def model():
    return keras.Sequential(
        [
            keras.Input((5, 4)),
            SpectralNormalization(layers.LSTM(3, return_sequences=True), name="lstm"),
            layers.Flatten(),
            SpectralNormalization(layers.Dense(2), name="last"),
        ],
        name="model",
    )


def inputs():
    return np.random.default_rng(1).normal(size=(2, 5, 4)).astype("float32")


def advanced():
    made = model()
    for _ in range(3):
        made(inputs(), training=True)
    return made


def assert_same(one, other):
    assert [w.name for w in one.weights] == [w.name for w in other.weights]
    for first, second in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(numpy(first), numpy(second))
    np.testing.assert_array_equal(numpy(one(inputs())), numpy(other(inputs())))


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_the_config_survives_json(wrap):
    wrapper = wrap(layers.Conv2D(4, 3, dilation_rate=2, dtype="mixed_bfloat16"))
    config = json.loads(json.dumps(wrapper.get_config()))
    again = type(wrapper).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == json.loads(
        json.dumps(wrapper.get_config())
    )
    assert again.layer.dilation_rate == (2, 2)
    assert again.layer.compute_dtype == "bfloat16"


def test_every_argument_is_kept_under_its_own_name():
    wrapper = WRAPPERS["spectral"](layers.Dense(2))
    assert (wrapper.power_iterations, wrapper.gamma, wrapper.seed) == (2, True, 5)
    config = wrapper.get_config()
    for name in ("power_iterations", "gamma", "seed", "name", "trainable"):
        assert config[name] == getattr(wrapper, name)


def test_the_registered_name_is_the_package_s():
    names = [
        keras.saving.get_registered_name(type(w(layers.Dense(1))))
        for w in WRAPPERS.values()
    ]
    assert names == [
        "sn_keras>SpectralNormalization",
        "sn_keras>WeightNormalization",
        "sn_keras>FrobeniusNormalization",
    ]


def test_a_keras_file_is_bitwise(tmp_path):
    made = advanced()
    made.save(tmp_path / "model.keras")
    assert_same(made, keras.saving.load_model(tmp_path / "model.keras"))


def test_a_weights_file_is_bitwise(tmp_path):
    made, other = advanced(), model()
    made.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(made, other)


def test_the_paths_in_a_weights_file(tmp_path):
    """A change here breaks the files that users have: it needs a migration."""
    wrapper = SpectralNormalization(layers.Dense(2), gamma=True)
    made = keras.Sequential([keras.Input((3,)), wrapper])
    made.save_weights(tmp_path / "model.weights.h5")
    found = {}
    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item.shape})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    found = {name: shape for name, shape in found.items() if not name.startswith("_")}
    own = "layers/spectral_normalization"
    assert found == {
        f"{own}/vars/0": (),  # gamma: trainable weights come first
        f"{own}/vars/1": (2,),  # u
        f"{own}/vars/2": (3,),  # v
        f"{own}/layer/vars/0": (3, 2),
        f"{own}/layer/vars/1": (2,),
    }


def test_clones_have_the_structure_and_take_the_weights():
    made = advanced()
    clone = keras.models.clone_model(made)
    clone.set_weights(made.get_weights())
    assert_same(made, clone)


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_are_equal_and_independent(how):
    made = advanced()
    other = how(made)
    assert_same(made, other)
    other(inputs(), training=True)
    other.layers[-1].layer.kernel.assign(keras.ops.ones((15, 2)))
    assert not np.array_equal(numpy(made.layers[-1].layer.kernel), np.ones((15, 2)))


def test_a_fresh_process_needs_only_the_import(tmp_path):
    made = advanced()
    made.save(tmp_path / "model.keras")
    np.save(tmp_path / "inputs.npy", inputs())
    np.save(tmp_path / "expected.npy", numpy(made(inputs())))
    code = """
import keras, numpy as np, sn_keras
model = keras.saving.load_model("model.keras")
found = keras.ops.convert_to_numpy(model(np.load("inputs.npy")))
np.testing.assert_array_equal(found, np.load("expected.npy"))
"""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True
    )
