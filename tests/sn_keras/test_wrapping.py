"""wrap(model): a copy with its layers in wrappers, the inverse of fold."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from sn_keras import SpectralNormalization, WeightNormalization, fold, wrap
from sn_keras.reparameterization import Reparameterization
from tests.sn_keras.gradients import numpy

X = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")


def sequential():
    model = [layers.Dense(8, activation="relu", name="a"), layers.BatchNormalization()]
    return keras.Sequential([keras.Input((8,)), *model, layers.Dense(3, name="b")])


def functional_nested_and_shared():
    inputs = keras.Input((8,))
    shared = layers.Dense(8, name="shared")
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8), layers.PReLU()])
    x = layers.Add()([inner(shared(inputs)), inputs]) + inputs
    return keras.Model(inputs, inner(shared(x)))


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.steps = [layers.Dense(units), (layers.Dense(units), layers.ReLU())]
        self.by_name = {"last": layers.Dense(units)}

    def build(self, shape):
        for dense in (self.steps[0], self.steps[1][0], self.by_name["last"]):
            dense.build(shape)

    def call(self, x):
        h = self.steps[1][1](self.steps[1][0](self.steps[0](x)))
        return x + self.by_name["last"](h)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Subclassed(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.block = Block(units)
        self.tail = keras.Sequential([layers.Dense(units), layers.Dense(2)])

    def build(self, shape):
        self.block.build(shape)
        self.tail.build(shape)

    def call(self, x):
        return self.tail(self.block(x))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def subclassed():
    model = Subclassed(8)
    model.build((None, 8))
    return model


def subclassed_inside_functional():
    inputs = keras.Input((8,))
    return keras.Model(inputs, layers.Dense(2)(Block(8)(inputs)))


def attention():
    inputs = keras.Input((3, 8))
    x = layers.MultiHeadAttention(2, 3)(inputs, inputs)
    return keras.Model(inputs, layers.TimeDistributed(layers.Dense(2))(x))


MODELS = {
    sequential: 2,
    functional_nested_and_shared: 2,
    subclassed: 5,
    subclassed_inside_functional: 4,
    attention: 2,
}


def inner(layer):
    return layer.layer if isinstance(layer, Reparameterization) else layer


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_every_kernel_is_normalized_and_every_weight_kept(make):
    model = make()
    before = [numpy(weight) for weight in model.weights]
    wrapped = wrap(model)
    assert type(wrapped) is type(model)
    wrappers = [
        x for x in wrapped._flatten_layers() if isinstance(x, SpectralNormalization)
    ]
    assert len({id(x) for x in wrappers}) == MODELS[make]
    state = [id(w) for x in wrappers for w in x.state_variables]
    kept = [w for w in wrapped.weights if id(w) not in state]
    for weight, found, expected in zip(model.weights, kept, before, strict=True):
        assert found is not weight
        np.testing.assert_array_equal(numpy(found), expected)
        np.testing.assert_array_equal(numpy(weight), expected)
    for wrapper in wrappers:
        raws = {id(w): numpy(w) for w in wrapper.layer.trainable_weights}
        sigmas = keras.tree.flatten(wrapper.sigma())
        raws = [raw for raw in raws.values() if raw.ndim >= 2][: len(sigmas)]
        if len(raws) == 1:  # of several, the matrices are tested elsewhere
            exact = np.linalg.norm(raws[0].reshape(-1, raws[0].shape[-1]), 2)
            assert float(sigmas[0]) == pytest.approx(exact, rel=1e-4)
    x = X if make is not attention else np.stack([X, 2 * X, 3 * X], axis=1)
    folded = fold(wrapped)
    np.testing.assert_allclose(numpy(folded(x)), numpy(wrapped(x)), atol=1e-5)
    assert not np.allclose(numpy(wrapped(x)), numpy(model(x)), rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_with_gamma_it_is_the_model(make):
    model = make()
    wrapped = wrap(model, lambda layer: SpectralNormalization(layer, gamma=True))
    x = X if make is not attention else np.stack([X, 2 * X, 3 * X], axis=1)
    np.testing.assert_allclose(numpy(wrapped(x)), numpy(model(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"norm_multiplier": 2.0, "only_above": True}])
def test_with_gamma_and_the_operators_norm_it_is_the_model(options):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(2, 7, 7, 2)).astype("float32")
    convolutions = [layers.Conv2D(4, 3, padding="same"), layers.Conv2D(3, 2, strides=2)]
    model = keras.Sequential([keras.Input((7, 7, 2)), *convolutions])
    wrapped = wrap(
        model,
        lambda layer: SpectralNormalization(
            layer, gamma=True, norm="operator", **options
        ),
    )
    np.testing.assert_allclose(numpy(wrapped(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_frozen_layers_stay_frozen():
    model = sequential()
    model.get_layer("a").trainable = False
    wrapped = wrap(model, lambda layer: SpectralNormalization(layer, gamma=True))
    frozen, other = wrapped.get_layer("a"), wrapped.get_layer("b")
    assert not frozen.trainable_weights
    assert len(other.trainable_weights) == 3


def test_frozen_layers_of_a_constructor_stay_frozen():
    class Made(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.a = SpectralNormalization(layers.Dense(4))
            self.b = layers.Dense(4)
            self.outer = keras.Sequential([layers.BatchNormalization(), self.b])

        def call(self, x):
            return self.outer(self.a(x))

    model = Made()
    model(X)
    # One that is inside of two, and a part of what is trained.
    model.a.trainable = model.b.trainable = False
    model.outer.layers[0].trainable = False
    for copy in (fold(model), wrap(model)):
        frozen = [one.trainable for one in (copy.a, copy.b, copy.outer.layers[0])]
        assert frozen == [False, False, False] and copy.outer.trainable
        assert copy.trainable_variables == []
        copy(X + 5, training=True)
        np.testing.assert_array_equal(numpy(copy.outer.layers[0].moving_mean), 0)


def test_where_chooses():
    model = sequential()
    wrapped = wrap(model, WeightNormalization, lambda layer: layer.name == "b")
    assert type(wrapped.get_layer("a")) is layers.Dense
    assert type(wrapped.get_layer("b")) is WeightNormalization
    again = wrap(wrapped)
    assert type(again.get_layer("a")) is SpectralNormalization
    assert type(again.get_layer("b")) is WeightNormalization


@pytest.mark.parametrize(
    "where",
    [
        layers.Conv2D,
        (layers.Conv2D, layers.Flatten),
        lambda layer: layer.name != "left_out",
    ],
)
def test_where_is_a_class_or_leaves_a_layer_out(where):
    parts = [layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(2, name="left_out")]
    wrapped = wrap(keras.Sequential([keras.Input((2, 2, 2)), *parts]), where=where)
    kinds = [type(layer) for layer in wrapped.layers]
    assert kinds == [SpectralNormalization, layers.Flatten, layers.Dense]


def test_a_layer_alone():
    layer = layers.Conv2D(3, 2)
    layer.build((None, 4, 4, 2))
    wrapped = wrap(layer)
    np.testing.assert_array_equal(numpy(wrapped.layer.kernel), numpy(layer.kernel))
    assert wrapped.name == layer.name


@pytest.mark.slow
def test_wrapped_it_saves_and_loads(tmp_path):
    wrapped = wrap(sequential())
    wrapped.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numpy(loaded(X)), numpy(wrapped(X)))


# A few layers each, of every kind: all of them take 20 s.
APPLICATIONS = {
    "MobileNetV2": ("block_3_depthwise", "block_16_project", "predictions"),
    "EfficientNetB0": ("stem_conv", "block2a_dwconv", "block2a_se_reduce", "top_conv"),
    "ResNet50": ("conv1_conv", "conv2_block1_0_conv", "predictions"),
}
# Their graphs are the same on each backend, and compiling them takes JAX a minute.
if keras.backend.backend() != "tensorflow":
    APPLICATIONS = {"ResNet50": APPLICATIONS["ResNet50"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_topologies_of_applications(name, tmp_path):
    chosen = APPLICATIONS[name]
    build = getattr(keras.applications, name)
    model = build(input_shape=(32, 32, 3), weights=None, classes=5)
    wrapped = wrap(model, where=lambda layer: layer.name in chosen)
    for layer in chosen:
        kernel = numpy(model.get_layer(layer).kernel)
        rows = 9 if isinstance(model.get_layer(layer), layers.DepthwiseConv2D) else -1
        matrix = kernel.reshape(rows, -1 if rows == 9 else kernel.shape[-1])
        sigma = float(wrapped.get_layer(layer).sigma())
        assert sigma == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-4)
        running = numpy(wrapped.get_layer(layer).normalized_kernel())
        np.testing.assert_allclose(running, kernel / sigma, rtol=1e-5, atol=1e-7)
    x = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype("float32")
    expected = numpy(wrapped(x))
    np.testing.assert_allclose(numpy(fold(wrapped)(x)), expected, atol=1e-6)
    wrapped.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    (tmp_path / "model.keras").unlink()  # 94 MB
    np.testing.assert_array_equal(numpy(loaded(x)), expected)


class Unknown(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(8, 8), name="table")

    def call(self, x):
        return x @ self.table


class Late(Block):
    def build(self, shape):
        super().build(shape)
        self.late = layers.Dense(8, name="late")
        self.late.build(shape)


def test_layers_that_cannot_be_wrapped_are_all_listed():
    lora = layers.Dense(8, name="adapted")
    parts = [Unknown(name="mystery"), lora, layers.Dense(8)]
    model = keras.Sequential([keras.Input((8,)), *parts])
    lora.enable_lora(2)
    with pytest.raises(ValueError, match="(?s)can't be wrapped.*mystery.*adapted"):
        wrap(model)
    late = Late(8)
    late.build((None, 8))
    with pytest.raises(ValueError, match="(?s)can't be wrapped.*'late'.*`build`"):
        wrap(late)


def test_nothing_to_wrap():
    with pytest.raises(ValueError, match="`where` chooses no layer in `model`"):
        wrap(sequential(), where=lambda layer: False)
    for model in (keras.Sequential([keras.Input((8,)), layers.ReLU()]), sequential()):
        if len(model.layers) > 1:
            model = wrap(model)
        with pytest.raises(ValueError, match="no layer has a kernel, other than in a"):
            wrap(model)


@pytest.mark.parametrize(
    "arguments",
    [
        {"wrapper": 3},
        {"wrapper": SpectralNormalization(layers.Dense(2))},
        {"wrapper": lambda layer: layer},
        {"wrapper": layers.SpectralNormalization},
        {"wrapper": str},
        {"where": "conv"},
        {"where": (layers.Dense, "conv")},
        {"where": lambda layer: layer.name},
        {"where": lambda layer: None},
    ],
)
def test_what_is_no_function_or_returns_another_kind(arguments):
    (argument,) = arguments
    with pytest.raises(TypeError, match=f"^`{argument}` must .*Received: "):
        wrap(sequential(), **arguments)


def test_wrappers_that_a_model_holds():
    nested = layers.TimeDistributed(SpectralNormalization(layers.Dense(3)))
    wrapped = wrap(keras.Sequential([keras.Input((2, 4)), nested, layers.Dense(2)]))
    kinds = [type(layer) for layer in wrapped.layers]
    assert kinds == [layers.TimeDistributed, SpectralNormalization]
    peer = layers.SpectralNormalization(layers.Dense(3), name="of_keras")
    for held in (peer, layers.TimeDistributed(peer, name="holds of_keras")):
        shape = (4,) if held is peer else (2, 4)
        model = keras.Sequential([keras.Input(shape), held, layers.Dense(2)])
        with pytest.raises(ValueError, match="(?s)can't be wrapped.*of_keras.*migrate"):
            wrap(model)


class Small(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.random.normal(shape, 0.0, 0.1, dtype, seed=0)


class Holder(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(3, kernel_initializer=Small())

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


def test_classes_of_a_script(monkeypatch):
    """For which Keras writes no module."""
    for kind in (Small, Holder):
        monkeypatch.setattr(kind, "__module__", "__main__")
    model = keras.Sequential([keras.Input((8,)), Holder()])
    assert type(fold(model).layers[0].dense) is layers.Dense
    assert type(wrap(model).layers[0].dense) is SpectralNormalization


SCRIPT = """
import keras
from keras import layers
from sn_keras import SpectralNormalization, fold, wrap

