"""Weight and Frobenius normalization, and γ, against closed forms in float64.

With the matrix `W` of a kernel, its norm `n` (one number, or one a row), `D = ∂n/∂W`
and `W̄ = W / n`, a layer runs with `γ W̄`. For `G`, the gradient by that kernel, taken
from the plain layer: `∂L/∂W = γ (G − ⟨G, W̄⟩ D) / n` and `∂L/∂γ = ⟨G, W̄⟩`.
"""

import functools
import json

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import FrobeniusNormalization, SpectralNormalization, WeightNormalization
from tests.sn_keras.gradients import float64, gradients, numpy, total
from tests.sn_keras.layer_kinds import (
    KINDS,
    every_kind,
    outer_kernel,
    parameters,
    with_spectrum,
)

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
WRAPPERS = [WeightNormalization, FrobeniusNormalization, SpectralNormalization]
both = pytest.mark.parametrize("wrapper", WRAPPERS[:2])
all_three = pytest.mark.parametrize("wrapper", WRAPPERS)
# One of each way in which a kernel is seen as a matrix.
VARIED = [
    "dense",
    "conv2d_transpose",
    "depthwise_conv2d",
    "embedding",
    "multi_head_attention",
    "lstm",
]
varied_kinds = pytest.mark.parametrize(
    "kind", parameters([kind for kind in KINDS if kind.name in VARIED])
)


def rows(wrapper):
    """The axis over which a norm is taken: of each row, or of the whole matrix."""
    return 1 if wrapper is WeightNormalization else None


def norm_and_slope(wrapper, matrix):
    """`n`, of rank 2, and `∂n/∂W`."""
    if wrapper is SpectralNormalization:
        u, s, vt = np.linalg.svd(matrix, full_matrices=False)
        return s[:1, None], np.outer(u[:, 0], vt[0])
    norm = np.sqrt(np.sum(matrix**2, axis=rows(wrapper), keepdims=True))
    return norm, matrix / norm


def kernels_of(kind, layer):
    """The variable and the float64 matrix of each kernel, and the matrix' function."""
    return [
        (variable, matrix(numpy(variable).astype("float64")), matrix)
        for variable, matrix in kind.kernel_variables(layer)
    ]


def in_order(kind, wrapped, values):
    """What a wrapper has one of for each kernel, in the order of `kernels_of`."""
    normalized = wrapped.normalized_kernel()
    if not isinstance(normalized, dict):
        return list(values)
    named = dict(zip(normalized, values, strict=True))
    paths = [f"/{v.path}" for v, _ in kind.kernel_variables(wrapped)]
    return [
        next(value for name, value in named.items() if path.endswith(f"/{name}"))
        for path in paths
    ]


def assign_kernels(kind, layer):
    """Gives each kernel another size, and a gap between its singular values."""
    for number, (variable, matrix) in enumerate(kind.kernel_variables(layer), 1):
        shape = tuple(variable.shape)
        value = with_spectrum(matrix, shape, lambda n: 1.7 * 0.5 ** np.arange(n))
        variable.assign(np.float32(number) * value)


@pytest.mark.slow
@every_kind
@both
def test_every_kernel_is_divided_by_its_norm(wrapper, kind):
    wrapped = wrapper(kind.make())
    kind.build(wrapped)
    assign_kernels(kind, wrapped)
    normalized = wrapped.normalized_kernel()
    values = normalized.values() if isinstance(normalized, dict) else [normalized]
    values = in_order(kind, wrapped, values)
    for value, (_, w, matrix) in zip(values, kernels_of(kind, wrapped), strict=True):
        expected = w / norm_and_slope(wrapper, w)[0]
        np.testing.assert_allclose(matrix(numpy(value)), expected, atol=1e-6)


