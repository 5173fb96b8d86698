"""fold(model): a plain Keras model that computes the same."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

from sn_keras import SpectralNormalization, WeightNormalization, fold
from tests.sn_keras.gradients import numpy
from tests.sn_keras.layer_kinds import every_kind

X = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype("float32")
FLAT = X.reshape(4, -1)[:, :8]


def sequential():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            SpectralNormalization(layers.Conv2D(4, 3), name="conv"),
            layers.BatchNormalization(),
            SpectralNormalization(layers.Conv2DTranspose(2, 3), gamma=True),
            layers.Flatten(),
            layers.Dense(2),
        ]
    ), X


def functional_nested_and_shared():
    inputs = keras.Input((8,))
    shared = SpectralNormalization(layers.Dense(8, activation="tanh"))
    inner = keras.Sequential(
        [keras.Input((8,)), SpectralNormalization(layers.Dense(8)), layers.ReLU()]
    )
    x = shared(shared(inputs))
    x = layers.Add()([inner(x), x])
    return keras.Model(inputs, [inner(x), x]), FLAT


class Block(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = SpectralNormalization(layers.Dense(units, name="inner"))

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x, training=None):
        return x + self.dense(x, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Subclassed(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = [Block(units), Block(units)]
        self.head = SpectralNormalization(layers.Dense(1))

    def build(self, shape):
        for block in self.blocks:
            block.build(shape)
        self.head.build(shape)

    def call(self, x, training=None):
        for block in self.blocks:
            x = block(x, training=training)
        return self.head(x, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def subclassed():
    model = Subclassed(8)
    model.build((None, 8))
    return model, FLAT


def wrapper_in_wrapper():
    layer = SpectralNormalization(WeightNormalization(layers.Dense(3)))
    return keras.Sequential([keras.Input((8,)), layer]), FLAT


def single_layer():
    layer = SpectralNormalization(layers.Dense(3, activation="relu"))
    layer.build((None, 8))
    return layer, FLAT


def without_wrappers():
    return keras.Sequential([keras.Input((8,)), layers.Dense(3)]), FLAT


MODELS = [
    sequential,
    functional_nested_and_shared,
    subclassed,
    wrapper_in_wrapper,
    single_layer,
    without_wrappers,
]
every_model = pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)


def outputs(model, x):
    return [numpy(y) for y in keras.tree.flatten(model(x))]


def trained(make):
    """A model whose kernels, vectors and statistics are no longer the first ones."""
    model, x = make()
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(numpy(weight) + 0.3 * rng.normal(size=weight.shape))
    for _ in range(3):
        model(x, training=True)
    return model, x


@pytest.mark.slow
@every_model
def test_equal_idempotent_and_independent(make):
    model, x = trained(make)
    before = outputs(model, x)
    weights = [numpy(weight).copy() for weight in model.weights]
    plain = fold(model)
    for found, expected in zip(outputs(plain, x), before, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    # No wrapper, no state of one.
    assert not [
        layer
        for layer in plain._flatten_layers()
        if type(layer).__module__.startswith("sn_keras")
    ]
    assert not {weight.name for weight in plain.weights} & {"u", "v"}
    assert plain.count_params() <= model.count_params()
    # Twice is once.
    for found, expected in zip(fold(plain).weights, plain.weights, strict=True):
        assert found is not expected
        np.testing.assert_array_equal(numpy(found), numpy(expected))
    # Neither knows of the other.
    assert not {id(w) for w in plain.weights} & {id(w) for w in model.weights}
    for weight in plain.weights:
        weight.assign(numpy(weight) + 1)
    for found, expected in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(numpy(found), expected)
    for found, expected in zip(outputs(model, x), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@every_kind
def test_every_kind_of_layer(kind):
    wrapped = SpectralNormalization(kind.make())
    kind.build(wrapped)
    wrapped.iterate(1)
    # What a cell needs besides its input, its shapes don't say.
    plain = fold(wrapped, inputs=kind.inputs() if kind.nested else None)
    assert type(plain) is type(wrapped.layer)
    inputs = kind.inputs()
    pairs = zip(
        keras.tree.flatten(plain(*inputs)),
        keras.tree.flatten(wrapped(*inputs)),
        strict=True,
    )
    for found, expected in pairs:
        np.testing.assert_allclose(numpy(found), numpy(expected), rtol=1e-5, atol=1e-6)


def test_the_layer_inside_takes_the_wrappers_name():
    model, _ = sequential()
    plain = fold(model)
    assert isinstance(plain.get_layer("conv"), layers.Conv2D)


@pytest.mark.slow
def test_a_folded_model_can_be_trained():
    model, x = single_layer()
    model = keras.Sequential([keras.Input((8,)), model])
    plain = fold(model)
    plain.compile("sgd", "mse", jit_compile=False)
    before = outputs(model, x)
    plain.fit(x, np.ones((4, 3)), verbose=0)
    np.testing.assert_array_equal(outputs(model, x)[0], before[0])


@pytest.mark.slow
def test_the_compile_state_is_not_copied():
    model, x = sequential()
    model.compile("sgd", "mse")
    assert not fold(model).compiled


@pytest.mark.slow
def test_loads_without_sn_keras(tmp_path):
    model, x = trained(sequential)
    fold(model).save(tmp_path / "plain.keras")
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys, numpy as np, keras\n"
        "sys.modules['sn_keras'] = None\n"
        "model = keras.models.load_model(sys.argv[1] + '/plain.keras')\n"
        "y = model.predict(np.load(sys.argv[1] + '/x.npy'), verbose=0)\n"
        "np.save(sys.argv[1] + '/y.npy', y)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    found = np.load(tmp_path / "y.npy")
    np.testing.assert_allclose(found, outputs(model, x)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("tie", ["raw", "wrapped twice"])
def test_a_layer_with_and_without_its_wrapper_is_refused(tie):
    inputs = keras.Input((8,))
    dense = layers.Dense(8)
    first = dense if tie == "raw" else SpectralNormalization(dense)
    model = keras.Model(inputs, SpectralNormalization(dense)(first(inputs)))
    with pytest.raises(
        ValueError, match="`model` .*can't be folded.*Share the wrapper"
    ):
        fold(model)


class Unfaithful(Subclassed):
    def get_config(self):
        return {**super().get_config(), "units": 5}


@pytest.mark.slow
def test_a_config_that_lies_is_named():
    model = Unfaithful(8)
    model.build((None, 8))
    with pytest.raises(ValueError, match="`model` .*can.t be copied.*`get_config`"):
        fold(model)


def test_not_built():
    with pytest.raises(ValueError, match="`model` .*must be built"):
        fold(SpectralNormalization(layers.Dense(2)))


@pytest.mark.parametrize("value", [None, 3, layers.Dense])
def test_no_model(value):
    with pytest.raises(TypeError, match="`model` must be .*Received: model="):
        fold(value)


def scaling_layer(factor):
    """Makes a class `Dense`, another one at each call, that is not Keras'."""

    class Dense(layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.inner = layers.Dense(units)

        def build(self, shape):
            self.inner.build(shape)

        def call(self, x):
            return factor * self.inner(x)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Dense


def of_one_name():
    x = inputs = keras.Input((8,))
    for factor in (2.0, 5.0):
        x = SpectralNormalization(scaling_layer(factor)(8), name=f"by_{factor}")(x)
    x = scaling_layer(3.0)(8, name="dense")(x)
    return keras.Model(inputs, layers.Dense(8)(x))


def of_one_name_nested():
    def part():
        return keras.Sequential([keras.Input((8,)), scaling_layer(7.0)(8, name="same")])

    return keras.Sequential([keras.Input((8,)), part(), part(), layers.Dense(8)])


def layers_beside_operations():
    inputs = keras.Input((8,))
    x = SpectralNormalization(layers.Dense(8))(inputs)
    x = layers.Add()([x, inputs]) + inputs
    x = layers.Subtract()([x, inputs]) - 2.0
    x = layers.Multiply()([x, inputs]) * 3.0
    x = layers.Maximum()([x, inputs])
    x = ops.maximum(x, -1.0)
    x = ops.reshape(layers.Reshape((4, 2))(x), (-1, 2, 4))
    return keras.Model(inputs, layers.Softmax()(x) + ops.softmax(x))


def own_functions():
    def double(x):
        return 2 * x

    class Start(keras.initializers.Constant):
        pass

    dense = layers.Dense(8, activation=double, kernel_initializer=Start(0.3))
    return keras.Sequential([keras.Input((8,)), SpectralNormalization(dense)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [of_one_name, of_one_name_nested, layers_beside_operations, own_functions],
    ids=lambda make: make.__name__,
)
def test_classes_are_told_apart_by_more_than_their_name(make):
    model = make()
    classes = [type(layer) for layer in model.layers]
    expected = outputs(model, FLAT)
    plain = fold(model)
    np.testing.assert_allclose(outputs(plain, FLAT)[0], expected[0], rtol=1e-4)
    for found, cls in zip(plain.layers, classes, strict=True):
        assert found.__class__ is cls or cls is SpectralNormalization


class Forgetful(layers.Dense):
    factor = 1.0

    def call(self, x):
        return self.factor * super().call(x)


def test_a_fold_that_is_not_equal_is_an_error():
    layer = SpectralNormalization(Forgetful(3))
    layer.build((None, 8))
    fold(layer)
    layer.layer.factor = 1.01  # neither a weight nor in the config
    with pytest.raises(ValueError, match="copy's output differs by"):
        fold(layer)


def test_what_it_compares_on_can_be_given():
    class Picky(Forgetful):
        def call(self, x):
            if x.shape[0] != 4:
                raise RuntimeError("a batch of 4, please")
            return super().call(x)

    layer = Picky(3)
    layer.build((None, 8))
    with pytest.raises(ValueError, match="(?s)Give `inputs` .*a batch of 4, please"):
        fold(layer)
    fold(layer, inputs=FLAT)


def test_a_model_that_draws_random_numbers_can_be_folded():
    class Noise(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = keras.random.SeedGenerator(0)

        def call(self, x):
            return x + keras.random.normal((1, 3), seed=self.seed_generator)

    dense = SpectralNormalization(layers.Dense(3))
    fold(keras.Sequential([keras.Input((8,)), dense, Noise()]))


def test_a_batch_that_is_given_is_compared_on():
    inputs = keras.Input(batch_shape=(4, 6))
    outputs = SpectralNormalization(layers.Dense(4))(inputs)
    fold(keras.Model(inputs, keras.ops.reshape(outputs, (4, 2, 2))))


@pytest.mark.slow
def test_a_stateful_layer_keeps_its_state():
    lstm = layers.LSTM(5, stateful=True)
    inputs = keras.Input(batch_shape=(2, 3, 4))
    model = keras.Model(inputs, SpectralNormalization(lstm)(inputs))
    model(np.ones((2, 3, 4), "float32"))
    before = numpy(lstm.states[0])
    assert before.any()
    fold(model)
    np.testing.assert_array_equal(numpy(lstm.states[0]), before)
