"""A plain model computes what the model computes, flat and in float32."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from export import keras_private
from export.inference import simplification
from export.reading import loading, plain_models
from sn_keras import SpectralNormalization, WeightNormalization
from tests.export import networks


def _nested(policy="float32"):
    """Models in models, one of them used twice, under a dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        stem = keras.Sequential([keras.Input((5,)), layers.Dense(4 * 4 * 8)])
        stem.add(layers.Reshape((4, 4, 8)))
        twice = keras.Sequential([keras.Input((4, 4, 8))])
        twice.add(SpectralNormalization(layers.Conv2D(8, 3, padding="same")))
        inner = keras.Input((4, 4, 8))
        x = layers.Add()([twice(inner), twice(twice(inner))])
        x = layers.Conv2DTranspose(3, 4, 2, "same")(x)
        head = keras.Model(inner, layers.BatchNormalization()(x))
        inputs = keras.Input((5,), name="noise")
        outputs = layers.Activation("tanh")(head(stem(inputs)))
        return networks.trained_like(keras.Model(inputs, outputs), 0)
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "largest"),
    # In units of the last place, of 8 and 11 bits: sums of about 100 products.
    [("float32", 1e-6), ("mixed_float16", 0.02), ("mixed_bfloat16", 0.16)],
)
def test_nested_models_become_flat(policy, largest):
    model = _nested(policy)
    flat, _ = plain_models.plain(model)
    kinds = [type(layer) for layer in flat.layers]
    assert keras.Sequential not in kinds and keras.Model not in kinds
    assert {layer.compute_dtype for layer in flat.layers} == {"float32"}
    z = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
    expected = np.asarray(model(z, training=False), "float32")
    np.testing.assert_allclose(flat([z]), expected, atol=largest)
    # The batch norm at the end of a nested model is found there.
    simple = simplification.simplify(flat)
    assert layers.BatchNormalization not in map(type, simple.layers)
    np.testing.assert_allclose(simple([z]), flat([z]), atol=1e-5)


def test_labels_that_a_nested_model_takes_as_floats_are_converted():
    labels = keras.Input((), dtype="int32", name="labels")
    half = keras.Sequential([keras.Input(()), layers.Rescaling(0.5)])
    model = keras.Model(labels, half(labels))
    flat, _ = plain_models.plain(model)
    assert np.asarray(flat([np.array([1, 2], "int32")])).tolist() == [0.5, 1.0]


def test_layers_may_be_called_as_inputs_are():
    noise, classes = keras.Input((8,)), keras.Input((3,), name="one_hot")
    x = layers.Dense(8, name="latents")(noise) + layers.Dense(8, name="labels")(classes)
    x = layers.Dense(48, "tanh", name="images")(x)
    model = keras.Model([noise, classes], layers.Reshape((4, 4, 3))(x))
    generator = loading.load(model)
    drawn = generator.draw(4, 0)
    np.testing.assert_allclose(
        generator(**drawn), generator.predict(**drawn), atol=1e-6
    )
    assert {"latents", "labels", "images"} <= set(generator.names.values())


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_lora_is_added_to_the_kernel(dtype):
    inputs = keras.Input((4, 4, 3))
    conv = layers.Conv2D(5, 3, padding="same", dtype=dtype)
    x = layers.ReLU()(layers.BatchNormalization()(conv(inputs)))
    dense = layers.Dense(2, dtype=dtype)
    model = keras.Model(inputs, dense(x))
    for layer in (conv, dense):
        layer.enable_lora(2)
    networks.trained_like(model, 0)
    flat, _ = plain_models.plain(model)
    assert len(flat.weights) == 2 * 2 + 4
    simple = simplification.simplify(flat, phases=True)
    assert layers.BatchNormalization not in map(type, simple.layers)
    z = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    expected = np.asarray(keras.ops.cast(model(z, training=False), "float32"))
    bound = 1e-5 if dtype == "float32" else 0.05
    np.testing.assert_allclose(simple([z]), expected, atol=bound * abs(expected).max())


class Noisy(layers.Layer):
    def call(self, inputs):
        return inputs + keras.random.normal(keras.ops.shape(inputs), seed=self.seed)

    def build(self, shape):
        self.seed = keras.random.SeedGenerator(0)


def test_a_generator_that_draws_in_inference_is_refused():
    inputs = keras.Input((8,))
    x = Noisy()(layers.Reshape((4, 4, 3))(layers.Dense(48)(inputs)))
    with pytest.raises(ValueError, match="differs from it .* random numbers in inf"):
        loading.load(keras.Model(inputs, x))


@keras.saving.register_keras_serializable("tests.export")
class Residual(layers.Layer):
    """Takes the layer that it runs, wrapped or not."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = inner

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config.pop("inner"))
        return cls(inner, **config)

    def build(self, shape):
        if not self.inner.built:
            self.inner.build(shape)

    def call(self, inputs):
        return inputs + self.inner(inputs)


class Unconfigured(layers.Layer):
    """Has a wrapper inside, and a constructor that its configuration doesn't fill."""

    def __init__(self, units, name=None):
        super().__init__(name=name)
        self.inner = SpectralNormalization(layers.Dense(units))

    def build(self, shape):
        self.inner.build(shape)

    def call(self, inputs):
        return keras.ops.tanh(self.inner(inputs))


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: Residual(SpectralNormalization(layers.Dense(5))),
        lambda: Residual(Residual(WeightNormalization(layers.Dense(5)))),
        lambda: Unconfigured(5, name="свой"),
    ],
)
def test_wrappers_inside_of_other_layers_are_folded_or_kept(make):
    inputs = keras.Input((5,))
    model = networks.trained_like(keras.Model(inputs, make()(inputs)), 0)
    flat, names = plain_models.plain(model)
    z = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
    np.testing.assert_allclose(flat([z]), model(z, training=False), atol=1e-5)
    kept = [layer for layer in flat.layers if isinstance(layer, plain_models.Kept)]
    inside = [type(one).__name__ for one in keras_private.all_layers(flat)]
    assert bool(kept) == ("SpectralNormalization" in inside)
    assert bool(kept) == ("свой" in names.values())


def test_the_users_model_and_policy_are_left_as_they_were():
    inputs = keras.Input((5,), name="шум")
    layer = layers.Dense(3, name="слой")
    model = keras.Model(inputs, layer(inputs))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        flat, names = plain_models.plain(model)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert layer.name == "слой" and "слой" in names.values()
    flat.layers[-1].kernel.assign(flat.layers[-1].kernel * 2)
    assert not np.allclose(flat.layers[-1].kernel, layer.kernel)
    assert all(layer.name.isascii() for layer in flat.layers)


@pytest.mark.slow
def test_a_normalization_that_was_adapted_is_exported_as_it_is():
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).normal(5, 2, (64, 8)))
    inputs = keras.Input((8,))
    x = layers.Reshape((4, 4, 1))(layers.Dense(16, "tanh")(adapted(inputs)))
    model = keras.Model(inputs, x)
    latents = np.random.default_rng(1).normal(5, 2, (4, 8)).astype("float32")
    flat, _ = plain_models.plain(model)
    np.testing.assert_allclose(flat([latents]), model(latents), atol=1e-5)
