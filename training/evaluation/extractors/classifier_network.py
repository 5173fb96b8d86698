"""A small residual network, trained on a data set's own labels, to score by.

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
from numpy.typing import NDArray

from training import fast, values
from training.evaluation.scores.score_inputs import check_images, check_labels
from training.fast.form import placed
from training.fast.gradients import forgotten

# By the images' channels: colours need a wider network, and more passes, than digits
# and clothes do.
WIDTHS = {1: 32, 3: 48}
EPOCHS = {1: 6, 3: 12}
MINIMUM_STEPS = 200


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Attributes:
        images: uint8, shape (n, height, width, 1 or 3).
        labels: integers from 0 to classes − 1, shape (n,).
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
    """Builds the network: three times a convolution, pooling and a residual block.

    Args:
        image_shape: (height, width, channels). Images of 64 px and more are first made
            smaller by a convolution with strides.
        classes: number of classes.
        seed: seed of the weights. Defaults to 0.

    Returns:
        A Functional model, images with values from 0 to 255 to `[features (n, d),
        logits (n, classes)]`. d is 128 for grey images (half a million parameters)
        and 192 for colours (a million).
    """
    seeds = itertools.count(100 * seed)

    def convolution(x: keras.KerasTensor, filters: int, stride: int = 1) -> Any:
        x = keras.layers.Conv2D(
            filters,
            max(3, stride),
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(next(seeds)),
        )(x)
        # Short trainings: the statistics must follow within a few hundred steps.
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        return keras.layers.ReLU()(x)

    images = keras.Input(image_shape, name="images")
    x = keras.layers.Rescaling(1 / 64, offset=-2.0)(images)
    width = WIDTHS[image_shape[2]]
    for stage, filters in enumerate((width, 2 * width, 4 * width)):
        stride = 1 if stage else max(1, min(image_shape[:2]) // 32)
        x = convolution(x, filters, stride)
        if min(x.shape[1:3]) > 4:
            x = keras.layers.MaxPooling2D()(x)
        residual = convolution(convolution(x, filters), filters)
        x = keras.layers.Add()([x, residual])
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    logits = keras.layers.Dense(
        classes,
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        name="logits",
    )(features)
    return keras.Model(images, [features, logits], name="classifier")


def train_classifier(
    train: LabelledImages,
    seed: int = 0,
    batch_size: int = 128,
    epochs: int | None = None,
    learning_rate: float = 0.1,
    progress: Callable[[int, int, float], None] | None = None,
) -> keras.Model:
    """Trains the classifier by SGD with one cycle of the learning rate.

    Images are shifted, and those with colours mirrored too. All is float32: on
    processors with bfloat16 in AVX512 alone a step takes 1.6 times as long with it.

    Args:
        train: the training images.
        seed: seed of weights, order and shifts. Defaults to 0.
        batch_size: images a step. Defaults to 128.
        epochs: passes over the data; `None`: 6 for grey images, 12 for colours. Small
            sets get as many as make 200 steps.
        learning_rate: the highest rate, after a fifth of the steps. Defaults to 0.1.
        progress: called as `progress(step, steps, loss)`.

    Returns:
        The model of `build_classifier`, trained.
    """
    if epochs is None:
        epochs = EPOCHS[train.images.shape[-1]]
    batch_size = values.integer("batch_size", batch_size)
    epochs = values.integer("epochs", epochs)
    model = build_classifier(train.images.shape[1:], train.classes, seed)
    batch_size = min(batch_size, len(train.images))
    steps = max(MINIMUM_STEPS, epochs * (len(train.images) // batch_size))
    optimizer = keras.optimizers.SGD(
        OneCycle(learning_rate, steps),
        momentum=0.9,
        nesterov=True,
        # Keras applies it beside the momentum: ten times as much is the usual 5e-4.
        weight_decay=5e-3,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
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

    with placed(fast.forms(model, optimizer)), forgotten():
        for index, (images, labels) in enumerate(
            _shuffled(train, batch_size, seed).take(steps), 1
        ):
            loss = step(images, labels)
            if progress is not None and (index % 20 == 1 or index == steps):
                progress(index, steps, float(loss))
    return model


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from 0 over the first fifth of the steps, and falls to 0 over the others.

    Args:
        highest: the rate in between.
        steps: all steps.
    """

    def __init__(self, highest: float, steps: int) -> None:
        self.highest = highest
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step."""
        done = (keras.ops.cast(step, "float32") + 0.5) / self.steps
        return self.highest * keras.ops.minimum(done / 0.2, (1 - done) / 0.8)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"highest": self.highest, "steps": self.steps}


def accuracy(model: keras.Model, data: LabelledImages, batch_size: int = 500) -> float:
    """Returns the share of images whose class the classifier names."""
    right = 0
    for start in range(0, len(data.images), batch_size):
        part = slice(start, start + batch_size)
        _, logits = model(data.images[part].astype(np.float32), training=False)
        right += int((np.argmax(logits, axis=1) == data.labels[part]).sum())
    return right / len(data.images)


def _shuffled(data: LabelledImages, batch_size: int, seed: int) -> Any:
    """An endless dataset of shuffled batches, shifted and perhaps mirrored.

    Only colours are mirrored: mirrored digits and letters are other signs, or none.
    """
    indices = tf.data.Dataset.range(len(data.images))
    indices = indices.shuffle(len(data.images), seed=seed).repeat()
    images, labels = tf.constant(data.images), tf.constant(data.labels, tf.int32)
    height, width, channels = data.images.shape[1:]
    shift = max(1, min(height, width) // 16)

    def prepare(step: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.cast(tf.gather(images, index), tf.float32)
        key = tf.stack([tf.cast(seed, tf.int64), step])
        batch = _shifted(batch, shift, key)
        if channels == 3:
            # Not by `random_flip`, which takes an image at a time.
            coins = tf.random.stateless_uniform([batch_size, 1, 1, 1], key + 1) < 0.5
            batch = tf.where(coins, tf.reverse(batch, [2]), batch)
        return batch, tf.gather(labels, index)

    batches = indices.batch(batch_size, drop_remainder=True).enumerate()
    return batches.map(prepare, num_parallel_calls=2).prefetch(4)


def _shifted(batch: tf.Tensor, shift: int, key: tf.Tensor) -> tf.Tensor:
    """Shifts each image by up to `shift` pixels, with mirrored edges."""
    size, height, width, _ = batch.shape
    pads = [[0, 0], [shift, shift], [shift, shift], [0, 0]]
    offsets = tf.random.stateless_uniform(
        [2, size], key, 0, 2 * shift + 1, dtype=tf.int32
    )
    rows = offsets[0][:, None] + tf.range(height)
    columns = offsets[1][:, None] + tf.range(width)
    batch = tf.gather(tf.pad(batch, pads, "SYMMETRIC"), rows, axis=1, batch_dims=1)
    return tf.gather(batch, columns, axis=2, batch_dims=1)
