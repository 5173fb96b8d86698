"""A wrapped layer lives on: only its kernel reads as another tensor."""

import threading

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import SpectralNormalization
from sn_keras.reparameterization import Reparameterization
from tests.sn_keras.gradients import gradients, numpy, total

X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


class Doubled(Reparameterization):
    """The simplest wrapper: twice the kernel."""

    def transform(self, index, kernel, value, training):
        return 2.0 * value


class Block(layers.Layer):
    """Everything that a layer can have beside a kernel."""

    def __init__(self, metric=True):
        super().__init__()
        self.dense = layers.Dense(3, activity_regularizer=keras.regularizers.L2(0.5))
        self.norm = layers.BatchNormalization(momentum=0.5)
        self.dropout = layers.Dropout(0.5, seed=1)
        self.mean = keras.metrics.Mean(name="mean") if metric else None

    def build(self, shape):
        self.dense.build(shape)
        self.norm.build((*shape[:-1], 3))

    def call(self, x, training=None):
        x = self.norm(self.dense(x), training=training)
        if self.mean is not None:
            self.mean.update_state(ops.mean(x))
        self.add_loss(ops.cast(7.0, "float32"))
        return self.dropout(x, training=training)


def outside_of_any_scope():
    """Whether an assignment takes effect at once."""
    variable = keras.Variable(0.0)
    variable.assign(1.0)
    return float(variable.value) == 1.0


