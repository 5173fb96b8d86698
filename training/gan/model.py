"""A GAN as a Keras model that trains in `fit`, under `tf.distribute` too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from training import values
from training.devices import strategies
from training.gan import compiling, draws, generated, hooks, inputs, wiring
from training.gan.gradient_penalty import GradientPenalty
from training.gan.input_checks import explained
from training.gan.keras_callbacks import adapted
from training.gan.losses import AdversarialLoss
from training.gan.step import Step


@keras.saving.register_keras_serializable(package="training")
class GAN(hooks.KerasModel):
    """Trains a generator G against a discriminator D.

    One step is one update of G, then `discriminator_steps` updates of D, each with a
    fresh batch of real and of generated images. The step, `fit`'s `steps_per_epoch` and
    the schedule of G's optimizer count updates of G, that of D's optimizer those of D.

    G's update watches G's weights alone and D's update D's, so that neither computes
    the other's gradient. Losses that layers add (regularizers) count in the update of
    their own network. Under `tf.distribute` batch sizes are global, gradients are
    those of the mean over the global batch, and latents are drawn for the global
    batch: one replica and several give the same weights. (Batch norm in D or G uses
    the statistics of each replica's share.)

    Latents are a function of `seed`, the step, the batch's size and the position in it,
    so a run that is stopped and carried on draws what it would have drawn.

    Args:
        generator: a model from latents, shape `(batch, latent_dim)`, to images; with
            classes, from `[latents, labels]`.
        discriminator: a model from images, or `[images, labels]`, to logits, shape
            `(batch, 1)`, `(batch,)` or, a logit a patch, `(batch, height, width, 1)`;
            with an auxiliary classifier, to a dict with the keys `"logits"` and
            `"class_logits"`.
        latent_dim: length of the latent vectors. Defaults to None: that of the
            generator's input, or 128 if it has none to show, as a subclassed model.
        discriminator_steps: updates of D per update of G, 1 or more. Defaults to 5.
        generator_batch_size: images in an update of G, in all replicas together.
            Defaults to None: as many as in an update of D. (The authors' code takes
            twice as many.)
        num_classes: number of classes of a conditional model. Labels for generated
            images are drawn uniformly. Defaults to None: no labels, or, for a
            generator with two inputs, the number that its embeddings and conditional
            norms have.
        discriminator_call: `"joint"` calls D once on real and generated images
            together, which is faster, `"separate"` on each apart. Defaults to
            `"auto"`: joint unless D has batch norm, whose statistics would mix.
        seed: seed of latents and labels. Defaults to 0.
        name: the model's name.

    Raises:
        TypeError: if a network is no Keras layer.
        ValueError: if an argument is out of its range, or the networks don't fit.

    Example:

    ```python
    from training import GAN
    from training.networks import cnn

    gan = GAN(
        cnn.generator(width_multiplier=0.25),
        cnn.discriminator(width_multiplier=0.25),
        discriminator_steps=1,
    )
    gan.compile("adam", "adam", loss="hinge")
    gan.fit(images, batch_size=64, epochs=1, verbose=0)
    samples = gan.generate(16)
    ```

    Source: Miyato et al., https://arxiv.org/abs/1802.05957, algorithm in section 4 and
    the order of updates of the authors' code.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        latent_dim: int | None = None,
        discriminator_steps: int = 5,
        generator_batch_size: int | None = None,
        num_classes: int | None = None,
        discriminator_call: str = "auto",
        seed: int = 0,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.generator = generator
        self.discriminator = discriminator
        self.discriminator_steps = values.integer(
            "discriminator_steps", discriminator_steps
        )
        self.generator_batch_size = values.integer_or_none(
            "generator_batch_size", generator_batch_size
        )
        calls = ("auto", "joint", "separate")
        self.discriminator_call = values.name(
            "discriminator_call", discriminator_call, calls
        )
        self.seed = values.integer("seed", seed, 0, 2**63 - 1)
        self._wiring = wiring.connect(
            generator,
            discriminator,
            values.integer_or_none("latent_dim", latent_dim),
            values.integer_or_none("num_classes", num_classes),
        )
        self.latent_dim = self._wiring.latent_dim
        self.num_classes = self._wiring.num_classes
        self._prepare()

    def compile(
        self,
        generator_optimizer: Any,
        discriminator_optimizer: Any,
        loss: str | AdversarialLoss = "hinge",
        gradient_penalty: float | GradientPenalty | None = None,
        classifier_weights: tuple[float, float] = (1.0, 0.1),
        augmentation: Callable[[tf.Tensor, draws.At], tf.Tensor] | None = None,
        fast: bool = True,
        auto_scale_loss: bool = True,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Sets optimizers and losses.

        Args:
            generator_optimizer: a Keras optimizer, its name or config.
            discriminator_optimizer: another one.
            loss: `"hinge"`, `"standard"`, `"wasserstein"`, an `AdversarialLoss`, or
                two functions: D's loss of the logits of real and of generated images,
                and G's of those of generated ones, each a mean.
            gradient_penalty: None, λ, or a `GradientPenalty`; added to D's loss.
            classifier_weights: weights of the auxiliary classifier's cross-entropy,
                on real images in D's loss and on generated ones in G's. The defaults
                are those of Gulrajani et al. for AC-WGAN-GP.
            augmentation: a function of images and a `draws.At` that D sees all images
                through, real and generated, in both updates; see `Step.augment`.
                Defaults to None.
            fast: whether `call` of the networks' Keras layers and Adam's update are
                the faster functions of `training.fast` for the time of a step, with
                the same results to rounding.
            auto_scale_loss: whether each optimizer is wrapped in a Keras
                `LossScaleOptimizer` if a layer has the policy `mixed_float16`.
            run_eagerly: as in `keras.Model.compile`.
            steps_per_execution: as in `keras.Model.compile`.
            jit_compile: whether to compile the step by XLA. Defaults to `"auto"`:
                on one GPU or TPU alone: it is slower on the CPU.

        Raises:
            TypeError: if an argument is of another kind.
            ValueError: if the loss is unknown, both optimizers are one object, or a
                penalty is asked for while D has batch norm.
        """
        chosen = compiling.Arguments(
            generator_optimizer=generator_optimizer,
            discriminator_optimizer=discriminator_optimizer,
            loss=loss,
            gradient_penalty=gradient_penalty,
            classifier_weights=classifier_weights,
            augmentation=augmentation,
            fast=fast,
            auto_scale_loss=auto_scale_loss,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        if chosen.auto_scale_loss:
            chosen.scale_losses(self.generator, self.discriminator)
        step = Step(
            self.generator,
            self.discriminator,
            self._wiring,
            joint=self._wiring.joint(self.discriminator_call),
            generator_optimizer=chosen.generator_optimizer,
            discriminator_optimizer=chosen.discriminator_optimizer,
            loss=chosen.loss,
            gradient_penalty=chosen.gradient_penalty,
            classifier_weights=chosen.classifier_weights,
            augment=chosen.augmentation,
            discriminator_steps=self.discriminator_steps,
            generator_batch_size=self.generator_batch_size,
            seed=self.seed,
        )
        self._take(step, chosen)

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        shuffle: bool = True,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        **others: Any,
    ) -> keras.callbacks.History:
        """Trains on real images.

        A step takes `discriminator_steps` batches, to which the elements of a dataset
        are joined unless they have that size already. Images and labels of
        an unfinished last step are dropped, of an array others in each pass; the next
        `fit` goes on where the last one stopped. Image `i` of an element belongs to D's
        update `i % discriminator_steps`, however many replicas share the element.

        Args:
            x: real images in [−1, 1], floats: an array of shape `(images, height,
                width, channels)`, or a `tf.data.Dataset` or Keras `PyDataset` of
                batches of them, the first of which is read twice; for a conditional
                model, of `(images, labels)`.
            y: integer labels of shape `(images,)`, if `x` is an array.
            batch_size: real images in an update of D, in all replicas together.
                Defaults to 64 for arrays and to the size of a dataset's elements.
            epochs: as in `keras.Model.fit`.
            verbose: as in `keras.Model.fit`.
            callbacks: as in `keras.Model.fit`; docs/callbacks.md says what each of
                Keras' own does here.
            shuffle: whether to shuffle arrays, anew in each pass, by `seed`.
            initial_epoch: as in `keras.Model.fit`.
            steps_per_epoch: as in `keras.Model.fit`.
            **others: none; what else `keras.Model.fit` takes is refused.

        Returns:
            Keras' `History`: `generator_loss`, `discriminator_loss`, means of an epoch.

        Raises:
            TypeError: if `x` is neither an array nor a dataset.
            ValueError: if images or labels are not what the networks take.
        """
        hooks.refuse(others)
        epochs = values.integer("epochs", epochs)
        batch_size = values.integer_or_none("batch_size", batch_size)
        initial_epoch = values.integer("initial_epoch", initial_epoch, 0)
        steps_per_epoch = values.integer_or_none("steps_per_epoch", steps_per_epoch)
        seed = self.seed if values.boolean("shuffle", shuffle) else None
        order = inputs.Order(seed, self.step, initial_epoch, steps_per_epoch)
        group = self.discriminator_steps
        data = inputs.of(x, y, batch_size, group, self._wiring, order)
        strategy = self.distribute_strategy
        sizes = {"generator_batch_size": self.generator_batch_size}
        strategies.check_shares(strategy, batch_size=data.batch_size, **sizes)
        steps_per_epoch = steps_per_epoch or data.of_a_pass
        data.check_executions(steps_per_epoch, self.steps_per_execution)
        if strategies.position(strategy)[1] > 1:
            data, steps_per_epoch = inputs.without_end(data, steps_per_epoch)
        self._trace_for(data.dataset.element_spec)
        with warnings.catch_warnings(), explained():
            if steps_per_epoch is None:  # said of each dataset of unknown length
                warnings.filterwarnings("ignore", "Your input ran out of data")
            history = super().fit(
                data.dataset,
                epochs=epochs,
                verbose=verbose,
                callbacks=adapted(callbacks),
                shuffle=False,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
            )
        if not (history.history or self.stop_training or epochs <= initial_epoch):
            raise inputs.too_few(group, data.batch_size, "a dataset of fewer")
        return history

    def generate(self, count: int, seed: int = 0, labels: Any = None) -> Any:
        """Returns images that G makes of latents drawn with `seed`.

        Args:
            count: how many.
            seed: seed of the latents and of the labels.
            labels: for a conditional model, integers of shape `(count,)`, or None to
                draw them uniformly.

        Returns:
            A NumPy array of float32 in [−1, 1]: `(count, height, width, channels)`.
        """
        return generated.drawn(
            self.generator, self.latent_dim, self.num_classes, count, seed, labels
        )

    def averaged_generator(self) -> keras.Model | None:
        """Returns a copy of G with the averages of its weights.

        Returns:
            A model of its own, or None unless `generator_optimizer` was made with
            `use_ema=True`. Statistics of batch norm are G's own.
        """
        return generated.averaged(self.generator, self.generator_optimizer)