@functools.cache
def oracle(wrapper, factor, kind):
    """The gradients by each kernel, then by each γ, which is `factor · n`, or 1.

    Each with the size that its error is measured by: an inner product's is that of
    its factors, of which little may be left in the sum.
    """
    with float64():
        plain = kind.make(dtype="float64")
        kind.build(plain, "float64")
        assign_kernels(kind, plain)
        parts = []
        for variable, w, matrix in kernels_of(kind, plain):
            norm, slope = norm_and_slope(wrapper, w)
            gamma = norm * factor if factor else np.ones_like(norm)
            shape = tuple(variable.shape)
            variable.assign(outer_kernel(matrix, shape, gamma * w / norm))
            parts.append((matrix, shape, w / norm, slope, gamma / norm))
        inputs = kind.inputs("float64")
        found = gradients(
            lambda: total(plain(*inputs, training=True)),
            [variable for variable, _ in kind.kernel_variables(plain)],
        )
    by_kernel, by_gamma = [], []
    for g, (matrix, shape, w_bar, slope, scale) in zip(found, parts, strict=True):
        g = matrix(g)
        along = np.sum(g * w_bar, axis=rows(wrapper), keepdims=True)
        gradient = outer_kernel(matrix, shape, scale * (g - along * slope))
        by_kernel.append((gradient, np.linalg.norm(gradient)))
        by_gamma.append((along, np.linalg.norm(g)))
    return by_kernel + (by_gamma if factor else [])


# Spectral normalization without γ is `test_gradients.py`.
@pytest.mark.slow
@varied_kinds
@pytest.mark.parametrize(
    ("wrapper", "factor"),
    [(w, None) for w in WRAPPERS[:2]] + [(w, 1.5) for w in WRAPPERS],
)
def test_gradients(wrapper, factor, kind):
    wrapped = wrapper(kind.make(), gamma=factor is not None)
    kind.build(wrapped)
    assign_kernels(kind, wrapped)
    if wrapper is SpectralNormalization:
        wrapped.iterate(30)
    kernels = kernels_of(kind, wrapped)
    gammas = [w for w in wrapped.state_variables if w.name.endswith("gamma")]
    if factor is not None:
        gammas = in_order(kind, wrapped, gammas)
        for gamma, (_, w, _) in zip(gammas, kernels, strict=True):
            norm, _ = norm_and_slope(wrapper, w)
            gamma.assign(np.reshape(factor * norm, gamma.shape))
    inputs = kind.inputs()
    found = gradients(
        lambda: total(wrapped(*inputs, training=True)),
        [*(variable for variable, *_ in kernels), *gammas],
    )
    for f, (e, size) in zip(found, oracle(wrapper, factor, kind), strict=True):
        error = np.linalg.norm(f.ravel().astype("float64") - e.ravel())
        assert error <= 2e-6 * size


@all_three
def test_gamma_starts_as_the_norm_and_the_layer_as_the_plain_one(wrapper):
    for make, x in (
        (lambda: layers.Dense(5), X),
        (lambda: layers.Conv2DTranspose(3, 4, strides=2), X.reshape(4, 3, 2, 1)),
    ):
        plain = make()
        expected = numpy(plain(x))
        wrapped = wrapper(plain, gamma=True)
        np.testing.assert_allclose(numpy(wrapped(x)), expected, rtol=1e-4, atol=1e-5)
        (gamma,) = (w for w in wrapped.trainable_weights if w.name == "gamma")
        kernel = numpy(plain.kernel).astype("float64")
        matrix = (
            kernel.T if kernel.ndim == 2 else np.moveaxis(kernel, 2, 0).reshape(3, -1)
        )
        norm, _ = norm_and_slope(wrapper, matrix)
        np.testing.assert_allclose(numpy(gamma).ravel(), norm.ravel(), rtol=1e-5)


@both
def test_without_gamma_there_is_no_state_and_training_changes_nothing(wrapper):
    wrapped = wrapper(layers.Dense(5))
    first = numpy(wrapped(X, training=True))
    assert wrapped.state_variables == []
    np.testing.assert_array_equal(numpy(wrapped(X)), first)


@pytest.mark.slow
@both
def test_an_optimizer_steps_from_the_raw_kernel(wrapper):
    inner = layers.Dense(5, use_bias=False)
    model = keras.Sequential([keras.Input((6,)), wrapper(inner, gamma=True)])
    before = numpy(inner.kernel).copy()
    model(X, training=True)
    np.testing.assert_array_equal(numpy(inner.kernel), before)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(X, np.ones((4, 5)), verbose=0)
    assert np.abs(numpy(inner.kernel) - before).max() > 0


