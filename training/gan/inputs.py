"""What `GAN.fit` is given, checked, as elements that hold the batches of one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.gan import input_checks
from training.gan.wiring import Wiring

_DEFAULT_BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Order:
    """In which order an array's images come.

    Attributes:
        seed: of the order, or None: as they are.
        step: the steps that the model has taken.
        epoch: the first epoch, which may be ahead of them.
        steps_per_epoch: its steps. Defaults to those of a pass.
    """

    seed: int | None
    step: int = 0
    epoch: int = 0
    steps_per_epoch: int | None = None


@dataclasses.dataclass(frozen=True)
class Steps:
    """What `fit` runs on.

    Attributes:
        dataset: each element has the images (and labels) of a step.
        batch_size: images of an update of D.
        of_a_pass: the steps of a pass over the data where the dataset has no end, or
            None: it ends by itself.
    """

    dataset: tf.data.Dataset
    batch_size: int
    of_a_pass: int | None

    def check_executions(self, steps_per_epoch: int | None, together: int) -> None:
        """Raises a ValueError if Keras would go beyond an epoch's last step.

        Args:
            steps_per_epoch: the steps of an epoch, or None: as many as there are.
            together: `steps_per_execution`.
        """
        if (steps_per_epoch or 0) % together:
            raise ValueError(
                f"`steps_per_epoch` must be a multiple of `steps_per_execution`, "
                f"{together}. Received: steps_per_epoch={steps_per_epoch} (by default, "
                "for an array, those of a pass)"
            )


def of(
    x: Any, y: Any, batch_size: int | None, group: int, wiring: Wiring, order: Order
) -> Steps:
    """Returns the steps of what `GAN.fit` is given.

    Args:
        x: an array of images, or a dataset of batches.
        y: labels, an array, if `x` is one and the model is conditional.
        batch_size: the size of a batch. Defaults to 64 for arrays and to that of a
            dataset's elements.
        group: batches in a step, `discriminator_steps`.
        wiring: says what the networks take; without classes labels are dropped.
        order: of an array's images.

    Raises:
        TypeError: if `x` is neither.
        ValueError: if images or labels are not what the model takes.
    """
    if isinstance(x, (np.ndarray, tf.Tensor)):
        return of_array(x, y, batch_size or _DEFAULT_BATCH_SIZE, group, wiring, order)
    if not isinstance(x, (tf.data.Dataset, keras.utils.PyDataset)):
        raise TypeError(
            "`x` must be an array of images or a `tf.data.Dataset` of batches of "
            f"images. Received: x of type {type(x).__name__}"
        )
    if y is not None:
        raise ValueError(
            "`y` must be None where `x` is a dataset: its elements are then "
            "`(images, labels)`. "
            f"Received: y of type {type(y).__name__}"
        )
    return of_dataset(x, batch_size, group, wiring)


def of_array(
    x: Any, y: Any, batch_size: int, group: int, wiring: Wiring, order: Order
) -> Steps:
    """Returns steps of an array of images, without end.

    The images of a step are a function of the seed and the step: each pass over the
    array has another order, and where it doesn't come out even leaves out others.
    """
    images = np.asarray(x)
    labels = None if y is None else np.asarray(y)
    input_checks.images(images, wiring.image_shape)
    input_checks.labels("`y`", labels, len(images), wiring.num_classes)
    count = group * batch_size
    if len(images) < count:
        raise too_few(group, batch_size, f"x of shape {images.shape}")
    of_a_pass = len(images) // count
    with tf.device("CPU"):
        parts = [tf.constant(images)]
        if wiring.num_classes is not None:
            parts.append(tf.constant(labels))

    def element(step: tf.Tensor) -> Any:
        rows = tf.range(count, dtype=tf.int64) + step % of_a_pass * count
        if order.seed is not None:
            # Keys that differ by little give orders that are much alike.
            key = tf.random.stateless_uniform(
                [2], [order.seed, step // of_a_pass], None, None, tf.int32
            )
            last = tf.constant(len(images) - 1, tf.int64)
            rows = tf.random.experimental.index_shuffle(rows, key, last)
            rows = tf.ensure_shape(rows, [count])
        found = tuple(tf.gather(part, rows) for part in parts)
        return found if len(found) > 1 else found[0]

    start = max(order.step, order.epoch * (order.steps_per_epoch or of_a_pass))
    dataset = tf.data.Dataset.counter(start)
    dataset = dataset.map(element, num_parallel_calls=tf.data.AUTOTUNE)
    return Steps(dataset.prefetch(tf.data.AUTOTUNE), batch_size, of_a_pass)


def of_dataset(
    dataset: Any, batch_size: int | None, group: int, wiring: Wiring
) -> Steps:
    """Returns steps of a dataset of batches.

    The first batch is checked before anything is trained, the others as they come.
    """
    first = None
    if isinstance(dataset, keras.utils.PyDataset):
        dataset, first = _of_py_dataset(dataset)
    spec = dataset.element_spec
    labelled = isinstance(spec, (tuple, list)) and len(spec) == 2
    parts = spec if isinstance(spec, (tuple, list)) else (spec,)
    plain = all(isinstance(part, tf.TensorSpec) for part in parts)
    if not plain or len(parts) not in (1, 2):
        raise ValueError(
            "The elements of `x` must be images or `(images, labels)`, without "
            f"weights of samples. Received: x with elements {spec}"
        )
    if first is None:
        first = next(iter(dataset.take(1)), None)
    if first is None:
        raise ValueError("`x` must not be empty. Received: a dataset without elements.")
    flat = tf.nest.flatten(first)
    images = np.asarray(flat[0])
    input_checks.images(images, wiring.image_shape)
    labels = np.asarray(flat[1]) if labelled else None
    input_checks.labels("The labels of `x`", labels, len(images), wiring.num_classes)

    def checked(*element: Any) -> Any:
        shape = [None, *wiring.image_shape]
        element = (tf.ensure_shape(element[0], shape), *element[1:])
        found = input_checks.in_graph(element, wiring.num_classes)
        return found[:2] if wiring.num_classes is not None else found[0]

    dataset = dataset.map(checked, num_parallel_calls=tf.data.AUTOTUNE)
    batch_size = batch_size or len(images)
    count = group * batch_size
    size = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    if size == batch_size and group > 1:
        # Unlike `rebatch`, keeps count of the elements that there will be.
        dataset = dataset.batch(group, drop_remainder=True).map(_join)
    elif size != count:
        dataset = dataset.rebatch(count, drop_remainder=True)
    return Steps(dataset.prefetch(tf.data.AUTOTUNE), batch_size, None)


def too_few(group: int, batch_size: int, received: str) -> ValueError:
    """Returns what to raise where there are too few images for one step."""
    return ValueError(
        f"`x` must have at least {group * batch_size} images, {group} batches of "
        f"{batch_size} (`discriminator_steps` · `batch_size`), for one step. "
        f"Received: {received}"
    )


def without_end(steps: Steps, steps_per_epoch: int | None) -> tuple[Steps, int]:
    """Returns the steps repeated for ever, and the number of an epoch.

    For several workers. Where a dataset may end, `tf.distribute` gives each of them
    batches of unknown size, in case that some end before others.

    Raises:
        ValueError: if the number of steps is neither given nor known.
    """
    length = steps.of_a_pass or int(steps.dataset.cardinality())
    if steps_per_epoch is None and length < 0:
        raise ValueError(
            "`steps_per_epoch` must be given in several workers for a dataset whose "
            "length isn't known. Received: steps_per_epoch=None"
        )
    if steps.of_a_pass is None:
        steps = dataclasses.replace(steps, dataset=steps.dataset.repeat())
    return steps, steps_per_epoch or length


def _of_py_dataset(dataset: keras.utils.PyDataset) -> tuple[tf.data.Dataset, Any]:
    """Returns the batches of a Keras `PyDataset` with a length, and the first one."""
    if dataset.num_batches is None:
        raise ValueError(
            "`x` must have a known number of batches, its `__len__`. Received: "
            f"{type(dataset).__name__} of `num_batches` None"
        )

    def batch(index: int) -> Any:
        found = dataset[index]
        if not isinstance(found, (tuple, list)):
            return found
        # A list is a tuple to Keras, and labels of None are none.
        return tuple(part for part in found if part is not None)

    def batches() -> Iterator[Any]:
        dataset.on_epoch_begin()
        for i in range(len(dataset)):
            yield batch(i)
        dataset.on_epoch_end()

    def spec(part: Any) -> tf.TensorSpec:
        array = np.asarray(part)
        return tf.TensorSpec([None, *array.shape[1:]], array.dtype)

    first = batch(0)
    found = tf.data.Dataset.from_generator(
        batches, output_signature=tf.nest.map_structure(spec, first)
    )
    length = tf.data.experimental.assert_cardinality(len(dataset))
    return found.apply(length), first


def _join(*parts: tf.Tensor) -> Any:
    """Returns groups of batches, rank 1 more, as one batch each."""
    joined = tuple(
        tf.reshape(part, [part.shape[0] * part.shape[1], *part.shape[2:]])
        for part in parts
    )
    return joined if len(joined) > 1 else joined[0]
