"""One training step: what is drawn, both updates, and how they call the networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from training import keras_private
from training.fast import forms as faster
from training.fast.centring import forms as centred
from training.fast.form import Form
from training.gan import draws, losses, wiring
from training.gan.gradient_penalty import GradientPenalty
from training.gan.losses import AdversarialLoss
from training.gan.wiring import Wiring

Augment = Callable[[tf.Tensor, draws.At], tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One update of G, then `discriminator_steps` of D.

    Each update watches its own network's weights alone, calls both networks in
    training mode, and computes the loss in float32. Under `tf.distribute` a replica
    has its share of the batch, and its loss is divided by the number of replicas:
    gradients are summed, and so are those of the mean over the global batch.

    Attributes:
        generator: G.
        discriminator: D.
        wiring: what `wiring.connect` found about them.
        joint: whether D sees real and generated images in one call.
        generator_optimizer: built for G's weights.
        discriminator_optimizer: built for D's.
        loss: what both minimize.
        gradient_penalty: added to D's loss, or None.
        classifier_weights: of the classifier's cross-entropy, in D's and in G's loss.
        augment: a function of images of shape `(batch, height, width, channels)` and
            a `draws.At`, which D sees all images through, or None. It returns images
            of that shape, has a gradient, and draws its random numbers by
            `draws.uniform`, of which it gets others for each batch.
        discriminator_steps: updates of D.
        generator_batch_size: images in an update of G, in all replicas together, or
            None: as many as in an update of D.
        seed: seed of all that is drawn.

    Raises:
        ValueError: if there is a penalty while D has batch norm.
    """

    generator: keras.Model
    discriminator: keras.Model
    wiring: Wiring
    joint: bool
    generator_optimizer: keras.optimizers.Optimizer
    discriminator_optimizer: keras.optimizers.Optimizer
    loss: AdversarialLoss
    gradient_penalty: GradientPenalty | None
    classifier_weights: tuple[float, float]
    augment: Augment | None
    discriminator_steps: int
    generator_batch_size: int | None
    seed: int

    def __post_init__(self) -> None:
        penalty = self.gradient_penalty
        if penalty is not None and self.wiring.batch_norm_in_discriminator:
            raise ValueError(
                "`gradient_penalty` must be None for a discriminator with batch norm: "
                "D's output for an image then depends on the whole batch, and the "
                "gradient by one image is not what the penalty means. Layer norm "
                f"works. Received: gradient_penalty={penalty!r}"
            )

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Takes the step, and returns G's loss and those of D's updates.

        Args:
            images: this replica's real images, dealt to the updates of D.
            labels: their classes, if there are classes.

        Raises:
            ValueError: if their number is no multiple of `discriminator_steps`.
        """
        steps = self.discriminator_steps
        if images.shape[0] is None or images.shape[0] % steps:
            raise ValueError(
                "The images of a step must be a known multiple of "
                f"`discriminator_steps`, {steps}. Received: images of shape "
                f"{tuple(images.shape)}"
            )
        batch = images.shape[0] // steps
        images = tf.cast(images, tf.float32)
        if self.wiring.num_classes is not None:
            labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
        # Nothing else in G's update depends on the data: without this it would run
        # once more, before the iterator says that there are no more data.
        with tf.control_dependencies([images]):
            step = tf.identity(keras_private.updates(self.generator_optimizer).value)
        generator_loss = self.update_generator(draws.At(self.seed, step, 0), batch)
        discriminator_losses = []
        for i in range(steps):
            real = draws.dealt(images, steps, i)
            classes = None
            if self.wiring.num_classes is not None:
                classes = draws.dealt(labels, steps, i)
            at = draws.At(self.seed, step, i + 1)
            discriminator_losses.append(self.update_discriminator(at, real, classes))
        return generator_loss, discriminator_losses

    def forms(self, fast: bool) -> list[Form]:
        """Returns what layers and optimizers run by in a step.

        Args:
            fast: whether by the faster forms, too, which a step does without.
        """
        networks = (
            (self.generator, self.generator_optimizer),
            (self.discriminator, self.discriminator_optimizer),
        )
        found = [] if self.gradient_penalty is None else centred(self.discriminator)
        for network, optimizer in networks if fast else ():
            found += faster(network, optimizer)
        return found

    def update_generator(self, at: draws.At, batch: int) -> tf.Tensor:
        """Updates G once, and returns its loss.

        Args:
            at: when: what is drawn depends on it.
            batch: images of this replica, unless there is a `generator_batch_size`.
        """
        if self.generator_batch_size is not None:
            batch = self.generator_batch_size // _replicas()
        latents, labels = self._draw(at, batch)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            _watch(tape, self.generator)
            fake = self._augmented(self._generate(latents, labels), at, real=False)
            logits, class_logits = self._discriminate(fake, labels)
            loss = losses.scalar("generator", self.loss.generator(logits))
            if class_logits is not None:
                weight = self.classifier_weights[1]
                loss += weight * _cross_entropy(labels, class_logits)
            loss += _added_losses(self.generator)
            scaled = self.generator_optimizer.scale_loss(loss / _replicas())
        _apply(tape, scaled, self.generator, self.generator_optimizer)
        return loss

    def update_discriminator(
        self, at: draws.At, real: tf.Tensor, labels: tf.Tensor | None
    ) -> tf.Tensor:
        """Updates D once, and returns its loss.

        Args:
            at: when: what is drawn depends on it.
            real: this replica's real images.
            labels: their classes, if there are classes.
        """
        latents, fake_labels = self._draw(at, real.shape[0])
        fake = self._generate(latents, fake_labels)
        fake = self._augmented(fake, at, real=False)
        real = self._augmented(real, at, real=True)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            _watch(tape, self.discriminator)
            real_logits, fake_logits, class_logits, added = self._discriminate_both(
                real, labels, fake, fake_labels
            )
            loss = self.loss.discriminator(real_logits, fake_logits)
            loss = losses.scalar("discriminator", loss) + added
            if class_logits is not None:
                weight = self.classifier_weights[0]
                loss += weight * _cross_entropy(labels, class_logits)
            if self.gradient_penalty is not None:
                mix = draws.share(lambda total: draws.mix(at, total), real.shape[0])
                # With classes, the interpolated images count as of the real class.
                loss += self.gradient_penalty(
                    lambda images: _of_image(self._discriminate(images, labels)[0]),
                    real,
                    fake,
                    mix,
                )
            scaled = self.discriminator_optimizer.scale_loss(loss / _replicas())
        _apply(tape, scaled, self.discriminator, self.discriminator_optimizer)
        return loss

    def _draw(self, at: draws.At, count: int) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns this replica's latents, and labels if there are classes."""
        length, classes = self.wiring.latent_dim, self.wiring.num_classes
        latents = draws.share(lambda total: draws.latents(at, total, length), count)
        if classes is None:
            return latents, None
        return latents, draws.share(lambda all_: draws.labels(at, all_, classes), count)

    def _augmented(self, images: tf.Tensor, at: draws.At, real: bool) -> tf.Tensor:
        if self.augment is None:
            return images
        return self.augment(images, draws.of_images(at, real))

    def _generate(self, latents: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Returns G's images of latents and, with classes, labels."""
        inputs = latents if labels is None else [latents, labels]
        return tf.cast(self.generator(inputs, training=True), tf.float32)

    def _discriminate(
        self, images: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns D's logits, and its class logits if it has a classifier."""
        takes_labels = self.wiring.discriminator_takes_labels
        inputs = [images, labels] if takes_labels else images
        logits, class_logits = wiring.split(self.discriminator(inputs, training=True))
        logits = tf.cast(logits, tf.float32)
        if logits.shape.rank == 1:
            logits = logits[:, tf.newaxis]
        if class_logits is not None:
            class_logits = tf.cast(class_logits, tf.float32)
        return logits, class_logits

    def _discriminate_both(
        self,
        real: tf.Tensor,
        labels: tf.Tensor | None,
        fake: tf.Tensor,
        fake_labels: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor | float]:
        """Returns D's logits of real and generated images, the real's classes, losses.

        The last are those that layers add. A weight's counts once either way, and one
        of what a layer computes is the mean over real and generated images. They are
        read at once: the next call of D replaces them.
        """
        if not self.joint:
            fake_logits, _ = self._discriminate(fake, fake_labels)
            of_fake = _added_losses(self.discriminator)
            real_logits, class_logits = self._discriminate(real, labels)
            added = (of_fake + _added_losses(self.discriminator)) / 2
            return real_logits, fake_logits, class_logits, added
        both_labels = None
        if labels is not None:
            both_labels = tf.concat([labels, fake_labels], axis=0)
        logits, class_logits = self._discriminate(
            tf.concat([real, fake], axis=0), both_labels
        )
        count = real.shape[0]
        if class_logits is not None:
            class_logits = class_logits[:count]
        added = _added_losses(self.discriminator)
        return logits[:count], logits[count:], class_logits, added


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def _of_image(logits: tf.Tensor) -> tf.Tensor:
    """Returns a logit an image: of a map the mean over its positions."""
    axes = range(1, logits.shape.rank)
    return logits if len(axes) == 1 else tf.reduce_mean(logits, axes)


def _watch(tape: tf.GradientTape, network: keras.Model) -> None:
    for variable in network.trainable_variables:
        tape.watch(variable.value)


def _apply(
    tape: tf.GradientTape,
    loss: tf.Tensor,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> None:
    variables = network.trainable_variables
    if not variables:  # without any, Keras doesn't count the update
        keras_private.updates(optimizer).assign_add(1)
        return
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    optimizer.apply(gradients, variables)


def _added_losses(network: keras.Model) -> tf.Tensor | float:
    added = network.losses
    return tf.add_n([tf.cast(loss, tf.float32) for loss in added]) if added else 0.0


def _cross_entropy(labels: Any, class_logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, class_logits)
    )
