import numpy as np
import pytest
from PIL import Image

from training.data import load


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def test_images_beside_each_other_have_no_labels(tmp_path, pixels):
    for name, image in zip("bdac", pixels, strict=True):
        save(tmp_path / f"{name}.png", image)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image either")
    for name in (tmp_path, str(tmp_path), f"folder:{tmp_path}"):
        source = load(name)
        np.testing.assert_array_equal(source.images, pixels[[2, 0, 3, 1]])
        assert source.num_classes is None
        assert source.labels is None
        assert source.image_shape == (6, 8, 3)
        assert len(source) == 4


def test_sub_folders_are_the_classes(tmp_path, pixels):
    save(tmp_path / "dogs" / "1.png", pixels[0])
    save(tmp_path / "cats" / "tabby" / "1.PNG", pixels[1])
    save(tmp_path / "cats" / "2.bmp", pixels[2])
    source = load(tmp_path)
    assert source.class_names == ("cats", "dogs")
    np.testing.assert_array_equal(source.labels, [0, 0, 1])
    np.testing.assert_array_equal(source.images, pixels[[2, 1, 0]])


def test_jpeg_gif_and_palettes(tmp_path):
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (1, 32, 3))
    save(tmp_path / "a.jpg", ramp, quality=95)
    save(tmp_path / "b.jpeg", ramp[..., 0], quality=95)
    frames = [Image.fromarray(ramp[..., 0]), Image.fromarray(255 - ramp[..., 0])]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(ramp).convert("P").save(tmp_path / "d.png")
    source = load(tmp_path)
    assert source.image_shape == (32, 32, 3)
    # The web palette of the last has steps of 51.
    for image, tolerance in zip(source.images, (4, 4, 0, 51), strict=True):
        assert np.abs(image.astype(int) - ramp).max() <= tolerance


def test_grey_files_stay_grey_and_channels_convert(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0, ..., 0])
    assert load(tmp_path).image_shape == (6, 8, 1)
    source = load(tmp_path, channels=3)
    np.testing.assert_array_equal(source.images[0], pixels[0, ..., :1].repeat(3, -1))
    save(tmp_path / "b.png", pixels[1])
    assert load(tmp_path).image_shape == (6, 8, 3)
    grey = load(tmp_path, channels=1).images[1, ..., 0]
    luma = pixels[1] @ [0.299, 0.587, 0.114]
    assert np.abs(grey - luma).max() <= 1


def test_other_sizes_are_cropped_around_the_centre_and_resized(tmp_path):
    # The middle third is white: a square crop of the middle has nothing else.
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 255
    save(tmp_path / "wide.png", image)
    save(tmp_path / "high.png", image.transpose(1, 0, 2))
    source = load(tmp_path, image_size=4)
    assert source.image_shape == (4, 4, 3)
    assert (source.images == 255).all()


def test_halving_averages(tmp_path):
    # Triangles of width 4 at factor 2 weigh a constant and a ramp without a change.
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (24, 1))
    save(tmp_path / "a.png", ramp)
    image = load(tmp_path, image_size=12).images[0, ..., 0]
    expected = np.tile(np.arange(12) * 20 + 5, (12, 1))
    np.testing.assert_array_equal(image[:, 1:-1], expected[:, 1:-1])


def test_sizes_that_differ_need_a_size(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    save(tmp_path / "b.png", pixels[1, :5])
    with pytest.raises(ValueError, match=r"`image_size`.*a.png.*b.png.*\(5, 8\)"):
        load(tmp_path)
    assert load(tmp_path, image_size=(3, 4)).image_shape == (3, 4, 3)


@pytest.mark.parametrize("kind", ["text", "empty", "cut.png", "cut.jpg"])
def test_a_broken_file_is_named(tmp_path, pixels, kind):
    save(tmp_path / "a.png", pixels[0])
    broken = tmp_path / f"broken.{kind.partition('.')[2] or 'png'}"
    if kind.startswith("cut"):
        save(broken, pixels[1])
        broken.write_bytes(broken.read_bytes()[:-40])
    else:
        broken.write_bytes(b"not an image" if kind == "text" else b"")
    with pytest.raises(ValueError, match=f"Received: .*{broken.name}"):
        load(tmp_path)


def test_sixteen_bits_a_channel_are_no_bytes(tmp_path):
    save(tmp_path / "deep.png", np.full((4, 4), 1000, np.uint16))
    with pytest.raises(ValueError, match=r"deep.png.*\[0, 255\]"):
        load(tmp_path)


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ValueError, match=f"{tmp_path} without any"):
        load(tmp_path)


def test_images_beside_classes(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    save(tmp_path / "cats" / "b.png", pixels[1])
    with pytest.raises(ValueError, match="a.png beside the folder cats"):
        load(tmp_path)


def test_a_folder_has_no_splits(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    with pytest.raises(ValueError, match="`split`.*'test'"):
        load(tmp_path, split="test")
