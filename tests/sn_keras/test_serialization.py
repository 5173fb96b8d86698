"""Wrapped layers survive every way in which Keras copies and stores them."""

import copy
import json
import pickle
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization, register_kernels
from sn_keras.kernel_registry import _REGISTRY
from tests.sn_keras.gradients import numpy
from tests.sn_keras.layer_kinds import KINDS, parameters

X = np.random.default_rng(0).normal(size=(4, 6, 6, 2)).astype("float32")
# Those that are built from more than one shape, from integers, or from layers inside.
VARIED = ["dense", "conv2d_transpose", "embedding", "lstm", "multi_head_attention"]
varied_kinds = pytest.mark.parametrize(
    "kind", parameters([kind for kind in KINDS if kind.name in VARIED])
)


def small_model(**options):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            SpectralNormalization(
                layers.Conv2D(3, 3, name="conv"), name="sn", **options
            ),
            layers.BatchNormalization(name="bn"),
            layers.Flatten(name="flat"),
            SpectralNormalization(layers.Dense(2, name="dense"), name="last"),
        ],
        name="model",
    )
    model(X, training=True)
    return model


def assert_same(first, second):
    assert first is not second
    assert len(first.weights) == len(second.weights)
    for a, b in zip(first.weights, second.weights, strict=True):
        assert a is not b
        np.testing.assert_array_equal(numpy(a), numpy(b))
    np.testing.assert_array_equal(numpy(first(X)), numpy(second(X)))


def through_json(layer):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    return keras.saving.deserialize_keras_object(config)


@pytest.mark.slow
@varied_kinds
def test_config_through_json(kind):
    wrapped = SpectralNormalization(
        kind.make(name="inner"), power_iterations=3, gamma=True, seed=5, name="outer"
    )
    again = through_json(wrapped)
    assert type(again) is SpectralNormalization
    assert type(again.layer) is type(wrapped.layer)
    assert again.get_config() == wrapped.get_config()
    found = {k: again.get_config()[k] for k in ("name", "power_iterations", "seed")}
    assert found == {"name": "outer", "power_iterations": 3, "seed": 5}
    assert again.gamma is True
    # What is built comes back built, also from several shapes.
    kind.build(wrapped)
    again = through_json(wrapped)
    assert again.built
    found, expected = ([tuple(w.shape) for w in x.weights] for x in (again, wrapped))
    assert found == expected


def test_registered_name():
    registered = keras.saving.get_registered_name(SpectralNormalization)
    assert registered == "sn_keras>SpectralNormalization"


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [False, True])
def test_keras_file(gamma, tmp_path):
    model = small_model(gamma=gamma)
    model.save(tmp_path / "model.keras")
    assert_same(model, keras.models.load_model(tmp_path / "model.keras"))


@pytest.mark.slow
def test_keras_file_of_an_attention_model(tmp_path):
    query, value = keras.Input((3, 4)), keras.Input((5, 6))
    attention = SpectralNormalization(layers.MultiHeadAttention(2, 3))
    model = keras.Model([query, value], attention(query, value, use_causal_mask=True))
    inputs = [np.ones((2, 3, 4), "float32"), np.ones((2, 5, 6), "float32")]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(model(inputs)), numpy(loaded(inputs)))


def test_weights_file(tmp_path):
    model, other = small_model(), small_model()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(model, other)


def test_paths_in_the_weights_file(tmp_path):
    """A change of these would leave old files unreadable."""
    h5py = pytest.importorskip("h5py")
    model = small_model(gamma=True)
    model.save_weights(tmp_path / "model.weights.h5")
    found = {}
    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(
            lambda name, item: (
                found.__setitem__(name, item.shape)
                if isinstance(item, h5py.Dataset) and name.startswith("layers/spec")
                else None
            )
        )
    assert found == {
        "layers/spectral_normalization/layer/vars/0": (3, 3, 2, 3),
        "layers/spectral_normalization/layer/vars/1": (3,),
        "layers/spectral_normalization/vars/0": (),
        "layers/spectral_normalization/vars/1": (3,),
        "layers/spectral_normalization/vars/2": (18,),
        "layers/spectral_normalization_1/layer/vars/0": (48, 2),
        "layers/spectral_normalization_1/layer/vars/1": (2,),
        "layers/spectral_normalization_1/vars/0": (2,),
        "layers/spectral_normalization_1/vars/1": (48,),
    }


@pytest.mark.slow
def test_names_and_paths_of_the_weights():
    model = small_model()
    # What comes before "sn/" depends on the order in which Keras builds a model.
    names = {weight.path.rpartition("sn/")[2] for weight in model.layers[0].weights}
    assert names == {"conv/kernel", "conv/bias", "u", "v"}
    attention = SpectralNormalization(layers.MultiHeadAttention(2, 3, name="mha"))
    attention(keras.KerasTensor((None, 3, 4)), keras.KerasTensor((None, 3, 4)))
    assert sorted(weight.path for weight in attention.state_variables) == sorted(
        f"{attention.name}/{name}_kernel_{vector}"
        for name in ("attention_output", "value", "key", "query")
        for vector in "uv"
    )


@pytest.mark.slow
def test_clone_model():
    model = small_model()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_same(model, clone)


@pytest.mark.slow
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["deepcopy", "pickle"],
)
def test_copies_are_equal_and_independent(duplicate):
    model = small_model()
    again = duplicate(model)
    assert_same(model, again)
    before = numpy(model(X))
    again.layers[0].layer.kernel.assign(numpy(again.layers[0].layer.kernel) + 1)
    again(X, training=True)
    np.testing.assert_array_equal(numpy(model(X)), before)


@pytest.mark.parametrize("state", ["built", "not built"])
def test_a_layer_can_be_copied(state):
    wrapped = SpectralNormalization(layers.Dense(3), seed=3)
    if state == "built":
        wrapped.build((None, 2))
    again = copy.deepcopy(wrapped)
    assert again.layer is not wrapped.layer
    for a, b in zip(again.weights, wrapped.weights, strict=True):
        np.testing.assert_array_equal(numpy(a), numpy(b))


@pytest.mark.slow
def test_a_fresh_process_needs_the_import_alone(tmp_path):
    model = small_model()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    script = (
        "import sys, numpy as np, keras, sn_keras\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "y = model.predict(np.load(sys.argv[1] + '/x.npy'), verbose=0)\n"
        "np.save(sys.argv[1] + '/y.npy', y)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    found = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(found, numpy(model(X)), rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable("test_serialization")
class Transposed(layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(3, 3, 4, 4), name="kernel")

    def call(self, x):
        return keras.ops.conv_transpose(x, self.kernel, 2, "same")


@pytest.mark.slow
def test_a_process_that_knows_other_kernels_is_told(tmp_path):
    register_kernels(Transposed, kernel=(-2,))
    layer = SpectralNormalization(Transposed())
    model = keras.Sequential([keras.Input((4, 4, 4)), layer])
    model.save(tmp_path / "model.keras")
    keras.saving.load_model(tmp_path / "model.keras")
    del _REGISTRY[Transposed]
    with pytest.raises(ValueError, match=r"\[\[2\]\], and here .*\[\[3\]\]"):
        keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.slow
def test_a_wrapper_that_is_not_trainable_freezes_its_layer(tmp_path):
    layer = SpectralNormalization(layers.Dense(3), trainable=False)
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(1)])
    assert len(model.trainable_variables) == 2
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert len(again.trainable_variables) == 2
