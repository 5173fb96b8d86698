"""The regularizers against singular value decompositions in float64."""

import json

import keras
import numpy as np
import pytest

from sn_keras import OrthonormalRegularizer, SpectralNormRegularizer

# (shape, output_axes): dense both ways, convolutions both ways, a transposed
# convolution, a depthwise one, one row and one column.
KERNELS = [
    ((12, 20), -1),
    ((20, 12), -1),
    ((3, 3, 8, 16), -1),
    ((1, 1, 4, 16), -1),
    ((4, 4, 6, 5), -2),
    ((3, 3, 4, 2), (-2, -1)),
    ((30, 1), -1),
    ((1, 30), -1),
]


def kernel_of(shape, scale=1.0):
    return (scale * np.random.default_rng(0).normal(size=shape)).astype("float32")


def matrix_of(kernel, output_axes):
    """The d_out × d_in matrix in float64."""
    axes = np.atleast_1d(output_axes) % kernel.ndim
    d_out = np.prod([kernel.shape[axis] for axis in axes])
    moved = np.moveaxis(kernel.astype("float64"), sorted(axes), range(len(axes)))
    return moved.reshape(d_out, -1)


def kernel_like(matrix, kernel, output_axes):
    """The inverse of `matrix_of`."""
    axes = sorted(np.atleast_1d(output_axes) % kernel.ndim)
    inner = [n for axis, n in enumerate(kernel.shape) if axis not in axes]
    matrix = matrix.reshape([kernel.shape[axis] for axis in axes] + inner)
    return np.moveaxis(matrix, range(len(axes)), axes)


def gradient(function, kernel):
    """The gradient on whichever backend runs, from one SGD step of rate 1."""
    layer = keras.layers.Layer()
    variable = layer.add_weight(
        shape=kernel.shape, initializer="zeros", regularizer=function
    )
    variable.assign(kernel)
    layer.built = True
    layer.call = lambda x: x
    inputs = keras.Input((1,))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1.0), _no_loss)
    model.train_on_batch(np.zeros((1, 1)), np.zeros((1, 1)))
    return kernel.astype("float64") - keras.ops.convert_to_numpy(variable)


def _no_loss(y_true, y_pred):
    return keras.ops.mean(0.0 * y_pred)


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize(("shape", "axes"), KERNELS)
def test_orthonormal_value_is_that_of_the_singular_values(shape, axes):
    kernel = kernel_of(shape)
    sigmas = np.linalg.svd(matrix_of(kernel, axes), compute_uv=False)
    value = float(OrthonormalRegularizer(0.1, output_axes=axes)(kernel))
    np.testing.assert_allclose(value, 0.1 * np.sum((sigmas**2 - 1) ** 2), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "axes"), KERNELS)
def test_orthonormal_gradient_is_that_of_either_gram_matrix(shape, axes):
    kernel = kernel_of(shape, scale=0.3)
    w = matrix_of(kernel, axes)
    want = 0.1 * 4 * (w @ w.T - np.eye(len(w))) @ w
    other = 0.1 * 4 * w @ (w.T @ w - np.eye(w.shape[1]))
    np.testing.assert_allclose(want, other, atol=1e-10)
    got = gradient(OrthonormalRegularizer(0.1, output_axes=axes), kernel)
    assert relative(matrix_of(got, axes), want) < 1e-5


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.Conv2D(16, 3), (None, 8, 8, 8)),
        (keras.layers.Conv2D(64, 3), (None, 8, 8, 3)),
        (keras.layers.Dense(5), (None, 7)),
        (keras.layers.Dense(7), (None, 5)),
    ],
)
def test_keras_orthogonal_initializer_starts_at_zero_penalty(layer, shape):
    layer.kernel_initializer = keras.initializers.Orthogonal(seed=0)
    layer.build(shape)
    assert float(OrthonormalRegularizer()(layer.kernel)) < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "axes"), KERNELS)
def test_spectral_value_is_half_the_squared_norm(shape, axes):
    kernel = kernel_of(shape)
    sigma = np.linalg.svd(matrix_of(kernel, axes), compute_uv=False)[0]
    value = float(SpectralNormRegularizer(0.5, output_axes=axes)(kernel))
    np.testing.assert_allclose(value, 0.25 * sigma**2, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_spectral_value_at_any_scale(scale):
    kernel = kernel_of((12, 20), scale)
    sigma = np.linalg.svd(kernel.astype("float64"), compute_uv=False)[0]
    value = float(SpectralNormRegularizer(1.0)(kernel))
    np.testing.assert_allclose(value, 0.5 * sigma**2, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "axes"), KERNELS)
