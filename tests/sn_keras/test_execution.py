"""Eager, tf.function, XLA, two replicas, SavedModel and model.fit agree."""

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization
from tests.replicas import two_replicas
from tests.sn_keras.gradients import numpy

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="about TensorFlow's ways to run"
)
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

X = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")


def network():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            SpectralNormalization(layers.Conv2D(4, 3, strides=2), seed=1),
            layers.LeakyReLU(0.1),
            layers.Flatten(),
            SpectralNormalization(layers.Dense(1), seed=2),
        ]
    )
    rng = np.random.default_rng(3)
    for weight in model.weights:
        value = rng.normal(size=weight.shape)
        weight.assign(value / (np.linalg.norm(value) if weight.name in "uv" else 1.0))
    return model


def step(model, x):
    """Output, gradients and new u, v of one training call."""
    with tf.GradientTape() as tape:
        outputs = model(x, training=True)
        loss = tf.reduce_sum(outputs**2)
    return outputs, tape.gradient(loss, [w.value for w in model.trainable_weights])


def results(compiled):
    model = network()
    outputs, gradients = compiled(model)
    state = [w for w in model.non_trainable_weights]
    return [numpy(x) for x in (outputs, *gradients, *state)]


@pytest.mark.slow
@tensorflow_only
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_graph_and_xla_are_eager(jit_compile):
    eager = results(lambda model: step(model, tf.constant(X)))

    def compiled(model):
        function = tf.function(lambda x: step(model, x), jit_compile=jit_compile)
        return function(tf.constant(X))

    for found, expected in zip(results(compiled), eager, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@tensorflow_only
def test_several_calls_in_one_graph_advance_the_vectors_in_order():
    eager, compiled = network(), network()
    for _ in range(3):
        eager(X, training=True)

    @tf.function
    def three_calls(x):
        for _ in range(3):
            compiled(x, training=True)

    three_calls(tf.constant(X))
    for found, expected in zip(
        compiled.non_trainable_weights, eager.non_trainable_weights, strict=True
    ):
        np.testing.assert_allclose(numpy(found), numpy(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@tensorflow_only
def test_an_unbuilt_layer_can_be_called_in_a_function_first():
    wrapped = SpectralNormalization(layers.Conv2D(4, 3), power_iterations=20)

    @tf.function
    def function(x):
        return wrapped(x, training=True)

    first, second = function(tf.constant(X)), function(tf.constant(X))
    assert first.shape == second.shape == (4, 6, 6, 4)
    kernel = numpy(wrapped.layer.kernel).reshape(-1, 4)
    assert float(wrapped.sigma()) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-3)


@tensorflow_only
def test_unknown_sizes():
    wrapped = SpectralNormalization(layers.Conv2D(4, 3))
    wrapped.build((None, None, None, 3))
    function = tf.function(
        wrapped, input_signature=[tf.TensorSpec((None, None, None, 3))]
    )
    np.testing.assert_allclose(numpy(function(X)), numpy(wrapped(X)), rtol=1e-5)


def concrete_operations(function):
    graphs = [function.graph, *(f.graph for f in _functions(function.graph))]
    return [op.type for graph in graphs for op in graph.get_operations()]


def _functions(graph):
    return list(getattr(graph, "_functions", {}).values())


@pytest.mark.slow
@tensorflow_only
def test_two_replicas_are_one():
    """Same weights and vectors, on each replica; no collective for u and v."""
    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("needs the two logical devices of tests/conftest.py")
    single = network()
    single_output, single_gradients = step(single, tf.constant(X))
    strategy = two_replicas()
    with strategy.scope():
        model = network()
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(X[2 * context.replica_id_in_sync_group :][:2])
    )

    @tf.function
    def run(x):
        outputs, gradients = strategy.run(lambda x: step(model, x), (x,))
        return outputs, [strategy.reduce("SUM", g, axis=None) for g in gradients]

    outputs, gradients = run(halves)
    found = np.concatenate(
        [numpy(x) for x in strategy.experimental_local_results(outputs)]
    )
    np.testing.assert_allclose(found, numpy(single_output), rtol=1e-4, atol=1e-5)
    for g, expected in zip(gradients, single_gradients, strict=True):
        np.testing.assert_allclose(numpy(g), numpy(expected), rtol=1e-3, atol=1e-3)
    for ours, theirs in zip(
        model.non_trainable_weights, single.non_trainable_weights, strict=True
    ):
        replicas = strategy.experimental_local_results(ours.value)
        assert len(replicas) == 2
        for replica in replicas:
            np.testing.assert_allclose(numpy(replica), numpy(theirs), atol=1e-6)
        np.testing.assert_array_equal(numpy(replicas[0]), numpy(replicas[1]))


@pytest.mark.slow
@tensorflow_only
def test_no_communication_for_the_vectors():
    if len(tf.config.list_logical_devices("CPU")) < 2:
        pytest.skip("needs the two logical devices of tests/conftest.py")
    strategy = two_replicas()
    with strategy.scope():
        model = network()

    @tf.function
    def forward():
        return strategy.run(lambda: model(tf.constant(X), training=True))

    types = concrete_operations(forward.get_concrete_function())
    assert [t for t in types if t.startswith("AssignVariable")]
    assert not [t for t in types if "Collective" in t or "Nccl" in t]
    # Without a merge, each replica assigns its own u and v: 2 kernels × 2 × 2.
    assert sum(t == "AssignVariableOp" for t in types) == 8
    assert not [t for t in types if t in ("AddN", "AllReduce")]


@pytest.mark.slow
@tensorflow_only
def test_an_exported_graph_assigns_nothing(tmp_path):
    model = network()
    expected = numpy(model(X))
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_allclose(numpy(loaded.serve(X)), expected, rtol=1e-5, atol=1e-6)
    function = loaded.signatures["serving_default"]
    types = concrete_operations(function)
    assert "ReadVariableOp" in types or any("Call" in t for t in types)
    assert not [t for t in types if t.startswith("Assign")]
    np.testing.assert_allclose(numpy(loaded.serve(X)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_fit_trains_a_classifier():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 128)
    x = rng.normal(size=(128, 6)).astype("float32") + 3 * labels[:, None] - 1.5
    model = keras.Sequential(
        [
            keras.Input((6,)),
            SpectralNormalization(layers.Dense(8, activation="relu")),
            layers.BatchNormalization(),
            SpectralNormalization(layers.Dense(2)),
        ]
    )
    before = [numpy(w).copy() for w in model.weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(0.05)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    model.fit(x, labels, batch_size=32, epochs=5, verbose=0)
    _, accuracy = model.evaluate(x, labels, verbose=0)
    assert accuracy > 0.95
    for weight, value in zip(model.weights, before, strict=True):
        assert (numpy(weight) != value).any(), weight.path
    # evaluate and predict leave u and v alone.
    state = [numpy(w).copy() for w in model.non_trainable_weights]
    model.evaluate(x, labels, verbose=0)
    model.predict(x, verbose=0)
    for weight, value in zip(model.non_trainable_weights, state, strict=True):
        np.testing.assert_array_equal(numpy(weight), value)


@pytest.mark.slow
def test_fit_under_xla_is_fit_without():
    if keras.backend.backend() == "torch":
        pytest.skip("torch has no XLA on the CPU")
    trained = []
    for jit_compile in (False, True):
        model = network()
        model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=jit_compile)
        model.fit(X, np.ones((4, 1)), batch_size=2, shuffle=False, verbose=0)
        trained.append([numpy(w) for w in model.weights])
    for found, expected in zip(*trained, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
