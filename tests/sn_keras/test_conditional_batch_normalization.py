"""Conditional batch normalization against its formula in NumPy."""

import json

import keras
import numpy as np
import pytest

from sn_keras import ConditionalBatchNormalization
from tests.replicas import two_replicas

CLASSES = 3


def data(*shape):
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (8, *shape)).astype("float32")
    labels = np.array([0, 0, 2, 2, 0, 2, 2, 0], "int32")  # class 1 is absent
    return x, labels


def built(x, **kwargs):
    """A layer with γ and β that differ by class and channel."""
    layer = ConditionalBatchNormalization(CLASSES, **kwargs)
    layer.build(x.shape, (len(x),))
    rng = np.random.default_rng(1)
    for variable in (layer.gamma, layer.beta):
        variable.assign(rng.normal(1.0, 0.5, variable.shape))
    return layer


def expected(x, gamma, beta, mean, variance, epsilon=2e-5):
    """The formula for channels last, float64; `gamma` and `beta` one row a sample."""
    shape = (len(x), *[1] * (x.ndim - 2), x.shape[-1])
    x_hat = (x.astype("float64") - mean) / np.sqrt(variance + epsilon)
    return x_hat * gamma.reshape(shape) + beta.reshape(shape)


def numpy(x):
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("shape", [(5,), (7, 5), (4, 6, 5)])
def test_training_normalizes_by_the_statistics_of_all_classes_together(shape):
    x, labels = data(*shape)
    layer = built(x)
    gamma, beta = numpy(layer.gamma), numpy(layer.beta)
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes, dtype="float64"), x.var(axes, dtype="float64")

    y = numpy(layer(x, labels, training=True))

    want = expected(x, gamma[labels], beta[labels], mean, variance)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)
    norm = layer.normalization
    np.testing.assert_allclose(numpy(norm.moving_mean), 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(
        numpy(norm.moving_variance), 0.9 + 0.1 * variance, rtol=1e-4
    )


def test_inference_uses_the_moving_statistics_and_leaves_them():
    x, labels = data(4, 4, 5)
    layer = built(x)
    mean, variance = np.arange(5.0), 1 + np.arange(5.0)
    layer.normalization.moving_mean.assign(mean)
    layer.normalization.moving_variance.assign(variance)
    gamma, beta = numpy(layer.gamma), numpy(layer.beta)

    y = numpy(layer(x, labels))

    want = expected(x, gamma[labels], beta[labels], mean, variance)
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(numpy(layer.normalization.moving_mean), mean)
    # A frozen layer is in inference whatever `training` says.
    layer.trainable = False
    np.testing.assert_array_equal(numpy(layer(x, labels, training=True)), y)


def test_initially_it_is_batch_normalization():
    x, labels = data(4, 4, 5)
    plain = keras.layers.BatchNormalization(momentum=0.9, epsilon=2e-5)
    layer = ConditionalBatchNormalization(CLASSES)
    for training in (True, False):
        np.testing.assert_allclose(
            numpy(layer(x, labels, training=training)),
            numpy(plain(x, training=training)),
            rtol=1e-5,
            atol=1e-5,
        )


def test_parameters_by_class_and_statistics_shared():
    layer = ConditionalBatchNormalization(10)
    layer.build((None, 4, 4, 256), (None,))
    shapes = {w.name: tuple(w.shape) for w in layer.weights}
    assert shapes == {
        "gamma": (10, 256),
        "beta": (10, 256),
        "moving_mean": (256,),
        "moving_variance": (256,),
    }
    assert sorted(w.name for w in layer.trainable_weights) == ["beta", "gamma"]


def test_a_one_hot_weighting_is_the_integer_and_weights_mix_rows():
    x, labels = data(4, 4, 5)
    layer = built(x)
    one_hot = np.eye(CLASSES, dtype="float32")[labels]
    y = numpy(layer(x, labels))
    np.testing.assert_allclose(numpy(layer(x, one_hot)), y, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(numpy(layer(x, labels[:, None])), y)
    for dtype in ("int64", "uint8"):
        np.testing.assert_array_equal(numpy(layer(x, labels.astype(dtype))), y)

    weights = np.tile(np.float32([0.25, 0.75, 0.0]), (len(x), 1))
    zeros, ones = np.zeros_like(labels), np.ones_like(labels)
    want = 0.25 * numpy(layer(x, zeros)) + 0.75 * numpy(layer(x, ones))
    np.testing.assert_allclose(numpy(layer(x, weights)), want, rtol=1e-4, atol=1e-5)


def test_only_rows_of_classes_in_the_batch_are_trained():
    x, labels = data(4, 4, 5)
    inputs = keras.Input((4, 4, 5))
    classes = keras.Input((), dtype="int32")
    layer = ConditionalBatchNormalization(CLASSES)
    model = keras.Model([inputs, classes], layer(inputs, classes))
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    model.train_on_batch([x, labels], np.cos(x))
    for variable, start in ((layer.gamma, 1.0), (layer.beta, 0.0)):
        changed = np.any(numpy(variable) != start, axis=1)
        np.testing.assert_array_equal(changed, [True, False, True])


def test_channels_first():
    x, labels = data(5, 4, 6)
    first, last = built(x, axis=1), built(np.moveaxis(x, 1, -1))
    y = numpy(first(x, labels, training=True))
    want = numpy(last(np.moveaxis(x, 1, -1), labels, training=True))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), want, rtol=1e-5, atol=1e-5)


