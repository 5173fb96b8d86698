"""`norm_multiplier=c` runs kernels with norm c, `only_above` with at most c."""

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization, fold
from tests.sn_keras.gradients import float64, gradients, numpy, total
from tests.sn_keras.layer_kinds import KINDS, parameters, with_spectrum

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
SOME = ("dense", "conv2d_groups", "conv2d_transpose", "separable_conv1d", "embedding")
SOME = (*SOME, "lstm", "multi_head_attention", "bidirectional_lstm")
some_kinds = pytest.mark.parametrize(
    "kind", parameters([kind for kind in KINDS if kind.name in SOME])
)


def with_norm_two(wrapped, kind):
    """Gives all kernels the norm 2 and lets the vectors follow; returns the values."""
    kind.build(wrapped)
    for variable, matrix in kind.kernel_variables(wrapped):
        value = with_spectrum(
            matrix, tuple(variable.shape), lambda n: 2 * 0.5 ** np.arange(n)
        )
        variable.assign(value)
    wrapped.iterate(30)
    return [numpy(variable) for variable, _ in kind.kernel_variables(wrapped)]


@pytest.mark.slow
@some_kinds
@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"norm_multiplier": 0.9}, 0.45),
        ({"norm_multiplier": 6}, 3),
        ({"norm_multiplier": 0.5, "only_above": True}, 0.25),
        ({"norm_multiplier": 2.1, "only_above": True}, 1),
        ({"norm_multiplier": 6, "gamma": True}, 1),
        ({"norm_multiplier": 0.5, "only_above": True, "gamma": True}, 1),
    ],
    ids=str,
)
def test_the_kernel_that_runs(kind, options, factor):
    wrapped = SpectralNormalization(kind.make(), **options)
    kernels = with_norm_two(wrapped, kind)
    for weight in wrapped.trainable_weights:
        if weight.name.endswith("gamma"):
            # As if the layer had been built with this kernel: γ = 1 / (the scale).
            norm = 2 / options["norm_multiplier"]
            weight.assign(norm if not options.get("only_above") else max(norm, 1))
    found = wrapped.normalized_kernel()
    found = list(found.values()) if isinstance(found, dict) else [found]
    for expected in kernels:
        assert any(
            f.shape == expected.shape
            and np.allclose(numpy(f), factor * expected, rtol=1e-4, atol=1e-6)
            for f in found
        )
    sigmas = wrapped.sigma()
    sigmas = sigmas.values() if isinstance(sigmas, dict) else [sigmas]
    np.testing.assert_allclose([float(s) for s in sigmas], 2, rtol=1e-5)


@pytest.mark.parametrize("norm_multiplier", [0.3, 50.0])
@pytest.mark.parametrize("only_above", [False, True])
def test_gamma_starts_as_the_plain_layer(norm_multiplier, only_above):
    plain = layers.Dense(5)
    expected = numpy(plain(X))
    wrapped = SpectralNormalization(
        plain, gamma=True, norm_multiplier=norm_multiplier, only_above=only_above
    )
    np.testing.assert_allclose(numpy(wrapped(X)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("c", "only_above"), [(0.7, False), (0.7, True), (9.0, True)])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 1e-12)])
def test_the_gradient_of_each_branch(c, only_above, dtype, bound):
    kernel = with_spectrum(lambda k: k.T, (4, 5), lambda n: 3 * 0.5 ** np.arange(n))
    kernel = kernel.astype("float64")
    u, s, vt = np.linalg.svd(kernel.T, full_matrices=False)
    noise = np.random.default_rng(11).normal(size=(8, 5)).astype("float32")
    upstream = X.T.astype("float64") @ noise
    expected = upstream
    if s[0] > c or not only_above:
        along = np.sum(upstream * kernel) / s[0] * np.outer(vt[0], u[:, 0])
        expected = c * (upstream - along) / s[0]
    with float64():
        layer = layers.Dense(5, use_bias=False, dtype=dtype)
        wrapped = SpectralNormalization(layer, norm_multiplier=c, only_above=only_above)
        wrapped.build((None, 4))
        layer.kernel.assign(kernel)
        wrapped.iterate(40)
        (found,) = gradients(
            lambda: total(wrapped(X.astype(dtype), training=True)), [layer.kernel]
        )
    if keras.backend.backend() == "torch":
        bound = 1e-6  # Keras' Dense multiplies in float32 there
    assert np.linalg.norm(found - expected) <= bound * np.linalg.norm(expected)


@pytest.mark.slow
def test_the_power_iteration_goes_on_below_the_bound():
    wrapped = SpectralNormalization(
        layers.Dense(5, use_bias=False), norm_multiplier=100, only_above=True
    )
    wrapped.build((None, 4))
    kernel = np.random.default_rng(5).normal(size=(4, 5)).astype("float32")
    wrapped.layer.kernel.assign(kernel)
    for _ in range(60):
        outputs = wrapped(X, training=True)
    np.testing.assert_allclose(numpy(outputs), X @ kernel, rtol=1e-5, atol=1e-5)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
@pytest.mark.parametrize("only_above", [False, True])
def test_kernels_of_zeros_and_of_any_scale(scale, only_above):
    wrapped = SpectralNormalization(
        layers.Dense(5, use_bias=False), norm_multiplier=0.5, only_above=only_above
    )
    wrapped.build((None, 4))
    kernel = with_spectrum(lambda k: k.T, (4, 5), lambda n: 0.5 ** np.arange(n))
    wrapped.layer.kernel.assign(kernel * np.float32(scale))
    wrapped.iterate(40)
    (found,) = gradients(lambda: total(wrapped(X)), [wrapped.layer.kernel])
    assert np.isfinite(found).all()
    norm = np.linalg.norm(numpy(wrapped.normalized_kernel()), 2)
    expected = min(scale, 0.5) if only_above else (0.5 if scale else 0.0)
    assert norm == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["mixed_float16", "float16", "mixed_bfloat16"])
def test_half_precision(dtype):
    layer = layers.Dense(5, dtype=dtype)
    wrapped = SpectralNormalization(layer, norm_multiplier=0.9, only_above=True)
    wrapped.build((None, 4))
    layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    wrapped.iterate(60)
    assert keras.backend.standardize_dtype(wrapped(X).dtype) == layer.compute_dtype
    norm = np.linalg.norm(numpy(wrapped.normalized_kernel()), 2)
    assert norm == pytest.approx(0.9, rel=1e-5)


@pytest.mark.parametrize("options", [{"norm_multiplier": 3.0}, {"only_above": True}])
def test_config_and_fold(options):
    wrapped = SpectralNormalization(layers.Dense(5), gamma=True, **options)
    model = keras.Sequential([keras.Input((4,)), wrapped])
    again = SpectralNormalization.from_config(wrapped.get_config())
    assert again.get_config() == wrapped.get_config()
    assert {**again.get_config(), **options} == again.get_config()
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    np.testing.assert_allclose(numpy(fold(model)(X)), numpy(model(X)), rtol=1e-5)
