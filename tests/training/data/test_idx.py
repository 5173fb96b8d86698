import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from training.data import load
from training.data.idx import read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array):
    """The format as Yann LeCun's page gives it, written by hand."""
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(">BBBB", 0, 0, code, array.ndim)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)


@pytest.fixture
def labels():
    return (np.arange(12) % 10).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, images, labels):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(idx(images[:3]), mtime=0)
    )
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(labels[:3]), mtime=0)
    )
    return tmp_path


@pytest.mark.parametrize("prefix", ["idx:", ""])
def test_a_folder_of_idx_files(folder, images, labels, prefix):
    source = load(f"{prefix}{folder}")
    np.testing.assert_array_equal(source.images, images[..., None])
    np.testing.assert_array_equal(source.labels, labels)
    assert source.split == "train"
    assert source.num_classes == 10
    assert source.class_names == tuple("0123456789")


def test_gzipped_test_split(folder, images, labels):
    source = load(folder, split="test")
    np.testing.assert_array_equal(source.images, images[:3, ..., None])
    np.testing.assert_array_equal(source.labels, labels[:3])


@pytest.mark.parametrize("prefix", ["idx:", ""])
def test_small_images_get_a_black_border(folder, images, prefix):
    source = load(f"{prefix}{folder}", image_size=32, channels=3)
    assert source.image_shape == (32, 32, 3)
    expected = np.pad(images, [(0, 0), (2, 2), (2, 2)])
    for channel in range(3):
        np.testing.assert_array_equal(source.images[..., channel], expected)


def test_labels_may_be_missing(folder):
    (folder / "train-labels-idx1-ubyte").unlink()
    source = load(folder)
    assert source.labels is None
    assert source.num_classes is None


@pytest.mark.parametrize("code", CODES)
def test_every_type_of_value(tmp_path, code):
    array = np.array([[0, 1, 127], [5, 6, 7]], code)
    (tmp_path / "file").write_bytes(idx(array))
    read = read_idx(tmp_path / "file")
    np.testing.assert_array_equal(read, array)


def test_whole_numbers_of_another_type_are_bytes(folder, images):
    (folder / "train-images-idx3-ubyte").write_bytes(idx(images.astype("f4")))
    np.testing.assert_array_equal(load(folder).images, images[..., None])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1.0, r"\[0, 255\].*train-images.*-1.0"),
        (256.0, r"\[0, 255\].*train-images.*256.0"),
        (float("nan"), r"\[0, 255\].*train-images.*nan"),
        (0.5, "whole numbers.*train-images"),
    ],
)
def test_values_that_are_no_bytes(folder, value, message):
    array = np.zeros((2, 28, 28), "f4")
    array[1, 1, 1] = value
    (folder / "train-images-idx3-ubyte").write_bytes(idx(array))
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no bytes"),
        (b"\x89PNG....", "89 50 4e 47"),
        (b"\0\0\x07\x03", "00 00 07 03"),
        (b"\0\0\x08\x03\0\0\0\1", "cut short"),
        (idx(np.zeros((2, 3, 4), np.uint8))[:-1], r"40.*train-images.*39"),
        (idx(np.zeros((2, 3, 4), np.uint8)) + b"x", r"40.*train-images.*41"),
        (gzip.compress(b"\0\0\x08\x03" * 99, mtime=0)[:-9], "whole gzip file"),
        (idx(np.zeros((0, 3, 4), np.uint8)), r"n ≥ 1.*\(0, 3, 4\)"),
        (idx(np.zeros(7, np.uint8)), r"train-images.*\(7,\)"),
        (struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 2**31, 2**31), "bytes. Received"),
    ],
)
def test_broken_files_are_named(folder, content, message):
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_labels_that_are_no_integers(folder, labels):
    content = idx(labels.astype(np.float32))
    (folder / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="must have an integer for each"):
        load(f"idx:{folder}")


def test_a_damaged_label_makes_no_classes(folder, labels):
    for label in (2 * 10**9, -1):
        damaged = np.array([*labels[1:], label], np.int32)
        (folder / "train-labels-idx1-ubyte").write_bytes(idx(damaged))
        with pytest.raises(ValueError, match=f"0 to 99,999.*train-labels.*{label}"):
            load(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-images.zip", b"PK\3\4abc"),
        ("train-images.txt", b"cats/0.png\n"),
        ("t10k-images.tar.gz", gzip.compress(b"cats/0.png", mtime=0)),
        ("t10k-images.gz", b"\x1f\x8b"),
    ],
)
def test_other_files_may_be_called_so(tmp_path, images, name, content):
    Image.fromarray(images[0]).save(tmp_path / "0.png")
    (tmp_path / name).write_bytes(content)
    assert len(load(tmp_path)) == 1


def test_names_may_be_shorter(folder, images):
    for path in [*folder.iterdir()]:
        path.rename(folder / path.name.replace("-ubyte", "").replace("-idx", "."))
    np.testing.assert_array_equal(load(folder).images, images[..., None])
    assert len(load(folder, split="test")) == 3


def test_labels_of_other_images(folder, labels):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(labels[:5]))
    with pytest.raises(ValueError, match=r"12\s+images.*train-labels.*\(5,\)"):
        load(folder)


def test_an_unknown_or_missing_split(folder):
    with pytest.raises(ValueError, match="`split`.*train.*'validation'"):
        load(folder, split="validation")
    for path in folder.glob("t10k*"):
        path.unlink()
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte.*'test'"):
        load(folder, split="test")


def test_fashion_mnist_where_debian_puts_it(tmp_path, folder, monkeypatch, images):
    monkeypatch.setenv("XDG_DATA_DIRS", f"{tmp_path / 'none'}:{tmp_path / 'share'}")
    with pytest.raises(ValueError, match="dataset-fashion-mnist"):
        load("fashion-mnist-debian")
    place = tmp_path / "share" / "datasets" / "fashion-mnist"
    place.mkdir(parents=True)
    for path in folder.glob("*ubyte*"):
        path.rename(place / path.name)
    for name in ("fashion-mnist-debian", "fashion_mnist"):
        source = load(name, image_size=32)
        assert source.name == name
        assert source.class_names[9] == "Ankle boot"
        np.testing.assert_array_equal(source.images[:, 2:30, 2:30, 0], images)
