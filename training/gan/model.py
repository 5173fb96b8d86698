"""A GAN as a Keras model that trains in `fit`, under `tf.distribute` too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training import keras_private, values
from training.devices import strategies
from training.fast import form
from training.gan import compiling, draws, generated, wiring
from training.gan import inputs as batches
from training.gan.gradient_penalty import GradientPenalty
from training.gan.losses import AdversarialLoss
from training.gan.step import Step

_DISCRIMINATOR_CALLS = ("auto", "joint", "separate")
_NETWORKS = ("generator", "discriminator")
_ARGUMENTS = (
    "name",
    *_NETWORKS,
    "latent_dim",
    "discriminator_steps",
    "generator_batch_size",
    "num_classes",
    "discriminator_call",
    "seed",
)


@keras.saving.register_keras_serializable(package="training")
class GAN(keras.Model):
    """Trains a generator G against a discriminator D.

    One step is one update of G, then `discriminator_steps` updates of D, each with a
    fresh batch of real and of generated images. The step, the learning rate schedule
    and `fit`'s `steps_per_epoch` count updates of G.

    G's update watches G's weights alone and D's update D's, so that neither computes
    the other's gradient. Losses that layers add (regularizers) count in the update of
    their own network. Under `tf.distribute` batch sizes are global, gradients are
    those of the mean over the global batch, and latents are drawn for the global
    batch: one replica and several give the same weights. (Batch norm in D or G uses
    the statistics of each replica's share.)

    Latents are a function of `seed`, the step and the position in the batch, so a run
    that is stopped and carried on draws what it would have drawn.

    Args:
        generator: a model from latents, shape `(batch, latent_dim)`, to images; with
            classes, from `[latents, labels]`.
        discriminator: a model from images, or `[images, labels]`, to logits, shape
            `(batch, 1)`; with an auxiliary classifier, to a dict with the keys
            `"logits"` and `"class_logits"`.
        latent_dim: length of the latent vectors. Defaults to 128.
        discriminator_steps: updates of D per update of G, 1 or more. Defaults to 5.
        generator_batch_size: images in an update of G, in all replicas together.
            Defaults to None: as many as in an update of D. (The authors' code takes
            twice as many.)
        num_classes: number of classes of a conditional model. Labels for generated
            images are drawn uniformly. Defaults to None: no labels.
        discriminator_call: `"joint"` calls D once on real and generated images
            together, which is faster, `"separate"` on each apart. Defaults to
            `"auto"`: joint unless D has batch norm, whose statistics would mix.
        seed: seed of latents and labels. Defaults to 0.
        **kwargs: `name`.

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
    gan.compile(
        generator_optimizer=keras.optimizers.Adam(2e-4, 0.5, 0.999),
        discriminator_optimizer=keras.optimizers.Adam(2e-4, 0.5, 0.999),
        loss="hinge",
    )
    gan.fit(images, batch_size=64, epochs=1, verbose=0)
    samples = gan.generate(16)
    ```

    Source: Miyato et al., https://arxiv.org/abs/1802.05957, algorithm in section 4 and
    the order of updates of the authors' code.
    """

    # Keras' own; in no annotation of Keras.
    train_function: Any

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        latent_dim: int = 128,
        discriminator_steps: int = 5,
        generator_batch_size: int | None = None,
        num_classes: int | None = None,
        discriminator_call: str = "auto",
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.latent_dim = values.integer("latent_dim", latent_dim)
        self.discriminator_steps = values.integer(
            "discriminator_steps", discriminator_steps
        )
        self.generator_batch_size = _count_or_none(
            "generator_batch_size", generator_batch_size
        )
        self.num_classes = _count_or_none("num_classes", num_classes)
        self.discriminator_call = values.name(
            "discriminator_call", discriminator_call, _DISCRIMINATOR_CALLS
        )
        self.seed = values.integer("seed", seed, 0)
        self._wiring = wiring.connect(
            generator, discriminator, self.latent_dim, self.num_classes
        )
        # `fit` would otherwise call the model on images to build it.
        self.built = True
        self._generator_loss_tracker = keras.metrics.Mean(name="generator_loss")
        self._discriminator_loss_tracker = keras.metrics.Mean(name="discriminator_loss")

    # What users call.

    def compile(
        self,
        generator_optimizer: Any,
        discriminator_optimizer: Any,
        loss: str | AdversarialLoss = "hinge",
        gradient_penalty: float | GradientPenalty | None = None,
        classifier_weights: tuple[float, float] = (1.0, 0.1),
        augmentation: Callable[[tf.Tensor, draws.At], tf.Tensor] | None = None,
        fast: bool = True,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Sets optimizers and losses.

        Args:
            generator_optimizer: a Keras optimizer, its name or config.
            discriminator_optimizer: another one.
            loss: `"hinge"`, `"standard"`, `"wasserstein"` or an `AdversarialLoss`.
            gradient_penalty: None, λ, or a `GradientPenalty`; added to D's loss.
            classifier_weights: weights of the auxiliary classifier's cross-entropy,
                on real images in D's loss and on generated ones in G's. The defaults
                are those of Gulrajani et al. for AC-WGAN-GP.
            augmentation: a function of images and a `draws.At` that D sees all images
                through, real and generated, in both updates; see `Step.augment`.
                Defaults to None.
            fast: whether steps run by the faster forms of `training.fast`: for the
                time of a step, and then alone, `call` of the networks' own Keras
                layers and Adam's update are other functions, which give the same
                results to rounding.
            run_eagerly: as in `keras.Model.compile`.
            steps_per_execution: as in `keras.Model.compile`.
            jit_compile: whether to compile the step by XLA. Defaults to `"auto"`:
                with a GPU or TPU, but not on the CPU, where it is slower.

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
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
        )
        batch_norm = self._wiring.batch_norm_in_discriminator
        step = Step(
            self.generator,
            self.discriminator,
            self._wiring,
            joint={"joint": True, "separate": False, "auto": not batch_norm}[
                self.discriminator_call
            ],
            generator_optimizer=chosen.generator_optimizer,
            discriminator_optimizer=chosen.discriminator_optimizer,
            loss=chosen.loss,
            gradient_penalty=chosen.gradient_penalty,
            classifier_weights=chosen.classifier_weights,
            augment=chosen.augmentation,
            latent_dim=self.latent_dim,
            num_classes=self.num_classes,
            discriminator_steps=self.discriminator_steps,
            generator_batch_size=self.generator_batch_size,
            seed=self.seed,
        )
        super().compile(
            optimizer=None,
            run_eagerly=chosen.run_eagerly,
            steps_per_execution=chosen.steps_per_execution,
            jit_compile=compiling.compiled_by_xla(
                chosen.jit_compile, self.distribute_strategy
            ),
        )
        self._arguments, self._step = chosen, step
        self.generator_optimizer = chosen.generator_optimizer
        self.discriminator_optimizer = chosen.discriminator_optimizer
        self.adversarial_loss = chosen.loss
        self.gradient_penalty = chosen.gradient_penalty
        # Weights of an optimizer that isn't built are passed over when a file is read.
        with self.distribute_strategy.scope():
            self.generator_optimizer.build(self.generator.trainable_variables)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)

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
    ) -> keras.callbacks.History:
        """Trains on real images.

        A step takes `discriminator_steps` batches. The elements of a dataset are
        joined to that size (`discriminator_steps · batch_size` images on axis 0); a
        dataset whose elements have it already is taken as it is. Images and labels of
        an unfinished last step are dropped. Image `i` of an element belongs to D's
        update `i % discriminator_steps`, however many replicas share the element.

        Args:
            x: real images in [−1, 1], floats: an array of shape `(images, height,
                width, channels)`, or a `tf.data.Dataset` of batches of them; for a
                conditional model, of `(images, labels)`. An array is checked whole, a
                dataset by its first element.
            y: integer labels of shape `(images,)`, if `x` is an array.
            batch_size: real images in an update of D, in all replicas together.
                Defaults to 64 for arrays and to the size of a dataset's elements.
            epochs: as in `keras.Model.fit`.
            verbose: as in `keras.Model.fit`.
            callbacks: as in `keras.Model.fit`.
            shuffle: whether to shuffle arrays.
            initial_epoch: as in `keras.Model.fit`.
            steps_per_epoch: as in `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History` with `generator_loss` and
            `discriminator_loss`, the means over an epoch.

        Raises:
            TypeError: if `x` is neither an array nor a dataset.
            ValueError: if images are integers, lie outside [−1, 1] or have another
                shape than D takes; if labels are missing or out of range.
        """
        epochs = values.integer("epochs", epochs)
        steps_per_epoch = _count_or_none("steps_per_epoch", steps_per_epoch)
        dataset, batch_size = batches.grouped(
            x,
            y,
            batch_size,
            self.discriminator_steps,
            shuffle,
            self._wiring.image_shape,
            self.num_classes,
        )
        strategies.check_shares(
            self.distribute_strategy,
            batch_size=batch_size,
            generator_batch_size=self.generator_batch_size,
        )
        if strategies.position(self.distribute_strategy)[1] > 1:
            dataset, steps_per_epoch = batches.without_end(dataset, steps_per_epoch)
        with warnings.catch_warnings():
            if steps_per_epoch is None:
                # Keras says so of every dataset whose length it can't know.
                warnings.filterwarnings("ignore", "Your input ran out of data")
            return super().fit(
                dataset,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                shuffle=False,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
            )

    def generate(self, count: int, seed: int = 0, labels: Any = None) -> Any:
        """Returns images that G makes of latents drawn with `seed`.

        Args:
            count: how many.
            seed: seed of the latents and of the labels.
            labels: for a conditional model, integers of shape `(count,)`, or None to
                draw them uniformly.

        Returns:
            A NumPy array of floats in [−1, 1], shape `(count, height, width,
            channels)`.
        """
        count = values.integer("count", count)
        at = draws.samples(values.integer("seed", seed, 0))
        latents = draws.latents(at, count, self.latent_dim)
        if labels is None and self.num_classes is not None:
            labels = draws.labels(at, count, self.num_classes)
        elif labels is not None:
            labels = batches.given_labels(labels, count, self.num_classes)
        return np.concatenate(list(generated.images(self.generator, latents, labels)))

    def averaged_generator(self) -> keras.Model | None:
        """Returns a copy of G with the averages of its weights.

        Returns:
            A model of its own, or None unless `generator_optimizer` was made with
            `use_ema=True`. Statistics of batch norm are G's own.
        """
        if not self.generator_optimizer.use_ema:
            return None
        # Not in the strategy's scope, where all workers would have to make one: the
        # chief alone saves it.
        copy = keras.models.clone_model(self.generator)
        copy.set_weights(self.generator.get_weights())
        ids = [id(weight) for weight in self.generator.variables]
        copies = dict(zip(ids, copy.variables, strict=True))
        for weight, average in keras_private.averages(self.generator_optimizer):
            copies[id(weight)].assign(keras.ops.convert_to_numpy(average.value))
        return copy

    @property
    def step(self) -> int:
        """The number of updates of G so far."""
        return int(keras_private.updates(self.generator_optimizer).numpy())

    # What Keras calls.

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns G's images."""
        return self.generator(inputs, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The trackers of the two losses."""
        return [self._generator_loss_tracker, self._discriminator_loss_tracker]

    def make_train_function(self, force: bool = False) -> None:
        """Makes what runs a step, in which layers run by the forms of `training.fast`.

        They are placed here and not in `train_step`, which replicas run in threads.
        """
        made: Any = self.train_function
        super().make_train_function(force)
        plain: Any = self.train_function
        if plain is made:
            return

        forms = self._step.forms(self._arguments.fast)

        def train_function(iterator: Any) -> Any:
            with form.placed(forms):
                return plain(iterator)

        self.train_function = train_function

    def train_step(self, data: Any) -> dict[str, Any]:
        """Runs one update of G and `discriminator_steps` of D."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        generator_loss, discriminator_losses = self._step(images, labels)
        self._generator_loss_tracker.update_state(generator_loss)
        for loss in discriminator_losses:
            self._discriminator_loss_tracker.update_state(loss)
        return self._logs()

    def test_step(self, data: Any) -> dict[str, Any]:
        """Not there: a GAN has no loss on data that would say how good it is."""
        raise NotImplementedError(
            "A GAN has no `evaluate`: use the scores of `training.evaluation`, also as "
            "callbacks of `fit`."
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as JSON."""
        config = {name: getattr(self, name) for name in _ARGUMENTS}
        for name in _NETWORKS:
            config[name] = keras.saving.serialize_keras_object(config[name])
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> GAN:
        """Makes a GAN of what `get_config` returned."""
        config = dict(config)
        for name in _NETWORKS:
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
        return cls(**config)

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of `compile`, as JSON."""
        return self._arguments.as_json() if self.compiled else None

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with what `get_compile_config` returned."""
        self.compile(**compiling.arguments(config))

    def _logs(self) -> dict[str, Any]:
        logs = self.get_metrics_result()
        strategy = self.distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras reduces logs along axis 0 there, which a scalar doesn't have
            # (keras#20585).
            logs = {name: tf.reshape(value, [1]) for name, value in logs.items()}
        return logs


def _count_or_none(name: str, value: Any) -> int | None:
    return None if value is None else values.integer(name, value)
