"""Pixels, grids and learning rates."""

import keras
import numpy as np
import pytest
from PIL import Image

from training.gan.schedules import LinearDecay
from training.storage import pictures


def test_bytes_are_the_nearest():
    values = np.array([-1.0, 1.0, 0.0, -1.01, 1.01, 2 / 255 - 1, 2.9 / 255 - 1])
    assert pictures.to_uint8(values).tolist() == [0, 255, 128, 0, 255, 1, 1]
    every = np.arange(256)
    np.testing.assert_array_equal(pictures.to_uint8(every / 127.5 - 1), every)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_has_images_in_reading_order(channels, tmp_path):
    parts = np.stack([np.full((2, 3, channels), i + 1, np.uint8) for i in range(5)])
    canvas = pictures.grid(parts, gap=1)
    assert canvas.shape == (2 * 3 - 1, 3 * 4 - 1, channels)
    assert canvas[::3, ::4, 0].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert not canvas[2].any() and not canvas[:, 3].any()
    pictures.write_png(tmp_path / "grid.png", canvas)
    with Image.open(tmp_path / "grid.png") as image:
        assert image.mode == {1: "L", 3: "RGB"}[channels]
        np.testing.assert_array_equal(np.asarray(image).reshape(canvas.shape), canvas)


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_have_their_names_on_the_left(channels):
    rows = [np.full((3, 32, 32, channels), 50 * i + 50, np.uint8) for i in range(3)]
    sheet = pictures.named_rows(rows, ["cat", "", "a" * 50])
    assert sheet.shape[::2] == (3 * 34 - 2, channels)
    right = 3 * 34 - 2
    np.testing.assert_array_equal(
        sheet[:, -right:], pictures.grid(np.concatenate(rows), columns=3)
    )
    margin = sheet[:, :-right, 0]
    assert margin[:32].any() and margin[68:].any()
    assert not margin[34:66].any()
    # A name that no font has pushes nothing out either.
    assert pictures.named_rows(rows, [""] * 3).shape[1] < sheet.shape[1]
    assert pictures.named_rows(rows, ["猫", "🐶", ""]).shape[0] == sheet.shape[0]


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_animations(tmp_path, kind, channels):
    frames = [np.full((8, 8, channels), i * 80, np.uint8) for i in range(3)]
    pictures.write_animation(tmp_path / f"a.{kind}", frames)
    with Image.open(tmp_path / f"a.{kind}") as image:
        assert image.n_frames == 3
        assert image.info["loop"] == 0
        image.seek(2)
        assert np.abs(np.asarray(image.convert("L")).astype(int) - 160).max() <= 1


def test_the_rate_falls_to_0_over_the_last_steps():
    schedule = LinearDecay(0.5, steps=10, decay_steps=4)
    rates = [float(schedule(step)) for step in (0, 5, 6, 7, 9, 10, 11)]
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.5, 0.375, 0.125, 0, 0])
    copy = keras.optimizers.schedules.deserialize(
        keras.optimizers.schedules.serialize(schedule)
    )
    assert copy.get_config() == schedule.get_config()
    with pytest.raises(ValueError, match="`decay_steps`"):
        LinearDecay(0.5, steps=10, decay_steps=11)