def test_the_layer_runs_with_the_substitute():
    layer = layers.Dense(3)
    found = numpy(Doubled(layer)(X))
    expected = X @ numpy(layer.kernel)
    np.testing.assert_allclose(found, 2 * expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(numpy(layer(X)), expected, rtol=1e-5, atol=1e-6)


def test_gradients_of_kernel_and_bias():
    wrapped = Doubled(layers.Dense(3))
    wrapped.build((None, 4))
    kernel, bias = gradients(lambda: total(wrapped(X)), wrapped.trainable_weights)
    plain = layers.Dense(3)
    plain.build((None, 4))
    expected = gradients(lambda: total(plain(X)), plain.trainable_weights)
    np.testing.assert_allclose(kernel, 2 * expected[0], rtol=1e-5)
    np.testing.assert_allclose(bias, expected[1], rtol=1e-5)


def test_fit_trains_kernel_and_bias():
    inner = layers.Dense(3)
    model = keras.Sequential([keras.Input((4,)), SpectralNormalization(inner)])
    kernel, bias = numpy(inner.kernel).copy(), numpy(inner.bias).copy()
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(X, np.ones((8, 3)), verbose=0)
    assert np.abs(numpy(inner.kernel) - kernel).max() > 0
    assert np.abs(numpy(inner.bias) - bias).min() > 0


def check_state_moved(block, norm_before, seed_before):
    assert np.abs(numpy(block.norm.moving_mean) - norm_before).max() > 0
    assert np.abs(numpy(block.dropout.seed_generator.state) - seed_before).max() > 0
    assert float(numpy(block.mean.count)) > 0


def test_state_of_the_layers_inside_moves_eagerly():
    block = Block()
    wrapped = Doubled(block)
    wrapped.build((None, 4))
    before = numpy(block.norm.moving_mean).copy()
    seed = numpy(block.dropout.seed_generator.state).copy()
    first, second = (numpy(wrapped(X, training=True)) for _ in range(2))
    check_state_moved(block, before, seed)
    assert ((first == 0) != (second == 0)).any(), "the same dropout mask twice"
    assert float(numpy(block.mean.count)) == 2


@pytest.mark.slow
def test_state_of_the_layers_inside_moves_in_fit():
    # Without the metric: JAX's trainer can't run a plain layer with one either.
    block = Block(metric=False)
    model = keras.Sequential([keras.Input((4,)), SpectralNormalization(block)])
    before = numpy(block.norm.moving_mean).copy()
    seed = numpy(block.dropout.seed_generator.state).copy()
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(X, np.ones((8, 3)), verbose=0)
    assert np.abs(numpy(block.norm.moving_mean) - before).max() > 0
    assert np.abs(numpy(block.dropout.seed_generator.state) - seed).max() > 0


def test_statistics_are_those_of_the_plain_layer():
    plain, inner = Block(), Block()
    wrapped = Doubled(inner)
    for layer in (plain, wrapped):
        layer.build((None, 4))
    plain.dense.kernel.assign(numpy(inner.dense.kernel) * 2)
    for _ in range(3):
        plain(X, training=True)
        wrapped(X, training=True)
    for name in ("moving_mean", "moving_variance"):
        found, expected = (numpy(getattr(b.norm, name)) for b in (inner, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_losses_are_counted_once(depth):
    layer = Block()
    layer.dense.kernel_regularizer = keras.regularizers.L2(0.25)
    kernel = layer.dense
    for _ in range(depth):
        layer = Doubled(layer)
    layer.build((None, 4))
    layer(X, training=True)
    raw = numpy(kernel.kernel)
    weight_loss = 0.25 * np.sum(raw**2)
    # The activity loss sees the outputs of the kernel that was run.
    outputs = X @ (raw * 2**depth)
    as_keras_counts = layers.ActivityRegularization(l2=0.5)  # 3.12: not by the batch
    as_keras_counts(outputs.astype("float32"))
    (activity_loss,) = map(float, map(numpy, as_keras_counts.losses))
    found = sorted(float(numpy(loss)) for loss in layer.losses)
    np.testing.assert_allclose(
        found, sorted([weight_loss, activity_loss, 7.0]), rtol=1e-5
    )


@pytest.mark.slow
def test_losses_are_counted_once_in_fit():
    options = {
        "kernel_regularizer": keras.regularizers.L2(0.25),
        "activity_regularizer": keras.regularizers.L2(0.5),
    }
    losses = []
    for wrap in (lambda layer: layer, Doubled):
        inner = layers.Dense(3, use_bias=False, **options)
        model = keras.Sequential([keras.Input((4,)), wrap(inner)])
        factor = 1 if wrap is Doubled else 2
        inner.kernel.assign(np.full((4, 3), 0.1 * factor))
        model.compile("sgd", "mse", jit_compile=False)
        history = model.fit(X, np.ones((8, 3)), verbose=0, batch_size=8)
        # The kernel regularizer sees the kernel itself, half of the other's.
        weight_loss = 0.25 * 12 * (0.1 * factor) ** 2
        losses.append(history.history["loss"][0] - weight_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


class Failing(layers.Dense):
    def call(self, x):
        raise RuntimeError("on purpose")


def test_an_exception_leaves_no_scope_open():
    wrapped = Doubled(Failing(3))
    wrapped.build((None, 4))
    with pytest.raises(RuntimeError, match="on purpose"):
        wrapped(X)
    assert outside_of_any_scope()
    working = Doubled(layers.Dense(3, use_bias=False))
    found = numpy(working(X))
    expected = 2 * X @ numpy(working.layer.kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


class Assigning(layers.Dense):
    def call(self, x):
        self.kernel.assign(self.kernel * 0.5)
        return super().call(x)


def test_a_layer_that_assigns_its_kernel_is_refused():
    wrapped = Doubled(Assigning(3))
    wrapped.build((None, 4))
    before = numpy(wrapped.layer.kernel).copy()
    with pytest.raises(ValueError, match="assigns to its kernel .*kernel"):
        wrapped(X)
    np.testing.assert_array_equal(numpy(wrapped.layer.kernel), before)
    assert outside_of_any_scope()


class Waiting(layers.Dense):
    """Lets the other thread in while its own scope is open."""

    barrier: threading.Barrier

    def call(self, x):
        self.barrier.wait(30)
        result = super().call(x)
        self.barrier.wait(30)
        return result


def test_threads_do_not_see_each_other():
    Waiting.barrier = threading.Barrier(2)
    shared = Waiting(3, use_bias=False)
    shared.build((None, 4))
    doubled, normalized = Doubled(shared), SpectralNormalization(shared)
    doubled.build((None, 4))
    normalized.build((None, 4))
    results = {}

    def run(wrapper):
        results[wrapper] = numpy(wrapper(X))

    threads = [threading.Thread(target=run, args=(w,)) for w in (doubled, normalized)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    kernel = numpy(shared.kernel)
    np.testing.assert_allclose(results[doubled], 2 * X @ kernel, rtol=1e-5, atol=1e-6)
    expected = X @ kernel / float(normalized.sigma())
    np.testing.assert_allclose(results[normalized], expected, rtol=1e-5, atol=1e-6)


def test_masks_pass_through():
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    embedding = Doubled(layers.Embedding(5, 4, mask_zero=True))
    recurrent = Doubled(layers.LSTM(3, return_sequences=True))
    model = keras.Sequential([embedding, recurrent])
    outputs = numpy(model(tokens))
    # A masked step repeats the last output.
    np.testing.assert_array_equal(outputs[0, 2], outputs[0, 1])
    np.testing.assert_array_equal(outputs[1, 2], outputs[1, 0])
    mask = numpy(embedding.compute_mask(ops.convert_to_tensor(tokens)))
    np.testing.assert_array_equal(mask, tokens != 0)


def test_an_explicit_mask_is_passed_on():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    wrapped = Doubled(layers.GRU(3))
    mask = np.array([[True, True, False], [True, True, False]])
    np.testing.assert_allclose(
        numpy(wrapped(x, mask=ops.convert_to_tensor(mask))),
        numpy(wrapped(x[:, :2])),
        rtol=1e-5,
    )


def test_keyword_arguments_and_nested_outputs():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    attention = Doubled(layers.MultiHeadAttention(2, 3))
    outputs, scores = attention(x, value=x, key=x, return_attention_scores=True)
    assert tuple(outputs.shape) == (2, 3, 4)
    assert tuple(scores.shape) == (2, 2, 3, 3)
    np.testing.assert_allclose(numpy(ops.sum(scores, -1)), 1.0, rtol=1e-5)
    causal = attention(x, x, use_causal_mask=True)
    assert np.abs(numpy(causal) - numpy(outputs)).max() > 1e-3
    lstm = Doubled(layers.LSTM(3, return_state=True))
    sequence, *states = lstm(x, initial_state=[np.zeros((2, 3), "float32")] * 2)
    np.testing.assert_array_equal(numpy(sequence), numpy(states[0]))


def test_a_stateful_layer_keeps_its_states():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    wrapped = Doubled(layers.GRU(3, stateful=True))
    first, second = numpy(wrapped(x)), numpy(wrapped(x))
    np.testing.assert_array_equal(numpy(wrapped.layer.states[0]), second)
    assert np.abs(first - second).max() > 1e-4


def test_shapes_and_specs_are_the_layers_own():
    wrapped = Doubled(layers.Conv2D(5, 3, data_format="channels_first"))
    assert wrapped.compute_output_shape((None, 2, 8, 8)) == (None, 5, 6, 6)
    spec = wrapped(keras.KerasTensor((None, 2, None, 8)))
    assert spec.shape == (None, 5, None, 6)
    assert wrapped.input_spec.axes == {1: 2}
    embedding = Doubled(layers.Embedding(5, 4))
    assert embedding(keras.KerasTensor((None, 3), "int32")).dtype == "float32"


def test_a_wrapper_in_a_wrapper_multiplies():
    wrapped = Doubled(Doubled(layers.Dense(3, use_bias=False)))
    wrapped.build((None, 4))
    kernel = numpy(wrapped.layer.layer.kernel)
    np.testing.assert_allclose(numpy(wrapped(X)), 4 * X @ kernel, rtol=1e-5, atol=1e-6)


def test_weights_are_tracked_once():
    wrapped = SpectralNormalization(layers.Dense(3))
    wrapped.build((None, 4))
    assert [w.name for w in wrapped.trainable_weights] == ["kernel", "bias"]
    assert [w.name for w in wrapped.non_trainable_weights] == ["u", "v"]
    assert [w.name for w in wrapped.state_variables] == ["u", "v"]
    assert len(wrapped.weights) == 4


def test_a_layer_that_is_built_and_used_can_be_wrapped():
    layer = layers.Dense(3)
    before = numpy(layer(X))
    wrapped = Doubled(layer)
    np.testing.assert_allclose(numpy(wrapped(X)), 2 * before, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(numpy(layer(X)), before)


def test_unbuilt_attention_is_built_from_all_its_inputs():
    query = np.ones((2, 3, 4), "float32")
    value = np.ones((2, 5, 6), "float32")
    wrapped = Doubled(layers.MultiHeadAttention(2, 3))
    assert tuple(wrapped(query, value).shape) == (2, 3, 4)
    shapes = {w.path.split("/")[-2]: tuple(w.shape) for w in wrapped.weights}
    assert shapes["value"] in [(6, 2, 3), (2, 3)]
