import keras
import numpy as np
import pytest

from sn_keras import ConditionalBatchNormalization
from training.data import ArraySource
from training.evaluation import sheets
from training.storage import pictures


def a_generator(classes=None):
    latents = keras.Input((3,), name="latents")
    x = keras.layers.Dense(16)(latents)
    inputs = latents
    if classes is not None:
        labels = keras.Input((), dtype="int32", name="labels")
        x = ConditionalBatchNormalization(classes, beta_initializer="normal")(x, labels)
        inputs = [latents, labels]
    images = keras.layers.Reshape((4, 4, 1))(keras.layers.Activation("tanh")(x))
    return keras.Model(inputs, images)


LATENTS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def made(generator, *inputs):
    inputs = inputs[0] if len(inputs) == 1 else list(inputs)
    return pictures.to_uint8(generator.predict(inputs, verbose=0))


def test_rows_go_from_one_latent_to_another():
    generator = a_generator()
    rows, names = sheets.interpolation(generator, LATENTS, steps=5)
    assert names == ["", "", ""]
    assert [row.shape for row in rows] == [(5, 4, 4, 1)] * 3
    ends = np.stack([[row[0], row[-1]] for row in rows])
    np.testing.assert_allclose(ends[:, 0], made(generator, LATENTS[:3]), atol=1)
    np.testing.assert_allclose(ends[:, 1], made(generator, LATENTS[3:]), atol=1)


def test_a_row_a_class_and_ways_through_classes():
    generator = a_generator(3)
    classes = ["a", "b", "c"]
    rows, names = sheets.interpolation(generator, LATENTS, 4, classes)
    assert names == classes
    first = made(generator, LATENTS[:3], np.arange(3))
    np.testing.assert_allclose(np.stack(rows)[:, 0], first, atol=1)
    rows, _ = sheets.interpolation(generator, LATENTS, 4, classes, [2, 0, 1])
    assert rows[0].shape == (8, 4, 4, 1)
    ends = made(generator, LATENTS[[0, 0]], np.array([2, 1]))
    np.testing.assert_allclose(rows[0][[0, -1]], ends, atol=1)
    with pytest.raises(ValueError, match="two classes or more.*Received"):
        sheets.interpolation(generator, LATENTS, 4, classes, [2])


def test_an_animation_goes_there_and_back():
    rows = [np.arange(4, dtype=np.uint8)[:, None, None, None]] * 4
    shown = [int(frame[0, 0, 0]) for frame in sheets.frames(rows)]
    assert shown == [0, 1, 2, 3, 2, 1]


def test_real_images_are_above_and_nearest_ones_below():
    real = np.random.default_rng(0).integers(1, 256, (30, 32, 32, 3), np.uint8)
    source = ArraySource(real)
    sheet = sheets.beside_real(255 - real[:11], source, seed=0)
    assert sheet.shape[0] == 4 * 34 - 2
    right = sheet[:, -(8 * 34 - 2) :]
    np.testing.assert_array_equal(right[68:100, :32], 255 - real[0])
    assert any(np.array_equal(right[:32, :32], image) for image in real)
    sheet, distances = sheets.beside_nearest(real[[3, 5]], source)
    assert distances.max() < 0.1
    np.testing.assert_array_equal(sheet[:32, -66:], sheet[34:, -66:])
