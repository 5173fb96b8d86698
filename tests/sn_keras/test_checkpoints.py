"""Files that were written before, and TensorFlow's own checkpoints."""

import json
import pathlib
from inspect import signature

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

# Written by sn_keras 0.1.0 on JAX, after three steps of SGD; outputs and norms too.
OLD = pathlib.Path(__file__).parent / "fixtures"
X = np.linspace(-1, 1, 4 * 72).reshape(4, 6, 6, 2).astype("float32")


def model():
    mixed = layers.Dense(4, dtype="mixed_bfloat16", name="mixed")
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            SpectralNormalization(
                layers.Conv2D(3, 3, strides=2, name="conv"),
                name="sn",
                gamma=True,
                power_iterations=2,
                seed=3,
            ),
            SpectralNormalization(layers.SeparableConv2D(4, 2, name="separable")),
            layers.Reshape((1, 4)),
            SpectralNormalization(layers.GRU(3, name="gru")),
            WeightNormalization(mixed, gamma=True),
            FrobeniusNormalization(layers.Dense(2, name="last")),
        ]
    )


def check_old_outputs(loaded):
    expected = json.loads((OLD / "version_0_1_0.json").read_text())
    sigmas = []
    for layer in loaded.layers:
        if isinstance(layer, SpectralNormalization):
            sigma = layer.sigma()
            sigmas += sigma.values() if isinstance(sigma, dict) else [sigma]
    np.testing.assert_allclose([float(s) for s in sigmas], expected["sigmas"], 1e-5)
    # Dense in bfloat16 rounds otherwise on another backend.
    tolerance = 1e-5 if keras.backend.backend() == "jax" else 2e-2
    found = numpy(keras.ops.cast(loaded(X), "float32"))
    np.testing.assert_allclose(
        found, expected["outputs"], rtol=tolerance, atol=tolerance
    )


# It is a file of Keras 3.15, whose initializers have an argument that 3.12's lack.
@pytest.mark.skipif(
    "input_axes" not in signature(keras.initializers.GlorotUniform).parameters,
    reason="older Keras",
)
def test_an_older_keras_file():
    loaded = keras.models.load_model(OLD / "version_0_1_0.keras", compile=False)
    check_old_outputs(loaded)
    first, *_, mixed, _ = loaded.layers
    assert (first.power_iterations, first.seed, first.gamma) == (2, 3, True)
    assert (first.norm_multiplier, first.only_above) == (1.0, False)
    assert mixed.layer.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.slow
def test_an_older_weights_file():
    fresh = model()
    fresh.load_weights(OLD / "version_0_1_0.weights.h5")
    check_old_outputs(fresh)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's checkpoints"
)
@pytest.mark.parametrize("shape", ["sequential", "functional", "subclassed"])
def test_tensorflows_checkpoint_has_the_state(shape, tmp_path):
    import tensorflow as tf

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model()

        def build(self, shape):
            self.built = True

        def call(self, x, training=None):
            return self.inner(x, training=training)

    def make():
        if shape == "functional":
            inputs = keras.Input((6, 6, 2))
            return keras.Model(inputs, model()(inputs))
        return model() if shape == "sequential" else Subclassed()

    saved, restored = make(), make()
    for _ in range(2):
        saved(X, training=True)
    restored(X)
    for weight in saved.trainable_weights:
        weight.assign(numpy(weight) * 1.5)
    path = tf.train.Checkpoint(model=saved).save(str(tmp_path / "checkpoint"))
    names = [name for name, _ in tf.train.list_variables(path)]
    for end in ("state_u", "state_v", "state_gamma", "state_depthwise_kernel_u"):
        assert any(f"/{end}/" in name for name in names), end
    status = tf.train.Checkpoint(model=restored).restore(path)
    status.assert_consumed()
    for found, expected in zip(restored.weights, saved.weights, strict=True):
        np.testing.assert_array_equal(numpy(found), numpy(expected), expected.path)
    np.testing.assert_array_equal(
        *(numpy(keras.ops.cast(m(X), "float32")) for m in (restored, saved))
    )
