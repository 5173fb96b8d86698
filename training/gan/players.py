"""G and D as a training step calls them."""

from __future__ import annotations

import keras
import tensorflow as tf

from training.gan import wiring
from training.gan.wiring import Wiring


class Players:
    """Calls the two networks in training mode; what they return is float32.

    Args:
        generator: as in `GAN`.
        discriminator: as in `GAN`.
        wired: what `wiring.connect` found about them.
        joint: whether D sees real and generated images in one call.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        wired: Wiring,
        joint: bool,
    ):
        self._generator = generator
        self._discriminator = discriminator
        self._takes_labels = wired.discriminator_takes_labels
        self._joint = joint

    def generate(self, latents: tf.Tensor, labels: tf.Tensor | None) -> tf.Tensor:
        """Returns G's images of latents and, with classes, labels."""
        inputs = latents if labels is None else [latents, labels]
        return tf.cast(self._generator(inputs, training=True), tf.float32)

    def discriminate(
        self, images: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns D's logits, and its class logits if it has a classifier."""
        inputs = [images, labels] if self._takes_labels else images
        logits, class_logits = wiring.split(self._discriminator(inputs, training=True))
        logits = tf.cast(logits, tf.float32)
        if class_logits is not None:
            class_logits = tf.cast(class_logits, tf.float32)
        return logits, class_logits

    def discriminate_both(
        self,
        real: tf.Tensor,
        labels: tf.Tensor | None,
        fake: tf.Tensor,
        fake_labels: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """Returns D's logits of real and of generated images, and the real's classes.

        A weight regularizer's loss counts once either way: `losses` are read once.
        """
        if not self._joint:
            fake_logits, _ = self.discriminate(fake, fake_labels)
            real_logits, class_logits = self.discriminate(real, labels)
            return real_logits, fake_logits, class_logits
        both_labels = None
        if labels is not None:
            labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
            both_labels = tf.concat([labels, fake_labels], axis=0)
        real = tf.cast(real, tf.float32)
        logits, class_logits = self.discriminate(
            tf.concat([real, fake], axis=0), both_labels
        )
        count = real.shape[0]
        if class_logits is not None:
            class_logits = class_logits[:count]
        return logits[:count], logits[count:], class_logits
