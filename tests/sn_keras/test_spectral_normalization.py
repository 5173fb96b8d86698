"""What SpectralNormalization computes, keeps and leaves alone."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import SpectralNormalization
from tests.sn_keras.gradients import gradients, numpy, total
from tests.sn_keras.layer_kinds import every_kind, with_spectrum

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def dense(units=5, inputs=4, use_bias=False, **options):
    wrapped = SpectralNormalization(layers.Dense(units, use_bias=use_bias), **options)
    wrapped.build((None, inputs))
    return wrapped


def vectors(wrapped):
    return [numpy(weight).copy() for weight in wrapped.state_variables]


def power_method(kernel, u, iterations):
    """Algorithm 1 in float64."""
    matrix = kernel.astype("float64").T
    for _ in range(iterations):
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
    return u, v, u @ matrix @ v


@pytest.mark.parametrize("iterations", [1, 3])
def test_each_training_call_runs_the_iterations_of_algorithm_1(iterations):
    wrapped = dense(power_iterations=iterations)
    u, _ = vectors(wrapped)
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    kernel = numpy(wrapped.layer.kernel)
    for calls in (1, 2, 3):
        found = numpy(wrapped(X, training=True))
        new_u, new_v, sigma = power_method(kernel, u, calls * iterations)
        np.testing.assert_allclose(vectors(wrapped)[0], new_u, atol=1e-6)
        np.testing.assert_allclose(vectors(wrapped)[1], new_v, atol=1e-6)
        np.testing.assert_allclose(found, X @ kernel / sigma, rtol=1e-4, atol=1e-5)
        assert float(wrapped.sigma()) == pytest.approx(sigma, rel=1e-5)


@pytest.mark.slow
@every_kind
def test_sigma_after_100_calls(kind):
    """Within 1e-5 of SVD where σ₂/σ₁ is 0.95."""
    wrapped = SpectralNormalization(kind.make(), power_iterations=1)
    kind.build(wrapped)
    rng = np.random.default_rng(9)
    for variable, matrix in kind.kernel_variables(wrapped):
        gap = with_spectrum(
            matrix, tuple(variable.shape), lambda n: 2.0 * 0.95 ** np.arange(n)
        )
        variable.assign(gap)
    for weight in wrapped.state_variables:
        # The vectors that the layer was built with belong to another kernel.
        start = rng.normal(size=weight.shape)
        weight.assign(start / np.linalg.norm(start))
    # `iterate(1)` is what a training call does to the vectors: see the test below.
    for _ in range(4):
        wrapped.iterate(25)
    sigmas = wrapped.sigma()
    sigmas = sigmas.values() if isinstance(sigmas, dict) else [sigmas]
    np.testing.assert_allclose([float(s) for s in sigmas], 2.0, rtol=1e-5)
    assert len(sigmas) == len(kind.matrices)


def test_iterate_is_what_a_training_call_does():
    called, iterated = dense(), dense()
    for target, source in zip(iterated.weights, called.weights, strict=True):
        target.assign(source)
    new = np.random.default_rng(5).normal(size=(4, 5))
    for wrapped in (called, iterated):
        wrapped.layer.kernel.assign(new)
    for _ in range(3):
        called(X, training=True)
    iterated.iterate(3)
    for first, second in zip(vectors(called), vectors(iterated), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_training_call_writes_u_and_v_alone():
    wrapped = dense(use_bias=True)
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    before = {w.path: numpy(w).copy() for w in wrapped.weights}
    wrapped(X, training=True)
    changed = {w.name for w in wrapped.weights if (numpy(w) != before[w.path]).any()}
    assert changed == {"u", "v"}


@pytest.mark.parametrize("arguments", [{}, {"training": None}, {"training": False}])
def test_inference_changes_nothing(arguments):
    wrapped = dense(use_bias=True)
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    before = [numpy(w).copy() for w in wrapped.weights]
    first = numpy(wrapped(X, **arguments))
    second = numpy(wrapped(X, **arguments))
    wrapped.sigma()
    wrapped.normalized_kernel()
    np.testing.assert_array_equal(first, second)
    for weight, value in zip(wrapped.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(weight), value)


def test_inference_is_the_last_training_output():
    wrapped = dense(use_bias=True)
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    trained = numpy(wrapped(X, training=True))
    np.testing.assert_array_equal(numpy(wrapped(X)), trained)


def test_inference_follows_the_kernel():
    wrapped = dense()
    before = numpy(wrapped(X))
    wrapped.layer.kernel.assign(numpy(wrapped.layer.kernel) * 8.0)
    np.testing.assert_allclose(numpy(wrapped(X)), before, rtol=1e-6)


@pytest.mark.slow
@every_kind
def test_normalized_kernel_has_norm_one(kind):
    wrapped = SpectralNormalization(kind.make())
    kind.build(wrapped)
    for variable, matrix in kind.kernel_variables(wrapped):
        variable.assign(
            with_spectrum(
                matrix, tuple(variable.shape), lambda n: 3 * 0.5 ** np.arange(n)
            )
        )
    wrapped.iterate(25)
    found = wrapped.normalized_kernel()
    found = list(found.values()) if isinstance(found, dict) else [found]
    expected = [numpy(v) / 3 for v, _ in kind.kernel_variables(wrapped)]

    def by_shape_and_sum(array):
        return array.shape, round(float(array.sum()), 3)

    for value, kernel in zip(
        sorted((numpy(value) for value in found), key=by_shape_and_sum),
        sorted(expected, key=by_shape_and_sum),
        strict=True,
    ):
        np.testing.assert_allclose(value, kernel, rtol=1e-4, atol=1e-6)


def test_calls_before_a_gradient_keep_their_own_vectors():
    """Three calls, one backward pass: each with the u and v of its time."""
    wrapped = dense()
    start = np.ones(5) / np.sqrt(5)
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    kernel = numpy(wrapped.layer.kernel).astype("float64")

    def three_calls():
        return sum(total(wrapped(X, training=True), seed=i) for i in range(3))

    wrapped.state_variables[0].assign(start)
    (found,) = gradients(three_calls, [wrapped.layer.kernel])
    expected = 0.0
    for i in range(3):
        u, v, sigma = power_method(kernel, start, i + 1)
        noise = np.random.default_rng(i).normal(size=(8, 5)).astype("float32")
        upstream = X.T @ noise
        inner = np.sum(upstream * kernel) / sigma
        expected = expected + (upstream - inner * np.outer(v, u)) / sigma
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_gradient_penalty_has_the_right_gradient():
    """Second order: ∂/∂W ‖∂f/∂x‖² against finite differences in float64."""
    wrapped = dense(units=3, power_iterations=1)
    wrapped.iterate(100)
    u, v = (w.astype("float64") for w in vectors(wrapped))
    kernel = numpy(wrapped.layer.kernel).astype("float64")
    x = X.astype("float64")

    def penalty(kernel):
        normalized = kernel / (v @ kernel @ u)
        slope = 2 * np.tanh(x @ normalized) * (1 - np.tanh(x @ normalized) ** 2)
        return np.sum((slope @ normalized.T) ** 2)

    def function():
        return penalty_of(lambda inputs: ops.sum(ops.square(ops.tanh(wrapped(inputs)))))

    (found,) = gradients(function, [wrapped.layer.kernel])
    expected = np.empty_like(kernel)
    for index in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[index] = 1e-6
        expected[index] = (penalty(kernel + step) - penalty(kernel - step)) / 2e-6
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def penalty_of(function):
    """Σ ‖∂ function / ∂x‖² at X, differentiable."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        inputs = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = function(inputs)
        slope = tape.gradient(value, inputs)
    elif backend == "jax":
        import jax

        slope = jax.grad(function)(jax.numpy.asarray(X))
    else:
        import torch

        inputs = torch.tensor(X, requires_grad=True)
        (slope,) = torch.autograd.grad(function(inputs), inputs, create_graph=True)
    return ops.sum(ops.square(slope))