class Own(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype)

class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(8, kernel_initializer=Own())
    def call(self, x):
        return self.dense(x)

@keras.saving.register_keras_serializable()
class Registered(Block):
    pass

class Gathered(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block, self.last = Block(), layers.Dense(2)
    def call(self, x):
        return self.last(self.block(x))

parts = [Block(), Registered(), layers.Dense(3, kernel_initializer=Own())]
gathered = Gathered()
gathered(keras.ops.ones((1, 8)))
for model in (keras.Sequential([keras.Input((8,)), *parts]), gathered):
    fold(model)
    wrapped = wrap(model)
    assert type(wrapped.layers[0].dense) is SpectralNormalization
    fold(wrapped)
"""


@pytest.mark.slow
def test_a_script():
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], check=True)


def test_an_unbuilt_model():
    with pytest.raises(ValueError, match="`model` .*must be built"):
        wrap(keras.Sequential([layers.Dense(2)]))


@pytest.mark.slow
def test_a_layer_that_was_adapted_goes_on_as_it_was(tmp_path):
    """`Normalization` runs with what it has made of its weights."""
    images = np.random.default_rng(0).normal(50, 10, (64, 8)).astype("float32")
    adapted = layers.Normalization()
    adapted.adapt(images)
    model = keras.Sequential([keras.Input((8,)), adapted, layers.Dense(3)])
    expected = numpy(adapted(images))
    wrapped = wrap(model, lambda one: SpectralNormalization(one, gamma=True))
    np.testing.assert_allclose(numpy(wrapped.layers[0](images)), expected, rtol=1e-6)
    outputs = numpy(wrapped(images))
    np.testing.assert_allclose(outputs, numpy(model(images)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(numpy(fold(wrapped)(images)), outputs, rtol=1e-5)
    wrapped.save(tmp_path / "wrapped.keras")
    again = keras.saving.load_model(tmp_path / "wrapped.keras")
    np.testing.assert_allclose(numpy(again(images)), outputs, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="adapts by it")
def test_a_vocabulary_that_was_learned_goes_along():
    lookup = layers.IntegerLookup(output_mode="multi_hot")
    lookup.adapt(np.array([3, 4, 5, 3]))
    model = keras.Sequential([keras.Input((2,), dtype="int64"), lookup])
    model.add(layers.Dense(3))
    numbers = np.array([[3, 4], [5, 9]])
    wrapped = wrap(model)
    folded = fold(wrapped, inputs=numbers)
    for copy in (wrapped, folded):
        found = numpy(copy.layers[0](numbers))
        np.testing.assert_array_equal(found, numpy(lookup(numbers)))


def test_the_mean_of_a_normalization_is_no_kernel():
    layer = layers.Normalization(axis=(1, 2))
    model = [keras.Input((3, 4)), layer, layers.Flatten(), layers.Dense(2)]
    kinds = [type(one) for one in wrap(keras.Sequential(model)).layers]
    assert kinds == [layers.Normalization, layers.Flatten, SpectralNormalization]
