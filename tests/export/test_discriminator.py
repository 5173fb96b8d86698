"""A discriminator's SavedModel gives its logits and features."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import export
from export import discriminator
from export.__main__ import main
from sn_keras import SpectralNormalization


def _projection():
    images = keras.Input((8, 8, 3), name="images")
    labels = keras.Input((), dtype="int32", name="labels")
    x = SpectralNormalization(layers.Conv2D(4, 3, padding="same"))(images)
    h = layers.GlobalAveragePooling2D(name="pool")(layers.LeakyReLU(0.1)(x))
    embedded = SpectralNormalization(layers.Embedding(3, 4))(labels)
    logits = SpectralNormalization(layers.Dense(1))(h)
    logits = layers.Add()([logits, layers.Dot(-1)([embedded, h])])
    return keras.Model([images, labels], logits), keras.Model([images, labels], h)


@pytest.mark.slow
def test_logits_and_features_equal_those_of_keras(tmp_path):
    model, features = _projection()
    x = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype("float32")
    labels = np.array([0, 1, 2, 0], "int32")
    model([x, labels], training=True)  # leaves u and v that fit the kernels
    model.save(tmp_path / "discriminator.keras")
    arguments = [str(tmp_path / "discriminator.keras"), "--output", str(tmp_path / "d")]
    assert main(["discriminator", *arguments]) == 0
    loaded = tf.saved_model.load(str(tmp_path / "d" / "saved_model"))
    outputs = loaded.signatures["serving_default"](
        images=tf.constant(x), labels=tf.constant(labels)
    )
    np.testing.assert_allclose(outputs["logits"], model([x, labels]), atol=1e-5)
    np.testing.assert_allclose(outputs["features"], features([x, labels]), atol=1e-5)


@pytest.mark.slow
def test_an_auxiliary_classifiers_logits_are_told_apart(tmp_path):
    images = keras.Input((8, 8, 3), name="images")
    h = layers.Flatten()(layers.Conv2D(4, 3, strides=2)(images))
    # In the order of their names the classes come first.
    outputs = {"logits": layers.Dense(1)(h), "class_logits": layers.Dense(3)(h)}
    model = keras.Model(images, outputs)
    differences = export.export_discriminator(model, tmp_path / "d")
    assert set(differences) == {"logits", "class_logits", "features"}
    loaded = tf.saved_model.load(str(tmp_path / "d" / "saved_model"))
    x = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 3)).astype("float32")
    found = loaded.signatures["serving_default"](images=tf.constant(x))
    for name, expected in model(x).items():
        np.testing.assert_allclose(found[name], expected, atol=1e-5)
    assert found["features"].shape == (4, 3 * 3 * 4)


def test_a_layer_may_be_called_as_an_input_is():
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, name="images")(inputs))
    model = keras.Model(inputs, layers.Dense(1)(x))
    loaded, names, _ = discriminator._load(model)
    assert names == ["images"] and loaded.inputs[0].name == "images"


def test_what_is_no_discriminator_is_refused(small_cnn, tmp_path):
    with pytest.raises(ValueError, match="is no discriminator"):
        export.export_discriminator(small_cnn, tmp_path / "d")
    assert list(tmp_path.iterdir()) == []