def test_masked_positions_do_not_count():
    x, labels = data(7, 5)
    mask = np.arange(7)[None, :] < np.array([7, 3, 5, 2, 7, 1, 4, 6])[:, None]
    layer = built(x)
    y = numpy(layer(x, labels, training=True, inputs_mask=mask))
    counted = x[mask].astype("float64")
    gamma, beta = numpy(layer.gamma), numpy(layer.beta)
    want = expected(x, gamma[labels], beta[labels], counted.mean(0), counted.var(0))
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


def test_a_mask_comes_from_the_layer_before_and_goes_on():
    x, labels = data(7, 5)
    x[:, 4:] = 0
    layer = built(x)
    masked = keras.layers.Masking()(x)
    y = layer(masked, labels, training=True)
    counted = x[:, :4].reshape(-1, 5)
    moved = numpy(layer.normalization.moving_mean)
    np.testing.assert_allclose(moved, 0.1 * counted.mean(0), rtol=1e-4)
    mask = numpy(y._keras_mask)
    np.testing.assert_array_equal(mask, np.arange(7)[None, :].repeat(8, 0) < 4)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_mixed_precision_computes_in_float32(half):
    x, labels = data(4, 4, 5)
    # In float16 the squares overflow; in bfloat16 300 and 301 are the same number.
    x = np.round(x) * 2 + 256
    layer = built(x, dtype=f"mixed_{half}")
    exact = built(x)
    y = layer(keras.ops.cast(x, half), labels, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == half
    want = numpy(exact(x, labels, training=True))
    assert all(w.dtype == "float32" for w in layer.weights)
    y = numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, want, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(
        numpy(layer.normalization.moving_mean),
        numpy(exact.normalization.moving_mean),
        rtol=1e-6,
    )
    # An interpolation's weights are not rounded to half precision either.
    third = np.full((len(x), CLASSES), 1 / 3, "float32")
    rows = numpy(layer._of_class(layer.gamma, keras.ops.convert_to_tensor(third)))
    mean = numpy(layer.gamma).mean(0)
    np.testing.assert_allclose(rows, np.tile(mean, (len(x), 1)), rtol=1e-6)


def test_made_frozen_it_keeps_its_statistics():
    x, labels = data(4, 4, 5)
    frozen = ConditionalBatchNormalization(CLASSES, trainable=False)
    again = ConditionalBatchNormalization.from_config(frozen.get_config())
    for layer in (frozen, again):
        layer(x, labels, training=True)
        np.testing.assert_array_equal(numpy(layer.normalization.moving_mean), 0)


def test_config_round_trip():
    layer = ConditionalBatchNormalization(
        7, axis=1, momentum=0.5, epsilon=1e-4, gamma_initializer="zeros", name="cbn"
    )
    config = json.loads(json.dumps(layer.get_config()))
    again = ConditionalBatchNormalization.from_config(config)
    assert again.get_config() == layer.get_config()
    assert again.name == "cbn" and again.epsilon == 1e-4


def test_saved_model_gives_the_same_output(tmp_path):
    x, labels = data(4, 4, 5)
    inputs = keras.Input((4, 4, 5))
    classes = keras.Input((), dtype="int32")
    layer = ConditionalBatchNormalization(CLASSES)
    model = keras.Model([inputs, classes], layer(inputs, classes))
    layer.gamma.assign(np.random.default_rng(2).normal(size=(CLASSES, 5)))
    layer(x, labels, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(again([x, labels])), numpy(model([x, labels])))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"num_classes": 0}, ValueError),
        ({"num_classes": 2.0}, TypeError),
        ({"num_classes": True}, TypeError),
        ({"num_classes": 2, "momentum": 1.5}, ValueError),
        ({"num_classes": 2, "epsilon": -1e-3}, ValueError),
        ({"num_classes": 2, "epsilon": float("nan")}, ValueError),
        ({"num_classes": 2, "axis": "last"}, TypeError),
        ({"num_classes": 2, "synchronized": 1}, TypeError),
    ],
)
def test_bad_arguments_are_named(bad, error):
    name = list(bad)[-1]
    with pytest.raises(error, match=f"`{name}`.*Received: {name}="):
        ConditionalBatchNormalization(**bad)


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(8, "float32"),
        np.zeros((8, 2), "int32"),
        np.zeros((8, CLASSES - 1), "float32"),
        np.zeros((8, 1, 1), "int32"),
        np.zeros(8, bool),
    ],
)
def test_bad_labels_are_named(labels):
    x, _ = data(4, 4, 5)
    with pytest.raises(ValueError, match="`labels` must be integers"):
        built(x)(x, labels)


