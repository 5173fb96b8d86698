"""What `GAN.fit` is given, checked, as elements that hold the batches of one step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import tensorflow as tf

# Rounding of a resize or a half-precision store may push a pixel out by this much.
_TOLERANCE = 1e-3
_DEFAULT_BATCH_SIZE = 64
_SHUFFLE_SEED = 0


def grouped(
    x: Any,
    y: Any,
    batch_size: int | None,
    group: int,
    shuffle: bool,
    image_shape: tuple[int | None, ...],
    num_classes: int | None,
) -> tuple[tf.data.Dataset, int]:
    """Returns a dataset of elements of `group · batch_size` images, and `batch_size`.

    Args:
        x: float images, an array or a `tf.data.Dataset` of batches of them, in the
            latter with `(images, labels)` for a conditional model.
        y: labels, an array, if `x` is one and the model is conditional.
        batch_size: the size of a batch, or None: 64 for arrays, the size of the
            elements for datasets.
        group: how many batches an element holds.
        shuffle: whether to shuffle arrays, anew in each epoch.
        image_shape: the shape that the discriminator takes.
        num_classes: the number of classes, or None: labels are then dropped.

    Raises:
        TypeError: if `x` is neither.
        ValueError: if images or labels are not what the model takes.
    """
    if batch_size is not None and (
        not isinstance(batch_size, int)
        or isinstance(batch_size, bool)
        or batch_size < 1
    ):
        raise ValueError(
            "`batch_size` must be an integer of 1 or more. "
            f"Received: batch_size={batch_size!r}"
        )
    if isinstance(x, tf.data.Dataset):
        if y is not None:
            raise ValueError(
                "`y` must be None where `x` is a dataset: its elements are then "
                "`(images, labels)`."
            )
        return _from_dataset(x, batch_size, group, image_shape, num_classes)
    if isinstance(x, (np.ndarray, tf.Tensor)):
        batch_size = batch_size or _DEFAULT_BATCH_SIZE
        return _from_array(
            x, y, batch_size, group, shuffle, image_shape, num_classes
        ), batch_size
    raise TypeError(
        "`x` must be an array of images or a `tf.data.Dataset` of batches of images. "
        f"Received: x of type {type(x).__name__}"
    )


def _from_array(
    x: Any,
    y: Any,
    batch_size: int,
    group: int,
    shuffle: bool,
    image_shape: tuple[int | None, ...],
    num_classes: int | None,
) -> tf.data.Dataset:
    images = np.asarray(x)
    labels = None if y is None else np.asarray(y)
    _check_images(images, image_shape)
    _check_labels("`y`", labels, len(images), num_classes)
    count = group * batch_size
    if len(images) < count:
        raise ValueError(
            f"`x` must have at least {count} images, {group} batches of {batch_size} "
            "(`discriminator_steps` · `batch_size`), for one step. "
            f"Received: x of shape {images.shape}"
        )
    parts = images if num_classes is None else (images, labels)
    dataset = tf.data.Dataset.from_tensor_slices(parts)
    if shuffle:
        dataset = dataset.shuffle(len(images), seed=_SHUFFLE_SEED)
    dataset = dataset.batch(count, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def _from_dataset(
    dataset: tf.data.Dataset,
    batch_size: int | None,
    group: int,
    image_shape: tuple[int | None, ...],
    num_classes: int | None,
) -> tuple[tf.data.Dataset, int]:
    spec = dataset.element_spec
    if isinstance(spec, (tuple, list)) and len(spec) in (1, 2):
        labelled = len(spec) == 2
    elif isinstance(spec, tf.TensorSpec):
        labelled = False
    else:
        raise ValueError(
            "The elements of `x` must be images or `(images, labels)`. "
            f"Received: x with elements {spec}"
        )

    def unpack(*element: Any) -> Any:
        return element[:2] if num_classes is not None else element[0]

    first = next(iter(dataset.take(1)), None)
    if first is None:
        raise ValueError("`x` must not be empty. Received: a dataset without elements.")
    flat = tf.nest.flatten(first)
    images = np.asarray(flat[0])
    _check_images(images, image_shape)
    labels = np.asarray(flat[1]) if labelled else None
    _check_labels("The labels of `x`", labels, len(images), num_classes)

    dataset = dataset.map(unpack, num_parallel_calls=tf.data.AUTOTUNE)
    batch_size = batch_size or len(images)
    count = group * batch_size
    size = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    if size == batch_size and group > 1:
        # Unlike `rebatch`, keeps count of the elements that there will be.
        dataset = dataset.batch(group, drop_remainder=True).map(_join)
    elif size != count:
        dataset = dataset.rebatch(count, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE), batch_size


def without_end(
    dataset: tf.data.Dataset, steps_per_epoch: int | None
) -> tuple[tf.data.Dataset, int]:
    """Returns the dataset repeated for ever, and the steps of an epoch.

    For several workers. Where a dataset may end, `tf.distribute` gives each of them
    batches of unknown size, in case that some end before others.

    Raises:
        ValueError: if the number of steps is neither given nor known.
    """
    length = int(dataset.cardinality())
    if steps_per_epoch is None and length < 0:
        raise ValueError(
            "`steps_per_epoch` must be given in several workers for a dataset whose "
            "length isn't known. Received: steps_per_epoch=None"
        )
    return dataset.repeat(), steps_per_epoch or length


def given_labels(labels: Any, count: int, num_classes: int | None) -> tf.Tensor:
    """Returns the labels that `GAN.generate` was given.

    Raises:
        ValueError: if they are not `count` integers in `[0, num_classes)`, or there
            are no classes.
    """
    if num_classes is None:
        raise ValueError(
            "`labels` must be None for a GAN without classes. "
            f"Received: labels={labels!r}"
        )
    found = np.asarray(labels)
    _check_labels("`labels`", found, count, num_classes)
    return tf.constant(found.reshape(count), tf.int32)


def _join(*parts: tf.Tensor) -> Any:
    """Returns groups of batches, rank 1 more, as one batch each."""
    joined = tuple(
        tf.reshape(part, [part.shape[0] * part.shape[1], *part.shape[2:]])
        for part in parts
    )
    return joined if len(joined) > 1 else joined[0]


def _check_images(images: np.ndarray, image_shape: tuple[int | None, ...]) -> None:
    wanted = ("batch", *image_shape)
    shape = images.shape
    if (
        len(shape) != len(wanted)
        or 0 in shape
        or any(
            size is not None and size != got
            for size, got in zip(image_shape, shape[1:], strict=True)
        )
    ):
        raise ValueError(
            "`x` must have the shape that the discriminator takes, "
            f"({', '.join(str(size) for size in wanted)}). "
            f"Received: x of shape {shape}"
        )
    # Bytes, counts, texts and what else there is. NumPy has no kind for bfloat16.
    if images.dtype.kind != "f" and images.dtype.name != "bfloat16":
        raise ValueError(
            "`x` must be floats in [−1, 1], such as `x / 127.5 - 1`. "
            f"Received: x of dtype {images.dtype.name}"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= -1 - _TOLERANCE and high <= 1 + _TOLERANCE):
        raise ValueError(
            "`x` must lie in [−1, 1], such as `x / 127.5 - 1` for values from 0 to "
            f"255. Received: x with values from {low:g} to {high:g}"
        )
    if low >= 0 and high > 0.5:
        warnings.warn(
            f"The images' values lie in [{low:g}, {high:g}]; [−1, 1] is expected. If "
            "they were scaled to [0, 1], take `2 * x - 1`.",
            stacklevel=2,
        )


def _check_labels(
    what: str, labels: np.ndarray | None, count: int, num_classes: int | None
) -> None:
    if num_classes is None:
        return
    if labels is None:
        raise ValueError(
            "A conditional model needs labels: `y` beside an array, `(images, labels)` "
            "in a dataset. Received: no labels"
        )
    if labels.dtype.kind not in "iu" or labels.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"{what} must be integers of shape ({count},). "
            f"Received: labels of dtype {labels.dtype.name} and shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"{what} must lie in [0, {num_classes}), as `num_classes` says. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
