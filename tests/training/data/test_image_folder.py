import io
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from training.data import NoSuchSplitError, decoding, load, make_dataset
from training.data.decoding import BrokenImageError, Decoder


def encoded(kind):
    file = io.BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(file, kind)
    return file.getvalue()


WHOLE = {kind: encoded(kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")}


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def test_what_is_no_image_is_called_so(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    (tmp_path / "b.png").touch()
    with pytest.raises(ValueError, match=r"1 that can't be decoded.*b\.png \(not an "):
        load(tmp_path)
    Image.fromarray(pixels[0]).convert("RGBA").save(tmp_path / "c.webp")
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(tmp_path / "d.png")
    Image.fromarray(pixels[1]).convert("P").save(tmp_path / "e.png", transparency=0)
    source = load(tmp_path, skip_broken=True)
    assert len(source) == 4
    assert source.notes[0].startswith("Left out 1 broken file: ")
    assert source.notes[-1] == "Took the upper 8 of 16 bits a channel in 1 image."


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


def test_of_sixteen_bits_the_upper_eight_are_taken(tmp_path):
    save(tmp_path / "deep.png", np.full((4, 4), 0x80FF, np.uint16))
    save(tmp_path / "deep.tif", np.full((4, 4), 0x80FF, np.uint16))
    save(tmp_path / "plain.png", np.full((4, 4), 0x80, np.uint8))
    source = load(tmp_path)
    assert (source.images == 0x80).all()
    assert source.image_shape == (4, 4, 1)
    assert source.notes == ("Took the upper 8 of 16 bits a channel in 2 images.",)


def test_of_twelve_bits_the_upper_eight_are_taken(tmp_path):
    bits = "".join(f"{value:012b}" for value in (0, 0x80F, 0xFFF, 0xFF0))
    data = int(bits, 2).to_bytes(6, "big")
    # Width, height, bits, no compression, black is 0, where, rows, how many bytes.
    tags = {256: 2, 257: 2, 258: 12, 259: 1, 262: 1, 273: 8, 278: 2, 279: len(data)}
    file = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    file += struct.pack("<H", len(tags))
    file += b"".join(struct.pack("<HHII", tag, 3, 1, tags[tag]) for tag in tags)
    (tmp_path / "a.tif").write_bytes(file + bytes(4))
    source = load(tmp_path)
    assert source.images[0, ..., 0].tolist() == [[0, 0x80], [0xFF, 0xFF]]
    assert source.notes == ("Took the upper 8 of 12 bits a channel in 1 image.",)


def test_one_of_sixteen_bits_is_transparent(tmp_path):
    # The upper 8 bits of both are the same.
    deep = np.array([[0x8000, 0x8001]], np.uint16)
    save(tmp_path / "a.png", deep, transparency=0x8000)
    source = load(tmp_path)
    assert source.images.ravel().tolist() == [255, 0x80]
    assert source.notes[0].startswith("Laid 1 transparent image")
    red = load(tmp_path, background="red")
    assert red.images[0, 0].tolist() == [[255, 0, 0], [0x80] * 3]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_more_bits_have_no_known_range(tmp_path, dtype):
    save(tmp_path / "deep.tif", np.full((4, 4), 70000, dtype))
    with pytest.raises(ValueError, match="deep.tif.*more than 16 bits"):
        load(tmp_path)


def test_no_program_is_run_for_postscript():
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    with pytest.raises(BrokenImageError, match="not an image"):
        Decoder().decode(content)
    with pytest.raises(BrokenImageError, match="not an image"):
        Decoder().header(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP"])
def test_pillows_limit_on_pixels_is_not_minded(kind, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert Decoder((4, 5)).decode(WHOLE[kind])[0].shape == (4, 5, 3)
    assert Decoder().header(io.BytesIO(WHOLE[kind]))[0] == (10, 10)


def test_what_memory_has_no_room_for_is_refused():
    content = bytearray(WHOLE["PNG"])
    content[16:24] = struct.pack(">II", 2**20, 2**20)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    for size in (None, (8, 8)):
        with pytest.raises(BrokenImageError, match="1048576 x 1048576.*memory"):
            Decoder(size).decode(bytes(content))
        with pytest.raises(BrokenImageError, match="1048576 x 1048576.*memory"):
            Decoder(size).header(io.BytesIO(content))


def test_a_fraction_of_a_jpeg_takes_less_memory(monkeypatch):
    monkeypatch.setattr(decoding, "_most_bytes", lambda: 10 * 10 * 8)
    with pytest.raises(BrokenImageError, match="10 x 10 pixels"):
        Decoder((2, 2)).decode(WHOLE["PNG"])
    assert Decoder((2, 2)).decode(WHOLE["JPEG"])[0].shape == (2, 2, 3)
    monkeypatch.setattr(decoding, "_most_bytes", lambda: 10 * 10 * 8 - 1)
    with pytest.raises(BrokenImageError, match="10 x 10 pixels"):
        Decoder((2, 2)).decode(WHOLE["JPEG"])


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ValueError, match=f"{tmp_path} without any"):
        load(tmp_path)


def test_images_beside_classes(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    save(tmp_path / "cats" / "b.png", pixels[1])
    with pytest.raises(ValueError, match="a.png beside the folder cats"):
        load(tmp_path)


def test_a_folder_without_splits(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    for split in (None, "all", "train"):
        assert len(load(tmp_path, split=split)) == 1
    with pytest.raises(NoSuchSplitError, match="`split`.*'test'"):
        load(tmp_path, split="test")


def test_train_and_test_are_splits_and_no_classes(tmp_path, pixels):
    for split, name, image in (
        ("train", "dogs/1.png", 0),
        ("train", "cats/1.png", 1),
        ("test", "dogs/2.png", 2),
        ("Validation", "cats/3.png", 3),
    ):
        save(tmp_path / split / name, pixels[image])
    train = load(tmp_path)
    assert train.split == "train"
    assert train.class_names == ("cats", "dogs")
    np.testing.assert_array_equal(train.images, pixels[[1, 0]])
    test = load(tmp_path, split="test")
    # A class that the test split lacks moves no number of another.
    np.testing.assert_array_equal(test.labels, [1])
    assert test.class_names == train.class_names
    for name in ("val", "validation"):
        np.testing.assert_array_equal(load(tmp_path, split=name).images, pixels[3:])
    with pytest.raises(NoSuchSplitError, match=r"\['test', 'train', 'val'\].*'extra'"):
        load(tmp_path, split="extra")
    save(tmp_path / "test" / "cows" / "1.png", pixels[0])
    with pytest.raises(ValueError, match="classes that the training images have.*cows"):
        load(tmp_path, split="test")


def test_one_of_several_classes_may_be_called_train(tmp_path, pixels):
    for name in ("train", "plane", "car"):
        save(tmp_path / name / "1.png", pixels[0])
    assert load(tmp_path).class_names == ("car", "plane", "train")
    save(tmp_path / "test" / "1.png", pixels[0])
    with pytest.raises(ValueError, match="train, test beside|test, train beside"):
        load(tmp_path)
    save(tmp_path / "Train" / "1.png", pixels[0])
    with pytest.raises(ValueError, match="each split once.*Train and train"):
        load(tmp_path)


def test_a_share_is_held_out_by_name(tmp_path, pixels):
    for number in range(60):
        save(tmp_path / f"{number}.png", pixels[0] + number)
    part = {
        split: {
            image.tobytes()
            for image in load(tmp_path, split=split, held_out=0.3).images
        }
        for split in ("train", "test", "all")
    }
    assert part["train"] | part["test"] == part["all"]
    assert not part["train"] & part["test"]
    assert 8 <= len(part["test"]) <= 28
    for number in range(60, 90):
        save(tmp_path / f"{number}.png", pixels[0] + number)
    more = load(tmp_path, split="test", held_out=0.3)
    assert part["test"] < {image.tobytes() for image in more.images}
    assert load(tmp_path, held_out=0.3).split == "train"
    with pytest.raises(NoSuchSplitError, match="'val'"):
        load(tmp_path, split="val", held_out=0.3)


@pytest.mark.parametrize(
    ("share", "error", "text"),
    [
        (1.0, ValueError, r"`split` must be a number in \[0, 1\)"),
        (-0.1, ValueError, r"`split` must be a number in \[0, 1\)"),
        (float("nan"), ValueError, r"`split` must be a number in \[0, 1\)"),
        ("0.1", TypeError, r"`split` must be a number in \[0, 1\)"),
        (1e-9, ValueError, "both sides"),
    ],
)
def test_a_share_that_cannot_be(tmp_path, pixels, share, error, text):
    save(tmp_path / "a.png", pixels[0])
    with pytest.raises(error, match=text):
        load(tmp_path, held_out=share)


def test_a_share_of_data_with_splits(tmp_path, pixels):
    save(tmp_path / "train" / "a.png", pixels[0])
    with pytest.raises(ValueError, match="`split` must be 0.*train"):
        load(tmp_path, held_out=0.1)
    with pytest.raises(ValueError, match="`split`.*needs a folder.*mnist5k"):
        load("mnist5k", held_out=0.1)


def test_links_are_followed(tmp_path, pixels):
    save(tmp_path / "elsewhere" / "1.png", pixels[0])
    save(tmp_path / "photos" / "cats" / "1.png", pixels[1])
    (tmp_path / "photos" / "dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "cats" / "2.png").symlink_to(tmp_path / "elsewhere/1.png")
    (tmp_path / "photos" / "cats" / "round").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "cats" / "loop").symlink_to("loop")
    (tmp_path / "photos" / "loop").symlink_to("loop")
    (tmp_path / "photos" / "cats" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    source = load(tmp_path / "photos")
    assert source.class_names == ("cats", "dogs")
    np.testing.assert_array_equal(source.images, pixels[[1, 0, 0]])
    assert source.notes == (
        "Passed over 4 files with no image that can be read: cats/loop, cats/lost.png, "
        "cats/round, loop.",
    )


@pytest.mark.parametrize("ending", ["webp", "tif", "tiff", "jfif", "JPG"])
def test_other_endings(tmp_path, ending):
    image = np.full((8, 8, 3), 100, np.uint8)
    kind = "JPEG" if ending == "jfif" else None
    save(tmp_path / f"a.{ending}", image, format=kind)
    assert np.abs(load(tmp_path).images[0].astype(int) - image).max() <= 2


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path, ending, orientation):
    image = np.zeros((16, 32, 3), np.uint8)
    image[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a.{ending}", image, exif=exif)
    # By hand, from the definition: where the first row and column are shown.
    upright = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: image[::-1].transpose(1, 0, 2),
        7: image[::-1, ::-1].transpose(1, 0, 2),
        8: image[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    for streaming in (False, True):
        source = load(tmp_path, streaming=streaming)
        difference = np.abs(source.sample(1)[0][0].astype(int) - upright)
        assert difference.max() <= 40  # JPEG and WebP


def test_transparency_is_laid_on_a_background(tmp_path):
    image = np.zeros((4, 4, 4), np.uint8)
    image[:2, :, 3] = 255  # the upper half is black, the lower one not there
    save(tmp_path / "a.png", image)
    save(tmp_path / "b.png", np.full((4, 4, 4), 255, np.uint8))  # opaque
    source = load(tmp_path)
    assert (source.images[0, :2] == 0).all()
    assert (source.images[0, 2:] == 255).all()
    assert source.notes == (
        "Laid 1 transparent image on the background (`--background`).",
    )
    orange = load(tmp_path, background="#ff8000").images[0, 3, 3]
    np.testing.assert_array_equal(orange, [255, 128, 0])


def test_grey_with_transparency(tmp_path):
    Image.fromarray(np.zeros((4, 4, 2), np.uint8), "LA").save(tmp_path / "a.png")
    assert load(tmp_path).images.tolist() == np.full((1, 4, 4, 1), 255).tolist()
    red = load(tmp_path, background="red")
    np.testing.assert_array_equal(red.images[0, 0, 0], [255, 0, 0])


@pytest.mark.parametrize("background", ["nothing", "", "#ff800080", 3])
def test_a_background_that_is_no_colour(tmp_path, pixels, background):
    save(tmp_path / "a.png", pixels[0])
    with pytest.raises(ValueError, match="`background` must be a colour"):
        load(tmp_path, background=background)


def test_broken_files_are_counted_and_may_be_left_out(tmp_path, pixels):
    for name, image in zip("abcd", pixels, strict=True):
        save(tmp_path / f"{name}.png", image)
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"Received: 2 that.*b\.png.*c\.png"):
        load(tmp_path)
    for streaming in (False, True):
        source = load(tmp_path, skip_broken=True, streaming=streaming)
        assert {x.tobytes() for x in source.sample(2)[0]} == {
            x.tobytes() for x in pixels[[0, 3]]
        }
        assert source.notes[0].startswith("Left out 2 broken files: ")
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "d.png").write_bytes(b"")
    with pytest.raises(ValueError, match="Received: 4 that"):
        load(tmp_path, skip_broken=True)


def test_what_lies_beside_splits_is_named_and_no_class(tmp_path, pixels):
    for name in ("train/a/1.png", "train/b/2.png", "test/a/3.png"):
        save(tmp_path / name, pixels[0])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "x.xml").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "lost.png").symlink_to("nowhere.png")
    source = load(tmp_path)
    assert (len(source), source.split, source.num_classes) == (2, "train", 2)
    for name in ("2 files with no image that can be read", "notes.txt", "lost.png"):
        assert name in source.notes[0]
    shutil.rmtree(tmp_path / "test")
    assert load(tmp_path).class_names == ("a", "b")
    # With images it is a class, and so is "train".
    save(tmp_path / "annotations" / "5.png", pixels[1])
    assert load(tmp_path).class_names == ("annotations", "train")


@pytest.mark.parametrize("splits", [("train",), ("train", "test")])
def test_images_beside_splits(tmp_path, pixels, splits):
    for split in splits:
        save(tmp_path / split / "1.png", pixels[0])
    save(tmp_path / "2.PNG", pixels[1])
    with pytest.raises(ValueError, match="2.PNG beside the folder train"):
        load(tmp_path)


def test_classes_without_an_image_left_are_noted(tmp_path, pixels):
    for number in range(9):
        save(tmp_path / "common" / f"{number}.png", pixels[0])
        save(tmp_path / f"rare{number}" / "1.png", pixels[1])
    for streaming in (False, True):
        source = load(tmp_path, held_out=0.3, streaming=streaming)
        empty = set(range(10)) - set(source.sample(len(source))[1])
        names = [source.class_names[number] for number in sorted(empty)]
        assert source.notes == (
            f"No image is left to train on of the classes {', '.join(names)}.",
        )
    assert not load(tmp_path).notes
    assert not load(tmp_path, split="test", held_out=0.3).notes
    (tmp_path / "rare0" / "1.png").write_bytes(b"")
    notes = load(tmp_path, skip_broken=True).notes
    assert notes[1] == "No image is left to train on of the class rare0."


def test_names_may_be_composed_or_not(tmp_path, pixels):
    """Files that come from macOS have accents of their own."""
    found = []
    for form in ("NFC", "NFD"):
        for name, image in zip(("e", "é", "f"), pixels, strict=False):
            save(tmp_path / form / f"{unicodedata.normalize(form, name)}.png", image)
        found.append(load(tmp_path / form))
    np.testing.assert_array_equal(found[0].images, found[1].images)
    assert found[0].digest == found[1].digest


def test_classes_may_be_composed_or_not(tmp_path, pixels):
    for split, form in (("train", "NFD"), ("test", "NFC")):
        for name in ("é", "f"):
            folder = tmp_path / split / unicodedata.normalize(form, name)
            save(folder / "1.png", pixels[0])
    for split in ("train", "test"):
        source = load(tmp_path, split=split)
        assert source.class_names == ("f", "é")
        assert source.labels.tolist() == [0, 1]
    save(tmp_path / "train" / "é" / "1.png", pixels[0])
    twice = set(os.listdir(tmp_path / "train")) == {"é", "e\u0301", "f"}
    if not twice:
        pytest.skip("this file system takes both names for one")
    with pytest.raises(ValueError, match="with two folders é"):
        load(tmp_path)


def test_pictures_may_be_called_as_idx_files_are(tmp_path, pixels):
    for number, image in enumerate(pixels):
        save(tmp_path / f"train-images-{number}.png", image)
    assert len(load(tmp_path)) == 4


def test_a_path_is_no_name(tmp_path, pixels, monkeypatch):
    save(tmp_path / "mnist5k" / "a.png", pixels[0])
    monkeypatch.chdir(tmp_path)
    assert len(load(Path("mnist5k"))) == 1


@pytest.mark.parametrize("option", [{"background": "red"}, {"skip_broken": True}])
def test_options_of_folders_are_of_folders_alone(option):
    with pytest.raises(ValueError, match=f"`{next(iter(option))}` needs a folder"):
        load("mnist5k", **option)


def test_a_file_that_goes_is_named_by_sample_too(tmp_path, pixels):
    for name, image in zip("abcd", pixels, strict=True):
        save(tmp_path / f"{name}.png", image)
    source = load(tmp_path, streaming=True)
    (tmp_path / "c.png").unlink()
    with pytest.raises(ValueError, match="c.png"):
        source.sample(4)
    first = source.failure
    with pytest.raises(ValueError, match="c.png"):
        source.sample(4)
    # To let go of it while files are read never ended.
    assert source.failure is first


def test_a_single_sub_folder_is_no_class(tmp_path, pixels):
    save(tmp_path / "holidays" / "a.png", pixels[0])
    assert load(tmp_path).num_classes is None


def test_a_digest_is_of_the_content(tmp_path, pixels):
    def digest(folder, **options):
        return load(folder, **options).digest

    for name, image in zip("abc", pixels, strict=False):
        save(tmp_path / "x" / f"{name}.png", image)
    first = digest(tmp_path / "x")
    assert digest(tmp_path / "x", streaming=True) == first
    assert digest(tmp_path / "x", image_size=4) == first
    shutil.copytree(tmp_path / "x", tmp_path / "moved")
    assert digest(tmp_path / "moved") == first
    (tmp_path / "x" / "a.png").rename(tmp_path / "x" / "d.png")
    renamed = digest(tmp_path / "x")
    save(tmp_path / "moved" / "b.png", 255 - pixels[1])
    changed = digest(tmp_path / "moved")
    save(tmp_path / "moved" / "e.png", pixels[3])
    assert len({first, renamed, changed, digest(tmp_path / "moved")}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("labelled", [False, True])
def test_decoding_on_demand_gives_the_same_stream(tmp_path, pixels, size, labelled):
    for number in range(23):
        folder = tmp_path / f"class{number % 3}" if labelled else tmp_path
        save(folder / f"{number:02d}.png", pixels[number % 4] + number)
    streams = []
    for streaming in (False, True):
        source = load(tmp_path, image_size=size, streaming=streaming)
        part = []
        for options in ({"start": 5}, {"worker_index": 1, "num_workers": 2}):
            dataset = make_dataset(source, batch_size=4, seed=3, **options)
            part += [tf.nest.flatten(one) for one in dataset.take(9)]
        streams.append(part)
    for held, read in zip(*streams, strict=True):
        for one, other in zip(held, read, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_index_of_many_files_takes_little_memory(tmp_path, pixels):
    files = 2000
    save(tmp_path / "first.png", pixels[0])
    for number in range(files):
        folder = tmp_path / "photos" / f"class{number % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "first.png", folder / f"photograph-{number:07d}.png")
    tracemalloc.start()
    source = load(tmp_path / "photos", streaming=True, image_size=64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source) == files
    # A million in 1 GB; their pixels would be 12 GB.
    assert peak < files * 1000 + 2**20


def test_a_file_that_breaks_while_it_is_needed(tmp_path, pixels):
    save(tmp_path / "a.png", pixels[0])
    source = load(tmp_path, streaming=True)
    (tmp_path / "a.png").unlink()
    with pytest.raises(tf.errors.OpError):
        next(iter(make_dataset(source, 2, 0)))
    assert "a.png" in str(source.failure)


@given(st.binary(max_size=300), st.sampled_from(sorted(WHOLE)), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_an_image_or_broken(noise, kind, at):
    content = bytearray(WHOLE[kind])
    content[at : at + len(noise)] = noise
    try:
        pixels, _ = Decoder((8, 8), 3).decode(bytes(content))
    except BrokenImageError as error:
        assert str(error)
    else:
        assert pixels.shape == (8, 8, 3)
        assert pixels.dtype == np.uint8


# Three batches are taken of many, and the iterator is still held at the end.
HELD = """
import sys
from training.data import load, make_dataset
held = iter(make_dataset(load(sys.argv[1], streaming=True), batch_size=64, seed=0))
for _ in range(3):
    next(held)
"""


@pytest.mark.slow
def test_a_program_ends_that_holds_an_iterator(tmp_path):
    random = np.random.default_rng(0)
    for number in range(2000):
        pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
        save(tmp_path / f"{number}.jpg", pixels)
    # Without care one in two hangs.
    for _ in range(4):
        command = [sys.executable, "-c", HELD, str(tmp_path)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