def test_a_frozen_layer_keeps_its_kernel_and_follows_it():
    wrapped = dense(use_bias=True)
    wrapped.trainable = False
    wrapped.layer.kernel.assign(np.random.default_rng(5).normal(size=(4, 5)))
    kernel, before = numpy(wrapped.layer.kernel).copy(), vectors(wrapped)
    assert wrapped.trainable_weights == []
    wrapped(X, training=True)
    np.testing.assert_array_equal(numpy(wrapped.layer.kernel), kernel)
    assert (vectors(wrapped)[0] != before[0]).any()


def test_tied_layers_share_kernel_and_vectors():
    shared = dense(units=4)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(shared(inputs)))
    assert len(model.weights) == 3
    kernel = numpy(shared.layer.kernel)
    expected = X @ kernel @ kernel / float(shared.sigma()) ** 2
    np.testing.assert_allclose(numpy(model(X)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_two_wrappers_around_one_layer():
    layer = layers.Dense(5, use_bias=False)
    first, second = SpectralNormalization(layer), SpectralNormalization(layer)
    first.build((None, 4))
    second.build((None, 4))
    for wrapped in (first, second):
        wrapped.iterate(100)
    np.testing.assert_allclose(numpy(first(X)), numpy(second(X)), rtol=1e-4, atol=1e-5)


def test_a_zero_kernel_gives_zero_and_recovers():
    wrapped = dense()
    wrapped.layer.kernel.assign(np.zeros((4, 5)))
    for training in (True, False, True):
        assert not numpy(wrapped(X, training=training)).any()
    (found,) = gradients(
        lambda: total(wrapped(X, training=True)), [wrapped.layer.kernel]
    )
    assert np.isfinite(found).all()
    assert found.any()
    kernel = np.random.default_rng(5).normal(size=(4, 5))
    wrapped.layer.kernel.assign(kernel)
    wrapped.iterate(100)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-4)


@pytest.mark.slow
def test_a_layer_built_with_a_zero_kernel_recovers():
    layer = layers.Dense(5, use_bias=False, kernel_initializer="zeros")
    wrapped = SpectralNormalization(layer)
    assert not numpy(wrapped(X, training=True)).any()
    kernel = np.random.default_rng(5).normal(size=(4, 5))
    layer.kernel.assign(kernel)
    for _ in range(60):
        wrapped(X, training=True)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-33, 1e-30, 1e-19, 1e-9, 1e9, 1e19, 1e30, 1e33])
