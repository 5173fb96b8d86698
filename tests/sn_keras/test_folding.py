"""`fold` gives a plain model of the same outputs, and leaves the original alone."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import (
    FrobeniusNormalization,
    SpectralNormalization,
    WeightNormalization,
    fold,
)
from sn_keras.reparameterization import Reparameterization
from tests.sn_keras.gradients import numpy


def images(count=2):
    rng = np.random.default_rng(3)
    return rng.normal(size=(count, 8, 8, 3)).astype("float32")


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            SpectralNormalization(layers.Conv2D(4, 3, activation="relu"), name="first"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            WeightNormalization(layers.Dense(5), gamma=True),
            FrobeniusNormalization(layers.Dense(2)),
        ]
    )


def functional():
    inputs = keras.Input((8, 8, 3))
    shared = SpectralNormalization(layers.Conv2D(3, 3, padding="same"))
    x = shared(inputs)
    x = layers.Add()([shared(x), x])
    nested = keras.Sequential(
        [layers.Flatten(), SpectralNormalization(layers.Dense(4))]
    )
    return keras.Model(inputs, [nested(x), layers.GlobalAveragePooling2D()(x)])


class Subclassed(keras.Model):
    """Makes its wrappers itself: no config names them."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.convolution = SpectralNormalization(layers.Conv2D(width, 3))
        self.rest = [layers.Flatten(), SpectralNormalization(layers.Dense(2))]

    def build(self, input_shape):
        self.convolution.build(input_shape)
        shape = self.convolution.compute_output_shape(input_shape)
        self.rest[1].build((None, int(np.prod(shape[1:]))))
        self.built = True

    def call(self, inputs, training=None):
        x = self.convolution(inputs, training=training)
        for layer in self.rest:
            x = layer(x, training=training)
        return x

    def get_config(self):
        return {"width": self.width, "name": self.name}


def nested_wrappers():
    inner = SpectralNormalization(layers.Dense(4))
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Flatten(), WeightNormalization(inner)]
    )
    return model


MODELS = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": lambda: Subclassed(3),
    "wrapper in wrapper": nested_wrappers,
}


def trained(make):
    model = make()
    for _ in range(3):
        model(images(), training=True)
    return model


def outputs(model):
    return [numpy(x) for x in keras.tree.flatten(model(images(), training=False))]


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_outputs_are_equal_and_no_wrapper_is_left(make):
    model = trained(make)
    plain = fold(model)
    assert type(plain) is type(model)
    assert not any(isinstance(x, Reparameterization) for x in plain._flatten_layers())
    assert not {w.name for w in plain.weights} & {"u", "v"}
    for expected, found in zip(outputs(model), outputs(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_folding_twice_is_folding_once(make):
    once = fold(trained(make))
    for first, second in zip(once.weights, fold(once).weights, strict=True):
        np.testing.assert_array_equal(numpy(first), numpy(second))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_copy_shares_nothing_and_the_original_stays(make):
    model = trained(make)
    before = [numpy(weight).copy() for weight in model.weights]
    plain = fold(model)
    for weight in plain.weights:
        weight.assign(np.zeros(weight.shape))
    for value, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(value, numpy(weight))


def test_a_wrapper_alone_becomes_its_layer_under_its_own_name():
    wrapper = SpectralNormalization(layers.Dense(3), name="outer")
    wrapper.build((None, 5))
    plain = fold(wrapper)
    assert (type(plain), plain.name) == (layers.Dense, "outer")
    np.testing.assert_allclose(
        numpy(plain.kernel), numpy(wrapper.normalized_kernel()), rtol=1e-6
    )


def test_a_saved_copy_loads_without_sn_keras(tmp_path):
    model = trained(sequential)
    fold(model).save(tmp_path / "plain.keras")
    np.save(tmp_path / "images.npy", images())
    np.save(tmp_path / "expected.npy", outputs(model)[0])
    code = """
import sys, keras, numpy as np
model = keras.saving.load_model("plain.keras")
assert "sn_keras" not in sys.modules
found = keras.ops.convert_to_numpy(model(np.load("images.npy")))
np.testing.assert_allclose(found, np.load("expected.npy"), rtol=1e-5, atol=1e-6)
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_what_can_not_be_folded_is_said():
    with pytest.raises(TypeError, match="`model` must be a `keras.Model`.*Received"):
        fold("model")
    with pytest.raises(ValueError, match="`model` 'late' must be built"):
        fold(SpectralNormalization(layers.Dense(3), name="late"))
    dense = layers.Dense(3)
    inputs = keras.Input((3,))
    both = keras.Model(inputs, SpectralNormalization(dense)(dense(inputs)))
    with pytest.raises(ValueError, match="can't be folded.*used with the kernel"):
        fold(both)
