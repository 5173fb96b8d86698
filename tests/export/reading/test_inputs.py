"""Which input is what, and what is said where it can't be told."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from export.reading import inputs, loading


def _input(shape, dtype="float32", name=None):
    return keras.Input(shape, dtype=dtype, name=name)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([((8,), "float32", "z")], ["latents"]),
        ([((1, 1, 8), "float16", "z")], ["latents"]),
        ([((8,), "float32", "z"), ((), "int64", "b")], ["latents", "labels"]),
        ([((1,), "uint8", "b"), ((8,), "float32", "z")], ["labels", "latents"]),
        ([((8,), "float32", "z"), ((3,), "float32", "labels")], ["latents", "labels"]),
        ([((3,), "float32", "Class_onehot"), ((8,), "float32", "z")],)
        + (["labels", "latents"],),
        ([((8,), "float32", "z"), ((), "float32", "y")], ["latents", "labels"]),
        ([((8,), "float32", "z"), ((3,), "int32", "condition")], ["latents", "labels"]),
        ([((8,), "float32", "z"), ((3,), "float32", "oneHot")], ["latents", "labels"]),
        ([((8,), "float32", "z"), ((3,), "float32", "b")], ["latents", "latents"]),
        ([((8,), "float32", "z"), ((3,), "float32", "y")], ["latents", "latents"]),
        ([((8,), "float32", "z"), ((3,), "float32", "second_noise")],)
        + (["latents", "latents"],),
        ([((8,), "float32", "z"), ((3,), "int32", "b")], ["latents", "?"]),
        ([((None,), "float32", "z")], ["?"]),
    ],
)
def test_kinds(given, expected):
    assert inputs.kinds([_input(*one) for one in given]) == expected


def test_latents_in_two_inputs_are_refused_with_what_to_do():
    one, other = _input((4,)), _input((4,))
    x = layers.Dense(48, activation="tanh")(ops.concatenate([one, other], -1))
    model = keras.Model([one, other], layers.Reshape((4, 4, 3))(x))
    with pytest.raises(ValueError, match="takes one and splits it"):
        loading.load(model)


class TwoInputs(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.dense = layers.Embedding(3, 8), layers.Dense(48, "tanh")

    def call(self, given):
        latents, labels = given
        x = self.dense(latents + self.embedding(labels))
        return ops.reshape(x, (-1, 4, 4, 3))


def test_a_subclassed_conditional_model_is_known_once_it_was_called():
    model = TwoInputs()
    with pytest.raises(ValueError, match="is not built, .* call it once"):
        loading.load(model)
    z, labels = np.ones((2, 8), "float32"), np.array([0, 2], "int32")
    expected = model([z, labels])
    generator = loading.load(model)
    assert generator.num_classes == 3 and generator.latent_dim == 8
    np.testing.assert_allclose(generator(z, labels), expected, atol=1e-6)


def test_several_images_are_refused_and_one_among_others_is_found():
    latents = _input((8,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48, activation="tanh")(latents))
    with pytest.raises(ValueError, match=r"model.outputs\[i\]"):
        loading.load(keras.Model(latents, [x, -x]))
    generator = loading.load(keras.Model(latents, {"w": latents, "image": x}))
    assert generator.image_shape == (4, 4, 3) and len(generator.model.outputs) == 1


def test_more_classes_than_a_page_bears_are_refused():
    latents, labels = _input((8,)), _input((), "int32")
    x = latents * ops.cast(labels, "float32")[:, None]
    x = layers.Reshape((4, 4, 3))(layers.Dense(48, activation="tanh")(x))
    model = keras.Model([latents, labels], x)
    with pytest.raises(ValueError, match="from 1 to 100000"):
        loading.load(model, num_classes=10**8)