def test_output_and_gradient_at_every_scale(scale):
    """W/σ(W) does not depend on W's scale, its gradient is inverse to it."""
    wrapped = dense()
    kernel = with_spectrum(lambda k: k.T, (4, 5), lambda n: 2 * 0.5 ** np.arange(n))
    results = []
    for factor in (1.0, scale):
        wrapped.layer.kernel.assign(kernel * np.float32(factor))
        wrapped.iterate(30)
        (gradient,) = gradients(
            lambda: total(wrapped(X, training=True)), [wrapped.layer.kernel]
        )
        results.append((numpy(wrapped(X)), gradient.astype("float64") * factor))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("units", "inputs"), [(1, 4), (4, 1), (1, 1)])
def test_a_single_row_or_column(units, inputs):
    wrapped = dense(units=units, inputs=inputs)
    kernel = numpy(wrapped.layer.kernel)
    wrapped(np.ones((2, inputs), "float32"), training=True)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.norm(kernel), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("values", [(3, 3, 1, 0), (2, 2, 2, 2), (1, 0, 0, 0)], ids=str)
def test_repeated_and_zero_singular_values(values):
    wrapped = dense()
    wrapped.layer.kernel.assign(
        with_spectrum(lambda k: k.T, (4, 5), lambda n: np.array(values[:n], float))
    )
    wrapped.iterate(60)
    assert float(wrapped.sigma()) == pytest.approx(values[0], rel=1e-5)
    found = gradients(lambda: total(wrapped(X, training=True)), [wrapped.layer.kernel])
    assert np.isfinite(found).all()


def test_a_new_layer_has_nearly_the_right_sigma():
    wrapped = dense(units=64, inputs=32)
    exact = np.linalg.norm(numpy(wrapped.layer.kernel), 2)
    assert float(wrapped.sigma()) == pytest.approx(exact, rel=0.05)


def test_the_seed_decides_the_start():
    kernel = np.random.default_rng(5).normal(size=(4, 5))
    starts = []
    for seed in (1, 1, 2):
        layer = layers.Dense(
            5, kernel_initializer=lambda shape, dtype: ops.cast(kernel, dtype)
        )
        wrapped = SpectralNormalization(layer, seed=seed)
        wrapped.build((None, 4))
        starts.append(vectors(wrapped)[0])
    np.testing.assert_array_equal(starts[0], starts[1])
    assert (starts[0] != starts[2]).any()


def test_recurrent_layers_iterate_once_an_outer_call():
    wrapped = SpectralNormalization(layers.LSTM(3))
    x = np.ones((2, 7, 4), "float32")
    wrapped.build(x.shape)
    cell = wrapped.layer.cell
    rng = np.random.default_rng(5)
    starts = []
    for index, variable in enumerate((cell.kernel, cell.recurrent_kernel)):
        variable.assign(rng.normal(size=variable.shape))
        u = np.ones(12) / np.sqrt(12)
        wrapped.state_variables[2 * index].assign(u)
        starts.append(power_method(numpy(variable), u, 1))
    wrapped(x, training=True)
    for found, (u, v, _) in zip(
        [vectors(wrapped)[:2], vectors(wrapped)[2:]], starts, strict=True
    ):
        np.testing.assert_allclose(found[0], u, atol=1e-6)
        np.testing.assert_allclose(found[1], v, atol=1e-6)


def test_integer_inputs_give_float_outputs():
    wrapped = SpectralNormalization(layers.Embedding(6, 4), power_iterations=30)
    tokens = np.array([[5, 0], [2, 3]])
    found = numpy(wrapped(tokens, training=True))
    table = numpy(wrapped.layer.embeddings)
    expected = table[tokens] / np.linalg.norm(table, 2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_constraints_and_regularizers_see_the_kernel_itself():
    inner = layers.Dense(
        5,
        use_bias=False,
        kernel_regularizer=keras.regularizers.L2(1.0),
        kernel_constraint=keras.constraints.NonNeg(),
    )
    model = keras.Sequential([keras.Input((4,)), SpectralNormalization(inner)])
    (loss,) = model.losses
    np.testing.assert_allclose(numpy(loss), np.sum(numpy(inner.kernel) ** 2), rtol=1e-5)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(X, np.ones((8, 5)), verbose=0)
    assert numpy(inner.kernel).min() >= 0


def test_gamma_starts_as_the_plain_layer():
    plain = layers.Dense(5)
    expected = numpy(plain(X))
    wrapped = SpectralNormalization(plain, gamma=True)
    np.testing.assert_allclose(numpy(wrapped(X)), expected, rtol=1e-5, atol=1e-6)
    (gamma,) = (w for w in wrapped.trainable_weights if w.name == "gamma")
    exact = np.linalg.norm(numpy(plain.kernel), 2)
    assert float(numpy(gamma)) == pytest.approx(exact, rel=1e-5)
