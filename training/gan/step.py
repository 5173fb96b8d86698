"""The two updates of a step: losses, gradients and what an optimizer makes of them.

Each watches its own network's weights alone. Under `tf.distribute` a replica has its
share of the batch, and its loss is divided by the number of replicas: gradients are
summed, and so are those of the mean over the global batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from training.gan import draws
from training.gan.players import Players

if TYPE_CHECKING:
    from training.gan.model import GAN


def update_generator(gan: GAN, players: Players, at: draws.At, batch: int) -> tf.Tensor:
    """Updates G once, and returns its loss.

    Args:
        gan: a compiled GAN.
        players: its networks.
        at: when: what is drawn depends on it.
        batch: images of this replica, unless the GAN has a `generator_batch_size`.
    """
    replicas = gan.distribute_strategy.num_replicas_in_sync
    if gan.generator_batch_size is not None:
        batch = gan.generator_batch_size // replicas
    latents, labels = _draw(gan, at, batch)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        _watch(tape, gan.generator)
        fake = players.generate(latents, labels)
        logits, class_logits = players.discriminate(fake, labels)
        loss = gan.adversarial_loss.generator(logits)
        if class_logits is not None:
            loss += gan.classifier_weights[1] * _cross_entropy(labels, class_logits)
        loss += _added_losses(gan.generator)
        scaled = gan.generator_optimizer.scale_loss(loss / replicas)
    _apply(tape, scaled, gan.generator, gan.generator_optimizer)
    return loss


def update_discriminator(
    gan: GAN,
    players: Players,
    at: draws.At,
    real: tf.Tensor,
    labels: tf.Tensor | None,
) -> tf.Tensor:
    """Updates D once, and returns its loss.

    Args:
        gan: a compiled GAN.
        players: its networks.
        at: when: what is drawn depends on it.
        real: this replica's real images.
        labels: their classes, if the GAN has classes.
    """
    replicas = gan.distribute_strategy.num_replicas_in_sync
    latents, fake_labels = _draw(gan, at, real.shape[0])
    fake = players.generate(latents, fake_labels)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        _watch(tape, gan.discriminator)
        real_logits, fake_logits, class_logits = players.discriminate_both(
            real, labels, fake, fake_labels
        )
        loss = gan.adversarial_loss.discriminator(real_logits, fake_logits)
        if class_logits is not None:
            loss += gan.classifier_weights[0] * _cross_entropy(labels, class_logits)
        # Read before the penalty's call of D, which would replace them.
        loss += _added_losses(gan.discriminator)
        if gan.gradient_penalty is not None:
            mix = _share(lambda total: draws.mix(at, total), real.shape[0])
            # With classes, the interpolated images count as of the real class.
            loss += gan.gradient_penalty(
                lambda images: players.discriminate(images, labels)[0], real, fake, mix
            )
        scaled = gan.discriminator_optimizer.scale_loss(loss / replicas)
    _apply(tape, scaled, gan.discriminator, gan.discriminator_optimizer)
    return loss


def _draw(gan: GAN, at: draws.At, count: int) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Returns this replica's latents, and labels if there are classes."""
    classes = gan.num_classes
    latents = _share(lambda total: draws.latents(at, total, gan.latent_dim), count)
    if classes is None:
        return latents, None
    return latents, _share(lambda total: draws.labels(at, total, classes), count)


def _share(draw: Callable[[int], tf.Tensor], count: int) -> tf.Tensor:
    """Returns this replica's `count` rows of what is drawn for all replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    drawn = draw(count * replicas)
    if replicas == 1:
        return drawn
    context = tf.distribute.get_replica_context()
    start = tf.cast(context.replica_id_in_sync_group, tf.int32) * count
    begin = [start] + [0] * (len(drawn.shape) - 1)
    return tf.slice(drawn, begin, [count, *drawn.shape[1:]])


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
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    optimizer.apply(gradients, variables)


def _added_losses(network: keras.Model) -> tf.Tensor | float:
    added = network.losses
    return tf.add_n([tf.cast(loss, tf.float32) for loss in added]) if added else 0.0


def _cross_entropy(labels: tf.Tensor, class_logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.reshape(labels, [-1]), class_logits
        )
    )
