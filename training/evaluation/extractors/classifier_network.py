"""A small classifier, trained on a data set's own labels, as a feature extractor.

For work where the Inception weights can't be had. Its scores are called FCD and CS and
compare with those of the same classifier alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from training.evaluation.scores.checks import check_count, check_images, check_labels

FEATURES = 128
MINIMUM_STEPS = 500


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Attributes:
        images: uint8, shape (n, height, width, 1 or 3).
        labels: Integers from 0 to classes − 1, shape (n,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]

    def __post_init__(self) -> None:
        check_images("images", self.images)
        check_labels("labels", self.labels, len(self.images))

    @property
    def classes(self) -> int:
        """Number of classes, the largest label plus one."""
        return int(self.labels.max()) + 1

    def fingerprint(self) -> str:
        """Returns a hash of images and labels."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, np.int32).data)
        return digest.hexdigest()[:16]

    def split(self, seed: int, share: float = 0.2) -> tuple[LabelledImages, ...]:
        """Returns a training and a test part with the same share of each class."""
        random = np.random.RandomState(seed)
        test: NDArray[np.bool_] = np.zeros(len(self.images), bool)
        for label in np.unique(self.labels):
            members = random.permutation(np.flatnonzero(self.labels == label))
            test[members[: round(share * len(members))]] = True
        return tuple(
            LabelledImages(self.images[part], self.labels[part])
            for part in (~test, test)
        )


def build_classifier(
    image_shape: tuple[int, int, int], classes: int, seed: int = 0
) -> keras.Model:
    """Builds the network: convolutions and pooling down to 8 px, two dense layers.

    Args:
        image_shape: (height, width, channels).
        classes: Number of classes.
        seed: Seed of weights and dropout. Defaults to 0.

    Returns:
        A Functional model, images with values from 0 to 255 to `[features (n, 128),
        logits (n, classes)]`, about a million parameters.
    """
    seeds = itertools.count(100 * seed)

    def normalized(layer: type, *arguments: Any, **options: Any) -> keras.KerasTensor:
        y = layer(
            *arguments,
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
            **options,
        )(x)
        # Short trainings: the statistics must follow within a few hundred steps.
        y = keras.layers.BatchNormalization(momentum=0.9)(y)
        return keras.layers.ReLU()(y)

    images = keras.Input(image_shape, name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(images)
    filters = 32
    while min(x.shape[1:3]) > 8:
        x = normalized(keras.layers.Conv2D, filters, 3, padding="same")
        x = keras.layers.MaxPooling2D()(x)
        filters = min(2 * filters, 128)
    x = normalized(keras.layers.Conv2D, filters, 3, padding="same")
    x = keras.layers.Dropout(0.3, seed=next(seeds))(keras.layers.Flatten()(x))
    features = x = normalized(keras.layers.Dense, FEATURES)
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        name="logits",
    )(x)
    return keras.Model(images, [features, logits], name="classifier")


def train_classifier(
    train: LabelledImages,
    seed: int = 0,
    batch_size: int = 128,
    epochs: int = 6,
    learning_rate: float = 1e-3,
    progress: Callable[[int, int, float], None] | None = None,
) -> keras.Model:
    """Trains the classifier with shifted images and a cosine-decayed Adam.

    Args:
        train: The training images.
        seed: Seed of weights, order and shifts. Defaults to 0.
        batch_size: Images a step. Defaults to 128.
        epochs: Passes over the data. Defaults to 6; small sets get as many as make
            500 steps.
        learning_rate: The first rate. Defaults to 1e-3.
        progress: Called as `progress(step, steps, loss)`.

    Returns:
        The model of `build_classifier`, trained.
    """
    check_count("batch_size", batch_size)
    check_count("epochs", epochs)
    model = build_classifier(train.images.shape[1:], train.classes, seed)
    batch_size = min(batch_size, len(train.images))
    steps = max(MINIMUM_STEPS, epochs * (len(train.images) // batch_size))
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    )
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            _, logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    for index, (images, labels) in enumerate(
        _shuffled(train, batch_size, seed).take(steps)
    ):
        loss = step(images, labels)
        if progress is not None and (index % 20 == 0 or index + 1 == steps):
            progress(index + 1, steps, float(loss))
    return model


def accuracy(model: keras.Model, data: LabelledImages, batch_size: int = 500) -> float:
    """Returns the share of images whose class the classifier names."""
    right = 0
    for start in range(0, len(data.images), batch_size):
        part = slice(start, start + batch_size)
        _, logits = model(data.images[part].astype(np.float32), training=False)
        right += int((np.argmax(logits, axis=1) == data.labels[part]).sum())
    return right / len(data.images)


def _shuffled(data: LabelledImages, batch_size: int, seed: int) -> Any:
    """An endless dataset of shuffled batches, each image shifted by up to a pixel."""
    indices = tf.data.Dataset.range(len(data.images))
    indices = indices.shuffle(len(data.images), seed=seed).repeat()
    images, labels = tf.constant(data.images), tf.constant(data.labels, tf.int32)
    height, width, channels = data.images.shape[1:]

    def prepare(step: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.cast(tf.gather(images, index), tf.float32)
        batch = tf.pad(batch, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        key = tf.stack([tf.cast(seed, tf.int64), step])
        batch = tf.image.stateless_random_crop(
            batch, [batch_size, height, width, channels], key
        )
        return batch, tf.gather(labels, index)

    batches = indices.batch(batch_size, drop_remainder=True).enumerate()
    return batches.map(prepare, num_parallel_calls=2).prefetch(4)


def as_labelled(images: ArrayLike, labels: ArrayLike) -> LabelledImages:
    """Returns arrays as `LabelledImages`."""
    return LabelledImages(np.asarray(images), np.asarray(labels, np.int32))
