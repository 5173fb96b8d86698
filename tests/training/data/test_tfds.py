"""The TFDS route on records that TFDS itself writes, with the real sets' features."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from training.data import load, make_dataset
from training.data.tfds import _streaming

tfds = pytest.importorskip("tensorflow_datasets")


def write(root, name, splits, size):
    """Writes records with the features that TFDS has for a set, and returns them."""
    builder = tfds.builder(name, data_dir=str(root))
    features = builder.info.features
    rng = np.random.default_rng(0)
    pixels = {}
    datasets = {}
    for split, count in splits.items():
        channels = features["image"].shape[-1]
        images = rng.integers(0, 256, (count, size, size, channels), np.uint8)
        labels = np.arange(count) % features["label"].num_classes
        if split == "unlabelled":
            labels = np.full(count, -1)
        pixels[split] = images, labels
        examples = {"image": images, "label": labels.astype(np.int64)}
        for other in set(features) - set(examples):
            is_class = hasattr(features[other], "num_classes")  # CIFAR-100's coarse one
            names = [f"{number:04d}.JPEG" for number in range(count)]
            examples[other] = np.zeros(count, np.int64) if is_class else names
        datasets[split] = tf.data.Dataset.from_tensor_slices(examples)
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=str(builder.version),
        # Photographs would come back changed by JPEG: these are compared exactly.
        features=tfds.features.FeaturesDict(
            {
                **features,
                "image": tfds.features.Image(
                    shape=features["image"].shape, encoding_format="png"
                ),
            }
        ),
        split_datasets=datasets,
        data_dir=str(root),
        disable_shuffling=True,
    )
    return pixels


def by_pixels(images, labels):
    return {image.tobytes(): label for image, label in zip(images, labels, strict=True)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


@pytest.fixture(scope="module")
def cifar10(root):
    return write(root, "cifar10", {"train": 60, "test": 20}, 32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [
        ("cifar10", None, "train"),
        ("cifar10", "test", "test"),
        ("tfds:cifar10", None, "train"),
        ("tfds:cifar10:test", None, "test"),
    ],
)
def test_a_set_by_name_and_split(root, cifar10, name, split, expected):
    source = load(name, split=split, data_dir=root)
    images, labels = cifar10[expected]
    np.testing.assert_array_equal(source.images, images)
    np.testing.assert_array_equal(source.labels, labels)
    assert source.split == expected
    assert source.num_classes == 10
    assert len(source.class_names) == 10


def test_cifar100_has_its_hundred_fine_classes(root):
    pixels, labels = write(root, "cifar100", {"train": 120}, 32)["train"]
    source = load("cifar100", data_dir=root)
    np.testing.assert_array_equal(source.images, pixels)
    np.testing.assert_array_equal(source.labels, labels)
    assert source.num_classes == len(source.class_names) == 100


def test_fashion_mnist_without_debians_package(root, monkeypatch):
    monkeypatch.setattr("training.data.loading.debian_fashion_mnist", lambda: None)
    images, labels = write(root, "fashion_mnist", {"train": 12}, 28)["train"]
    source = load("fashion_mnist", image_size=32, data_dir=root)
    expected = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    np.testing.assert_array_equal(source.images, expected)
    np.testing.assert_array_equal(source.labels, labels)


def test_a_part_of_a_split(root, cifar10):
    source = load("tfds:cifar10:train[10:30]", data_dir=root)
    np.testing.assert_array_equal(source.images, cifar10["train"][0][10:30])


@pytest.mark.slow
def test_stl10_takes_the_unlabelled_images_at_48(root):
    pixels = write(root, "stl10", {"unlabelled": 8, "test": 4}, 96)
    source = load("stl10", data_dir=root)
    assert source.split == "unlabelled"
    assert source.image_shape == (48, 48, 3)
    assert source.num_classes is None
    # Close to the mean of each 2×2, which a triangle of width 4 blurs a little.
    images = pixels["unlabelled"][0].astype(float)
    means = images.reshape(8, 48, 2, 48, 2, 3).mean((2, 4))
    correlation = np.corrcoef(source.images.ravel(), means.ravel())[0, 1]
    assert correlation > 0.85
    assert load("stl10", split="test", data_dir=root).num_classes == 10
    assert load("stl10", image_size=96, data_dir=root).image_shape == (96, 96, 3)


def test_mnist_is_padded(root):
    pixels = write(root, "mnist", {"train": 12}, 28)
    expected = np.pad(pixels["train"][0], [(0, 0), (2, 2), (2, 2), (0, 0)])
    for name in ("mnist", "tfds:mnist"):
        source = load(name, image_size=32, data_dir=root)
        np.testing.assert_array_equal(source.images, expected)


@pytest.fixture(scope="module")
def imagenet(root):
    return write(root, "imagenet2012", {"train": 70, "validation": 10}, 40)


@pytest.mark.slow
def test_imagenet_streams_the_same_images(root, imagenet):
    source = load("imagenet", data_dir=root, image_size=40)
    assert type(source).__name__ == "StreamingSource"
    assert len(source) == 70
    images, labels = source.sample(70)
    sampled = by_pixels(images, labels)
    assert len(sampled) == 70
    assert sampled == by_pixels(*imagenet["train"])


@pytest.mark.slow
def test_imagenet_is_128_pixels_and_test_is_validation(root, imagenet):
    source = load("imagenet", split="test", data_dir=root)
    assert source.image_shape == (128, 128, 3)
    assert source.split == "validation"
    images, labels = next(iter(make_dataset(source, 3, seed=0)))
    assert images.shape == (3, 128, 128, 3)
    assert labels.dtype == tf.int32


@pytest.fixture
def small_windows(monkeypatch):
    """Several groups of files and several windows a group, as ImageNet has them."""
    monkeypatch.setattr("training.data.streaming._FILES", 2)
    monkeypatch.setattr("training.data.streaming._WINDOW", 9)


@pytest.fixture(scope="module")
def sharded(root):
    """Seven files of different lengths."""
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (70, 8, 8, 3), np.uint8)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(8, 8, 3)),
            "label": tfds.features.ClassLabel(num_classes=70),
        }
    )
    folder = root / "sharded" / "1.0.0"
    folder.mkdir(parents=True)
    lengths = [3, 17, 1, 20, 9, 12, 8]
    ends = np.cumsum(lengths)
    for number, (length, end) in enumerate(zip(lengths, ends, strict=True)):
        path = folder / f"sharded-train.tfrecord-{number:05d}-of-00007"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(end - length, end):
                example = {"image": images[index], "label": index}
                writer.write(features.serialize_example(example))
    tfds.folder_dataset.write_metadata(
        data_dir=str(folder),
        features=features,
        split_infos=[
            tfds.core.SplitInfo(name="train", shard_lengths=lengths, num_bytes=0)
        ],
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    )
    return images


def labels_of(dataset, count):
    parts = [labels.numpy() for _, labels in dataset.take(count)]
    return np.concatenate(parts)


@pytest.mark.slow
def test_streams_hold_each_image_once_an_epoch(root, sharded, small_windows):
    source = load("tfds:sharded", data_dir=root, streaming=True)
    assert len(source) == 70
    order = labels_of(make_dataset(source, 10, seed=0), 21).reshape(3, 70)
    for epoch in order:
        assert sorted(epoch) == list(range(70))
    assert len({tuple(epoch) for epoch in order}) == 3
    # Files alone would keep their own order: here some image comes before an earlier
    # one of its file.
    first_file = [label for label in order[0] if 3 <= label < 20]
    assert first_file != sorted(first_file)


@pytest.mark.slow
@pytest.mark.parametrize("start", [1, 29, 69, 70, 155])
def test_streams_are_taken_up_anywhere(root, sharded, small_windows, start):
    source = load("tfds:sharded", data_dir=root, streaming=True)
    whole = [*make_dataset(source, 200, seed=4).take(1)][0]
    part = [*make_dataset(source, 40, seed=4, start=start).take(1)][0]
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[start : start + 40], b)


@pytest.mark.slow
def test_streams_are_shared_by_workers(root, sharded, small_windows):
    source = load("tfds:sharded", data_dir=root, streaming=True)
    whole = [*make_dataset(source, 8, seed=4).take(4)]
    for worker in range(2):
        dataset = make_dataset(source, 8, 4, worker_index=worker, num_workers=2)
        for (images, labels), (all_images, all_labels) in zip(
            dataset.rebatch(4).take(4), whole, strict=True
        ):
            share = slice(4 * worker, 4 * worker + 4)
            np.testing.assert_array_equal(labels, all_labels[share])
            np.testing.assert_array_equal(images, all_images[share])


@pytest.mark.slow
def test_streams_do_not_depend_on_the_global_seed(root, sharded, small_windows):
    source = load("tfds:sharded", data_dir=root, streaming=True)
    orders = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        orders.append(labels_of(make_dataset(source, 70, seed=0), 1))
    np.testing.assert_array_equal(*orders)


def test_parts_of_a_split_stream(root, sharded):
    source = load("tfds:sharded:train[2:25]", data_dir=root, streaming=True)
    assert sorted(source.sample(23)[1]) == list(range(2, 25))


def test_a_set_that_cannot_be_had_names_the_alternatives(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "training.data.tfds._unreachable_host", lambda builder: "example.org"
    )
    with pytest.raises(ValueError, match="can't prepare 'cifar100'.*mnist5k.*idx:"):
        load("cifar100", data_dir=tmp_path)


def test_imagenet_without_its_archives_says_so(tmp_path):
    with pytest.raises(ValueError, match="can't prepare 'imagenet2012'.*mnist5k"):
        load("imagenet", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "tfds:no_such_set"}, "'no_such_set'"),
        ({"name": "tfds:"}, "`name`.*tfds:NAME"),
        ({"name": "cifar10", "split": "validation"}, "`split`.*test.*'validation'"),
        ({"name": "tfds:cifar10:test", "split": "train"}, "`split`.*differ"),
        ({"name": "tfds:imagenet2012"}, "`image_size`.*imagenet2012"),
    ],
)
def test_bad_names_and_splits(root, cifar10, imagenet, arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments, data_dir=root)


def test_records_of_another_format_cannot_be_streamed():
    info = SimpleNamespace(file_format=SimpleNamespace(value="parquet"))
    builder = SimpleNamespace(name="words", info=info)
    expected = "read as training goes on .*`streaming=True`.*'words' in parquet"
    with pytest.raises(ValueError, match=expected):
        _streaming(builder, "train", None, (4, 4, 1), None, "tfds:words", "")


def test_a_set_without_images(root):
    features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
    tfds.dataset_builders.store_as_tfds_dataset(
        name="words",
        version="1.0.0",
        features=features,
        split_datasets={"train": tf.data.Dataset.from_tensors({"text": "hello"})},
        data_dir=str(root),
    )
    with pytest.raises(ValueError, match="'image'.*'words'"):
        load("tfds:words", data_dir=root)


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("kind", "label", "value"),
    [
        ("text", tfds.features.Text(), "cat"),
        ("vector", tfds.features.Tensor(shape=(2,), dtype=np.int64), np.arange(2)),
        ("float", tfds.features.Scalar(np.float32), np.float32(0.5)),
        ("numbers", tfds.features.Scalar(np.int64), 3),
        (
            "sequence",
            tfds.features.Sequence(tfds.features.ClassLabel(num_classes=2)),
            [1, 0],
        ),
    ],
)
def test_labels_that_are_no_classes_are_left_and_said(
    tmp_path, kind, label, value, streaming
):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    example = {"image": pixels, "label": value}
    tfds.dataset_builders.store_as_tfds_dataset(
        name=kind,
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(8, 8, 3)), "label": label}
        ),
        split_datasets={"train": tf.data.Dataset.from_tensors(example)},
        data_dir=str(tmp_path),
    )
    source = load(f"tfds:{kind}", data_dir=tmp_path, streaming=streaming)
    np.testing.assert_array_equal(source.sample(1)[0][0], pixels)
    assert source.num_classes is None
    assert len(source.notes) == 1
    assert "'label' must be a ClassLabel with a number of classes" in source.notes[0]


def test_damaged_records_are_named(root, cifar10, tmp_path):
    shutil.copytree(root / "cifar10", tmp_path / "cifar10")
    record = next((tmp_path / "cifar10").rglob("*train*tfrecord*"))
    record.write_bytes(record.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r"records of 'cifar10' in .* can't be read"):
        load("cifar10", data_dir=tmp_path)


def test_a_digest_of_records(root, cifar10, tmp_path):
    shutil.copytree(root / "cifar10", tmp_path / "cifar10")
    first = load("cifar10", data_dir=root).digest
    moved = load("tfds:cifar10", data_dir=tmp_path, streaming=True)
    assert moved.digest == first
    assert load("cifar10", split="test", data_dir=root).digest != first
    record = next((tmp_path / "cifar10").rglob("*train*tfrecord*"))
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 1
    record.write_bytes(content)
    assert load("cifar10", data_dir=tmp_path, streaming=True).digest != first
