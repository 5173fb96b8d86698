"""The power method as pure functions, against NumPy's SVD and algorithm 1."""

import numpy as np
import pytest
from keras import ops

from sn_keras.power_iteration import iterate, unit
from tests.sn_keras.gradients import float64, numpy


def start(rows, columns, seed=0):
    rng = np.random.default_rng(seed)
    u, v = rng.normal(size=rows), rng.normal(size=columns)
    return u / np.linalg.norm(u), v / np.linalg.norm(v)


def run(matrix, u, v, iterations, dtype="float32"):
    tensors = (
        ops.convert_to_tensor(np.asarray(x).astype(dtype)) for x in (matrix.T, u, v)
    )
    return [numpy(x) for x in iterate(*tensors, iterations)]


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_it_is_algorithm_1(iterations):
    matrix = np.random.default_rng(1).normal(size=(7, 4))
    u, v = start(7, 4)
    with float64():
        found = run(matrix, u, v, iterations, "float64")
    for _ in range(iterations):
        v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
        u = matrix @ v / np.linalg.norm(matrix @ v)
    for value, expected in zip(found, (u, v, u @ matrix @ v), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_no_iteration_reads_sigma_and_returns_the_vectors_themselves():
    matrix = np.random.default_rng(1).normal(size=(7, 4)).astype("float32")
    u, v = start(7, 4)
    new_u, new_v, sigma = run(matrix, u, v, 0)
    np.testing.assert_array_equal(new_u, u.astype("float32"))
    np.testing.assert_array_equal(new_v, v.astype("float32"))
    assert sigma == pytest.approx(u @ matrix @ v, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (3, 8), (8, 3)])
def test_it_converges_to_the_first_singular_triple(shape):
    matrix = np.random.default_rng(5).normal(size=shape)
    left, values, right = np.linalg.svd(matrix)
    with float64():
        u, v, sigma = run(matrix, *start(*shape), 500, "float64")
    assert sigma == pytest.approx(values[0], rel=1e-12)
    np.testing.assert_allclose(
        np.outer(u, v), np.outer(left[:, 0], right[0]), atol=1e-9
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "values", [(3, 3, 1), (2, 2, 2), (3, 0, 0), (3, 3, 0)], ids=str
)
def test_repeated_and_zero_singular_values(values):
    rng = np.random.default_rng(2)
    left, right = (np.linalg.qr(rng.normal(size=(n, 3)))[0] for n in (5, 4))
    matrix = (left * np.array(values)) @ right.T
    _, _, sigma = run(matrix, *start(5, 4), 50)
    assert sigma == pytest.approx(values[0], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-36, 1e-30, 1e-20, 1e-12, 1.0, 1e20, 1e36])
def test_sigma_has_the_scale_of_the_kernel(scale):
    matrix = np.random.default_rng(1).normal(size=(5, 3))
    u, v, sigma = run(matrix * scale, *start(5, 3), 60)
    assert sigma == pytest.approx(np.linalg.norm(matrix, 2) * scale, rel=1e-5)
    assert np.linalg.norm(u) == pytest.approx(1, rel=1e-6)
    assert np.linalg.norm(v) == pytest.approx(1, rel=1e-6)


def test_a_zero_matrix_keeps_the_vectors():
    u, v = (x.astype("float32") for x in start(5, 3))
    new_u, new_v, sigma = run(np.zeros((5, 3)), u, v, 3)
    np.testing.assert_array_equal(new_u, u)
    np.testing.assert_array_equal(new_v, v)
    assert sigma == 0


def test_a_start_orthogonal_to_the_image_stays_finite():
    matrix = np.zeros((3, 2))
    matrix[0, 0] = 1.0
    u, v, sigma = run(matrix, [0, 1, 0], [0, 1], 2)
    assert np.isfinite([*u, *v, sigma]).all()


@pytest.mark.parametrize("largest", [1e-37, 1e-30, 1.0, 5e37])
def test_unit_is_exact_at_every_scale(largest):
    x = np.array([3.0, -4.0, 0.0]) * (largest / 4)
    otherwise = ops.convert_to_tensor(np.ones(3, "float32"))
    found = numpy(unit(ops.convert_to_tensor(x.astype("float32")), otherwise))
    np.testing.assert_allclose(found, [0.6, -0.8, 0.0], rtol=3e-7)


def test_unit_of_zero_is_otherwise():
    otherwise = ops.convert_to_tensor(np.array([0.0, 1.0], "float32"))
    np.testing.assert_array_equal(
        numpy(unit(ops.zeros((2,)), otherwise)), numpy(otherwise)
    )
