"""Spectra against NumPy, and Lipschitz bounds against the layers themselves."""

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import (
    SpectralNormalization,
    lipschitz_bound,
    singular_values,
    spectral_norms,
)


def dense_map(model, input_shape):
    """The matrix of a linear model, read off its outputs for all unit vectors."""
    size = int(np.prod(input_shape))
    units = np.eye(size, dtype="float32").reshape(size, *input_shape)
    outputs = keras.ops.convert_to_numpy(model(units)).reshape(size, -1)
    return outputs.astype("float64").T


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


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(3, 3, padding="same", use_bias=False),
        layers.Conv2D(3, 4, strides=2, padding="same", use_bias=False),
        layers.Conv2D(4, 3, groups=2, use_bias=False),
        layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
        SpectralNormalization(layers.Conv2D(3, 3, padding="same", use_bias=False)),
    ],
    ids=["same", "strided", "grouped", "depthwise", "wrapped"],
)
def test_the_bound_of_a_convolution_holds_and_is_not_idle(layer):
    shape = (6, 6, 2)
    layer.build((None, *shape))
    norm = np.linalg.norm(dense_map(layer, shape), 2)
    assert norm <= lipschitz_bound(layer) * (1 + 1e-6)
    assert lipschitz_bound(layer) <= 4 * norm


def test_the_bound_of_a_dense_layer_is_its_norm():
    layer = layers.Dense(4, use_bias=False)
    layer.build((None, 6))
    norm = np.linalg.norm(dense_map(layer, (6,)), 2)
    assert lipschitz_bound(layer) == pytest.approx(norm, rel=1e-6)


def test_the_bound_of_a_chain_is_the_product():
    inputs = keras.Input((6,))
    x = layers.Dense(4, activation="sigmoid")(inputs)
    x = layers.LeakyReLU(negative_slope=2.0)(x)
    model = keras.Model(inputs, layers.Dense(3)(x))
    first, last = spectral_norms(model).values()
    assert lipschitz_bound(model) == pytest.approx(first / 4 * 2 * last)


@pytest.mark.parametrize(("slope", "bound"), [(0.0, 1.0), (0.2, 1.0), (3.0, 3.0)])
def test_the_bound_of_a_relu_is_its_steepest_slope(slope, bound):
    assert lipschitz_bound(layers.ReLU(negative_slope=slope)) == bound


def test_models_without_a_known_bound_are_refused():
    inputs = keras.Input((4,))
    branches = layers.Add()([layers.Dense(4)(inputs), inputs])
    with pytest.raises(ValueError, match="`model` must be a Sequential or Functional"):
        lipschitz_bound(keras.Model(inputs, branches))
    with pytest.raises(ValueError, match="not known.*BatchNormalization"):
        lipschitz_bound(keras.Sequential([inputs, layers.BatchNormalization()]))
    with pytest.raises(ValueError, match="not known.*ReLU"):  # it jumps from 0 to 1
        lipschitz_bound(layers.ReLU(threshold=1.0))
    with pytest.raises(ValueError, match="activation 'softsign'"):
        lipschitz_bound(keras.Sequential([inputs, layers.Dense(1, "softsign")]))


def test_an_unbuilt_layer_is_refused():
    with pytest.raises(ValueError, match="`layer` 'late' is not built"):
        spectral_norms(layers.Dense(3, name="late"))