@pytest.mark.slow
@both
@pytest.mark.parametrize("scale", [1e-33, 1e-19, 1e-9, 1e9, 1e19, 1e33])
def test_output_and_gradient_at_every_scale(wrapper, scale):
    """`W / n` does not depend on W's scale, its gradient is inverse to it."""
    wrapped = wrapper(layers.Dense(5))
    wrapped.build((None, 6))
    kernel = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")
    results = []
    for factor in (1.0, scale):
        wrapped.layer.kernel.assign(kernel * np.float32(factor))
        (gradient,) = gradients(lambda: total(wrapped(X)), [wrapped.layer.kernel])
        results.append((numpy(wrapped(X)), gradient.astype("float64") * factor))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-3, atol=1e-4)


@both
def test_zeros_stay_zeros_with_finite_gradients(wrapper):
    wrapped = wrapper(layers.Dense(5))
    wrapped.build((None, 6))
    kernel = np.random.default_rng(1).normal(size=(6, 5))
    for zeros in (slice(1, 3), slice(None)):  # two rows of the matrix, then all
        kernel[:, zeros] = 0
        wrapped.layer.kernel.assign(kernel)
        assert not numpy(wrapped.normalized_kernel())[:, zeros].any()
        (found,) = gradients(lambda: total(wrapped(X)), [wrapped.layer.kernel])
        assert np.isfinite(found).all()


@both
def test_half_precision_outside_float32_inside(wrapper):
    # In float16 the squares of 300 are infinite and those of 1e-4 are zero.
    for size in (300.0, 1e-4):
        exact, half = (
            wrapper(layers.Dense(5, dtype=dtype))
            for dtype in ("float32", "mixed_float16")
        )
        for wrapped in (exact, half):
            wrapped.build((None, 6))
            kernel = np.random.default_rng(1).normal(0, size, (6, 5))
            wrapped.layer.kernel.assign(kernel)
        x = keras.ops.cast(X, "float16")
        assert keras.backend.standardize_dtype(half(x).dtype) == "float16"
        np.testing.assert_allclose(numpy(half(x)), numpy(exact(X)), atol=5e-3)


@both
@pytest.mark.parametrize("gamma", [False, True])
def test_config_and_file(wrapper, gamma, tmp_path):
    layer = wrapper(layers.Conv2D(3, 3, name="inner"), gamma=gamma, name="outer")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is wrapper and again.get_config() == layer.get_config()
    assert keras.saving.get_registered_name(wrapper) == f"sn_keras>{wrapper.__name__}"

    model = keras.Sequential([keras.Input((6, 6, 2)), layer])
    for weight in layer.state_variables:
        weight.assign(2 * numpy(weight))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 2)).astype("float32")
    np.testing.assert_array_equal(numpy(loaded(x)), numpy(model(x)))


@both
def test_what_cannot_be_wrapped(wrapper):
    with pytest.raises(TypeError, match="`gamma` must be a bool. Received: gamma=1"):
        wrapper(layers.Dense(2), gamma=1)
    with pytest.raises(TypeError, match="`layer` must be .*Received: layer=3"):
        wrapper(3)
    with pytest.raises(ValueError, match="`layer` has no kernel"):
        wrapper(layers.ReLU())(X)
    lora = layers.Dense(4)
    lora.build((None, 6))
    lora.enable_lora(2)
    with pytest.raises(ValueError, match="has LoRA enabled"):
        wrapper(lora)


@pytest.mark.slow
@all_three
def test_a_kernel_of_zeros_learns_with_gamma(wrapper):
    """γ and W would each wait for the other to leave 0."""
    dense = layers.Dense(1, kernel_initializer="zeros")
    layer = wrapper(dense, gamma=True)
    model = keras.Sequential([keras.Input((6,)), layer])
    assert not numpy(model(X)).any()
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(X, X[:, :1], epochs=2, verbose=0)
    assert numpy(dense.kernel).any()