def test_spectral_gradient_is_sigma_u_v(shape, axes):
    kernel = kernel_of(shape)
    u, sigmas, vt = np.linalg.svd(matrix_of(kernel, axes), full_matrices=False)
    want = 0.5 * sigmas[0] * np.outer(u[:, 0], vt[0])
    got = gradient(SpectralNormRegularizer(0.5, output_axes=axes), kernel)
    assert relative(got, kernel_like(want, kernel, axes)) < 1e-4


@pytest.mark.slow
def test_spectral_gradient_with_a_close_second_singular_value():
    rng = np.random.default_rng(0)
    u, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    v, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    sigmas = np.array([1.0, 0.99, 0.98] + [0.5] * 9)
    kernel = ((u * sigmas) @ v[:, :12].T).T.astype("float32")
    got = gradient(SpectralNormRegularizer(1.0), kernel)
    assert relative(got, np.outer(v[:, 0], u[:, 0])) < 1e-4


@pytest.mark.slow
def test_spectral_gradient_with_a_repeated_singular_value_lies_in_its_space():
    kernel = np.eye(6, dtype="float32")
    got = gradient(SpectralNormRegularizer(1.0), kernel)
    sigmas = np.linalg.svd(got, compute_uv=False)
    np.testing.assert_allclose(sigmas, [1, 0, 0, 0, 0, 0], atol=1e-6)


@pytest.mark.slow
def test_a_kernel_of_zeros_has_no_penalty_and_a_zero_gradient():
    kernel = np.zeros((6, 4), "float32")
    assert float(SpectralNormRegularizer()(kernel)) == 0
    np.testing.assert_array_equal(gradient(SpectralNormRegularizer(), kernel), kernel)


@pytest.mark.parametrize("make", [OrthonormalRegularizer, SpectralNormRegularizer])
def test_half_precision_kernels_are_taken_in_float32(make):
    kernel = keras.ops.cast(kernel_of((12, 20)), "bfloat16")
    value = make(1.0)(kernel)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    rounded = keras.ops.convert_to_numpy(keras.ops.cast(kernel, "float32"))
    np.testing.assert_allclose(float(value), float(make(1.0)(rounded)), rtol=1e-6)


@pytest.mark.parametrize("make", [OrthonormalRegularizer, SpectralNormRegularizer])
def test_config_round_trip(make):
    for axes in (-1, [-2, -1]):
        regularizer = make(0.25, output_axes=axes)
        config = json.loads(json.dumps(keras.regularizers.serialize(regularizer)))
        again = keras.regularizers.deserialize(config)
        assert isinstance(again, make)
        assert again.get_config() == {"coefficient": 0.25, "output_axes": axes}


def test_default_coefficients_are_the_sources():
    assert OrthonormalRegularizer().coefficient == 1.0
    assert SpectralNormRegularizer().coefficient == 0.01


@pytest.mark.parametrize("make", [OrthonormalRegularizer, SpectralNormRegularizer])
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        *((value, ValueError) for value in (-1, float("inf"), float("nan"))),
        *((value, TypeError) for value in ("1", None, True)),
    ],
)
def test_bad_coefficients_are_named(make, bad, error):
    with pytest.raises(error, match="`coefficient`.*Received: coefficient="):
        make(bad)


@pytest.mark.parametrize(
    ("bad", "error"), [((), ValueError), (("a",), TypeError), (1.5, TypeError)]
)
def test_bad_axes_are_named(bad, error):
    with pytest.raises(error, match="`output_axes`.*Received: output_axes="):
        OrthonormalRegularizer(1.0, output_axes=bad)


def test_a_weight_without_the_axes_is_an_error():
    with pytest.raises(ValueError, match="rank 2 or more"):
        OrthonormalRegularizer()(np.zeros(3, "float32"))
    with pytest.raises(ValueError, match="output_axes"):
        OrthonormalRegularizer(output_axes=-3)(np.zeros((3, 2), "float32"))
