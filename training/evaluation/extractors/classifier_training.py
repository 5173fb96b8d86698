"""The training of the classifier of `classifier_network.py`."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training import fast, values
from training.evaluation.extractors.classifier_network import (
    build_classifier,
    whiten,
    with_mirror_image,
)
from training.evaluation.scores.score_inputs import check_images, check_labels
from training.fast.bfloat16 import bfloat16_is_faster
from training.fast.form import placed
from training.fast.gradients import forgotten
from training.networks import precision

# Passes over the data, by the images' channels.
EPOCHS = {1: 12, 3: 18}
MINIMUM_STEPS = 200
# The share of each label that is spread over all classes.
LABEL_SMOOTHING = 0.2
# What the logits are multiplied by in the end. Smoothed labels leave a network unsure
# of what it knows, so that the classifier score of real images was 3.5 of 10. Of the
# factors 1, 1.5, 2, 2.5 and 3 this one gives CIFAR-10's test images the least
# cross-entropy (temperature scaling, Guo et al. 2017).
SHARPENING = 2.0
# Of the steps of what shifts normalised values: the layers behind wait for it.
SHIFT_RATE = 64.0


@dataclasses.dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Attributes:
        images: uint8, shape (n, height, width, 1 or 3).
        labels: integers from 0 to classes − 1, shape (n,).
        class_names: of all classes, where they are known.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int32]
    class_names: Sequence[str] | None = None

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
        if not test.any():
            raise ValueError(
                "A classifier needs a test split, or 3 images or more of a class, of "
                f"which some are held out. Received: {len(self.images)} images of "
                f"{self.classes} classes"
            )
        return tuple(
            LabelledImages(self.images[part], self.labels[part])
            for part in (~test, test)
        )


def train_classifier(
    train: LabelledImages,
    seed: int = 0,
    batch_size: int = 128,
    epochs: int | None = None,
    learning_rate: float = 0.1,
    policy: str | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> keras.Model:
    """Trains the classifier by SGD with one cycle of the learning rate.

    Images are shifted, and those with colours mirrored too, in each second pass; about
    these the model answers by the mean of an image and its mirror image.

    Args:
        train: the training images.
        seed: seed of weights, order and shifts. Defaults to 0.
        batch_size: images a step. Defaults to 128.
        epochs: passes over the data. `None`: 12 for grey images, 18 for colours. Small
            sets get as many as make 200 steps.
        learning_rate: the highest rate, after a fifth of the steps. Defaults to 0.1.
        policy: a Keras dtype policy to train by, `"float32"` or `"mixed_bfloat16"`;
            `None`: the one whose matrix products are faster here. What is returned
            computes in float32.
        progress: called as `progress(step, steps, loss)`.

    Returns:
        The model of `build_classifier`, trained; for colours within that of
        `with_mirror_image`.
    """
    batch_size = values.integer("batch_size", batch_size)
    channels = train.images.shape[-1]
    epochs = EPOCHS[channels] if epochs is None else values.integer("epochs", epochs)
    policy = policy or faster_policy()
    shape, classes = train.images.shape[1:], train.classes
    with precision.policy(policy):
        model = build_classifier(shape, classes, seed)
    whiten(model, train.images)
    batch_size = min(batch_size, len(train.images))
    steps = max(MINIMUM_STEPS, epochs * (len(train.images) // batch_size))
    optimizer = keras.optimizers.SGD(
        OneCycle(learning_rate, steps),
        momentum=0.9,
        nesterov=True,
        # Keras applies it beside the momentum, so that it is ten times what it would be
        # as a part of the loss.
        weight_decay=1.3e-2,
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            _, logits = model(images, training=True)
            loss = tf.reduce_mean(
                keras.losses.categorical_crossentropy(
                    tf.one_hot(labels, classes),
                    tf.cast(logits, tf.float32),
                    from_logits=True,
                    label_smoothing=LABEL_SMOOTHING,
                )
            )
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(
            [
                SHIFT_RATE * gradient if variable.name == "beta" else gradient
                for gradient, variable in zip(
                    gradients, model.trainable_variables, strict=True
                )
            ]
        )
        return loss

    with placed(fast.forms(model, optimizer)), forgotten():
        for index, (images, labels) in enumerate(
            _shuffled(train, batch_size, seed).take(steps), 1
        ):
            loss = step(images, labels)
            if progress is not None and (index % 20 == 1 or index == steps):
                progress(index, steps, float(loss))
    trained = build_classifier(shape, classes)
    trained.set_weights(model.get_weights())
    logits = trained.get_layer("logits")
    logits.set_weights([SHARPENING * weights for weights in logits.get_weights()])
    # Mirrored digits and letters are other signs, or none.
    return with_mirror_image(trained) if channels == 3 else trained


def faster_policy() -> str:
    """Returns the dtype policy whose matrix products are faster here."""
    return "mixed_bfloat16" if bfloat16_is_faster() else "float32"


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

    Only colours are mirrored.
    """
    indices = tf.data.Dataset.range(len(data.images))
    indices = indices.shuffle(len(data.images), seed=seed).repeat()
    images, labels = tf.constant(data.images), tf.constant(data.labels, tf.int32)
    height, width, channels = data.images.shape[1:]
    shift = max(1, min(height, width) // 8)
    sides = tf.random.stateless_uniform([len(data.images)], [seed, 1]) < 0.5

    def prepare(step: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.cast(tf.gather(images, index), tf.float32)
        key = tf.stack([tf.cast(seed, tf.int64), step])
        batch = _shifted(batch, shift, key)
        if channels == 3:
            # An image that was mirrored in one pass isn't in the next (Jordan 2024,
            # section 3.6).
            odd = step * batch_size // len(data.images) % 2 == 1
            mirrored = tf.gather(sides, index) ^ odd
            batch = tf.where(
                mirrored[:, None, None, None], tf.reverse(batch, [2]), batch
            )
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
