"""Spectra against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import (
    SpectralNormalization,
    singular_values,
    spectral_norms,
)
from tests.sn_keras.gradients import numpy


def test_singular_values_are_those_of_the_matrix():
    layer = layers.Conv2DTranspose(4, 3)
    layer.build((None, 8, 8, 5))
    kernel = keras.ops.convert_to_numpy(layer.kernel.value).astype(
        "float64"
    )  # h, w, out, in
    matrix = kernel.transpose(2, 3, 0, 1).reshape(4, -1)
    (values,) = singular_values(layer).values()
    np.testing.assert_allclose(values, np.linalg.svd(matrix)[1], rtol=1e-12)


def test_normalized_and_raw_values_differ_by_sigma():
    layer = SpectralNormalization(layers.Dense(5))
    layer.build((None, 9))
    (raw,) = singular_values(layer, normalized=False).values()
    (normalized,) = singular_values(layer).values()
    np.testing.assert_allclose(normalized * float(layer.sigma()), raw, rtol=1e-5)


def test_spectral_norms_name_every_kernel_of_a_model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            SpectralNormalization(layers.Conv2D(4, 3), name="first"),
            layers.Flatten(),
            layers.Dense(2, name="last"),
        ]
    )
    for _ in range(50):
        model(np.ones((1, 8, 8, 3), "float32"), training=True)
    norms = spectral_norms(model)
    assert len(norms) == 2
    (first,) = (norm for path, norm in norms.items() if "first" in path)
    assert first == pytest.approx(1.0, abs=1e-3)
    (last,) = (norm for path, norm in norms.items() if "last" in path)
    kernel = keras.ops.convert_to_numpy(model.get_layer("last").kernel.value)
    assert last == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-6)


def test_kernels_of_the_same_path_are_all_there():
    def critic():
        dense = [layers.Dense(4, name="first"), layers.Dense(1, name="last")]
        return keras.Sequential([keras.Input((4,)), *dense], name="critic")

    class Critics(keras.Model):
        def __init__(self):
            super().__init__()
            self.critics = [critic() for _ in range(3)]

    model = Critics()
    critics = model.critics
    model.built = True
    kernels = [numpy(layer.kernel) for one in critics for layer in one.layers]
    expected = sorted(np.linalg.norm(kernel, 2) for kernel in kernels)
    norms = spectral_norms(model)
    assert sorted(norms.values()) == pytest.approx(expected, rel=1e-6)
    assert {"critic/first/kernel", "critic/first/kernel_2"} < norms.keys()
    assert singular_values(model).keys() == norms.keys()


def test_weights_that_are_no_kernels_may_be_beside_them():
    class Constant(layers.Layer):
        def build(self, shape):
            self.constant = self.add_weight(shape=(4, 4), name="constant")

        def call(self, x):
            return x + self.constant

    dense = layers.Dense(3)
    model = keras.Sequential([keras.Input((4, 4)), Constant(), dense])
    assert spectral_norms(model).keys() == {dense.kernel.path}
    assert singular_values(model).keys() == {dense.kernel.path}


def test_an_unbuilt_layer_is_refused():
    with pytest.raises(ValueError, match="`layer` 'late' is not built"):
        spectral_norms(layers.Dense(3, name="late"))
