"""What counts as a generator, and what is said of the rest."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers

import sn_keras
from export.reading import loading


def _model(image=(4, 4, 3), **latents):
    inputs = keras.Input(**{"shape": (8,), "name": "latents", **latents})
    x = layers.Flatten()(inputs) if len(inputs.shape) > 2 else inputs
    x = layers.Dense(int(np.prod(image)))(x)
    return keras.Model(inputs, layers.Reshape(image)(x))


@pytest.mark.slow
def test_of_a_runs_folder_the_averaged_weights_are_taken(small_resnet, tmp_path):
    small_resnet.save(tmp_path / "generator.keras")
    assert loading.load(tmp_path).source == str(tmp_path)
    small_resnet.save(tmp_path / "generator-ema.keras")
    assert loading.load(tmp_path).source == str(tmp_path / "generator-ema.keras")


@pytest.mark.slow
def test_a_runs_folder_tells_the_classes(small_resnet, tmp_path):
    small_resnet.save(tmp_path / "generator.keras")
    names = ["cat", "dog", "hen"]
    told = {"generator": {"num_classes": 3, "class_names": names}, "preset": {"a": 1}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    generator = loading.load(tmp_path)
    assert generator.num_classes == 3 and generator.class_names == tuple(names)
    assert generator.image_shape == (16, 16, 3) and generator.latent_dim == 16
    assert generator.config["preset"] == {"a": 1}
    drawn = generator.draw(4, 0)
    np.testing.assert_allclose(
        generator(**drawn),
        small_resnet([drawn["latents"], drawn["labels"]], training=False),
        atol=1e-6,
    )


@pytest.mark.slow
def test_a_configuration_of_something_else_is_not_read(small_resnet, tmp_path):
    small_resnet.save(tmp_path / "g.keras")
    for content in ("[1, 2]", "// mine", json.dumps({"api_key": "secret"})):
        (tmp_path / "config.json").write_text(content)
        assert loading.load(tmp_path / "g.keras").config == {}
    told = {"generator": {"num_classes": 10}, "preset": {}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match="num_classes=10, .* has 3 classes"):
        loading.load(tmp_path / "g.keras")


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="`KERAS_BACKEND` must be 'tensorflow'"):
        loading.load(_model())


@pytest.mark.slow
def test_without_a_configuration_the_layers_tell(small_resnet):
    assert loading.load(small_resnet).num_classes == 3


def test_classes_that_nothing_tells_are_asked_for():
    labels = keras.Input((), dtype="int32", name="labels")
    base = _model()
    scale = layers.Reshape((1, 1, 1))(keras.ops.cast(labels, "float32"))
    model = keras.Model([base.input, labels], layers.Multiply()([base.output, scale]))
    with pytest.raises(ValueError, match="`num_classes` must be given"):
        loading.load(model)
    assert loading.load(model, 7, wanted_range=(-1, 1)).num_classes == 7


def test_spectral_normalization_is_folded():
    inputs = keras.Input((8,))
    x = sn_keras.SpectralNormalization(layers.Dense(48))(inputs)
    model = keras.Model(inputs, layers.Reshape((4, 4, 3))(x))
    z: np.ndarray = np.ones((2, 8), "float32")
    generator = loading.load(model, wanted_range=(-1, 1))
    assert len(generator.model.weights) == 2
    np.testing.assert_allclose(generator(z), model(z), atol=1e-6)


def test_a_mixed_policy_is_left_behind():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = _model()
    finally:
        keras.config.set_dtype_policy("float32")
    z: np.ndarray = np.random.default_rng(0).normal(size=(2, 8)).astype("float32")
    kernel, bias = (np.array(w) for w in model.get_weights())
    images = loading.load(model, wanted_range=(-1, 1))(z)
    np.testing.assert_allclose(np.reshape(images, (2, -1)), z @ kernel + bias, 1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: _model((48,)), "outputs of shapes"),
        (lambda: _model((4, 4, 5)), "1, 3 or 4 channels"),
        (lambda: _model((4, 4, 2)), "1, 3 or 4 channels"),
        (lambda: _model(dtype="int32"), "its inputs must be"),
        (lambda: keras.Sequential([layers.Dense(3)]), "is not built"),
    ],
)
def test_what_is_no_generator_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        loading.load(model())
    with pytest.raises(TypeError, match="`generator` must be a path"):
        loading.load(7)


class Doubler(layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_layers_that_cant_be_loaded_are_named(tmp_path):
    base = _model()
    model = keras.Model(base.input, Doubler(name="twice")(base.output))
    model.save(tmp_path / "generator.keras")
    with pytest.raises(ValueError, match=r"can't be loaded: Doubler \('twice'\)\. Cus"):
        loading.load(tmp_path)


@keras.saving.register_keras_serializable("tests.export")
def squashed(x):
    return keras.ops.tanh(x)


def unregistered(x):
    return keras.ops.tanh(x)


def test_functions_that_keras_finds_are_no_reason_and_others_are_named(tmp_path):
    base = _model()
    known = layers.Activation(squashed)(layers.Activation(keras.ops.tanh)(base.output))
    model = keras.Model(base.input, known)
    model.compile(loss=unregistered)  # which nothing that is exported needs
    model.save(tmp_path / "generator.keras")
    assert loading.load(tmp_path, wanted_range=(-1, 1)).latent_dim == 8
    model = keras.Model(base.input, layers.Activation(unregistered)(known))
    model.save(tmp_path / "generator.keras")
    with pytest.raises(ValueError, match="parts that can't be loaded: unregistered. "):
        loading.load(tmp_path)


def test_code_in_a_file_is_not_run(tmp_path):
    base = _model()
    model = keras.Model(base.input, layers.Lambda(lambda x: x)(base.output))
    model.save(tmp_path / "generator.keras")
    with pytest.raises(ValueError, match="(?i)lambda"):
        loading.load(tmp_path)


@pytest.mark.slow
def test_broken_files_are_named(small_cnn, tmp_path):
    path = tmp_path / "generator.keras"
    with pytest.raises(FileNotFoundError, match="generator.keras"):
        loading.load(tmp_path)
    small_cnn.save(path)
    whole = path.read_bytes()
    for content in (b"", b"no zip", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no whole `.keras` file"):
            loading.load(path)
    path.write_bytes(whole)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="no valid JSON"):
        loading.load(tmp_path)