@pytest.mark.parametrize("shape", [(8,), (8, 4, None)])
def test_bad_input_shapes_are_named(shape):
    with pytest.raises(ValueError, match="`inputs`"):
        ConditionalBatchNormalization(2).build(shape, (8,))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.gather on the CPU checks"
)
@pytest.mark.parametrize("label", [CLASSES, 99, -1])
def test_labels_out_of_range_are_an_error(label):
    x, _ = data(4, 4, 5)
    with pytest.raises(Exception, match="not in"):
        built(x)(x, np.full(8, label, "int32"))


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"
)
@pytest.mark.parametrize("synchronized", [False, True])
def test_statistics_under_two_replicas(synchronized):
    import tensorflow as tf

    x, labels = data(4, 4, 5)
    strategy = two_replicas()
    with strategy.scope():
        layer = built(x, synchronized=synchronized)
    gamma, beta = numpy(layer.gamma), numpy(layer.beta)

    @tf.function
    def step(x, labels):
        return layer(x, labels, training=True)

    def share(context):
        rows = slice(4 * context.replica_id_in_sync_group, None)
        return tuple(tf.constant(a[rows][:4]) for a in (x, labels))

    shares = [
        strategy.experimental_distribute_values_from_function(
            lambda c, i=i: share(c)[i]
        )
        for i in (0, 1)
    ]
    y = np.concatenate(strategy.experimental_local_results(strategy.run(step, shares)))

    axes = (0, 1, 2)
    groups = [x, x] if synchronized else [x[:4], x[4:]]
    means = [group.mean(axes, dtype="float64") for group in groups]
    variances = [group.var(axes, dtype="float64") for group in groups]
    want = np.concatenate(
        [
            expected(x[rows], gamma[labels[rows]], beta[labels[rows]], mean, variance)
            for rows, mean, variance in zip(
                (slice(4), slice(4, 8)), means, variances, strict=True
            )
        ]
    )
    np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)
    by_replica = strategy.experimental_local_results(
        layer.normalization.moving_mean.value
    )
    for moving, mean in zip(by_replica, means, strict=True):
        np.testing.assert_allclose(moving, 0.1 * mean, rtol=1e-4)
