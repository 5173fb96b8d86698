"""What Keras calls of a GAN, and finds in it: steps, optimizers, files."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training import keras_private, values
from training.fast import form, gradients
from training.gan import compiling, input_checks
from training.gan.step import Step
from training.gan.wiring import Wiring

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
_NO_LOSS = (
    "a GAN has no loss on data that would say how good it is. Use the scores of "
    "`training.evaluation`, also as callbacks of `fit`."
)


class Optimizers:
    """The optimizers of both networks, where Keras' callbacks look for one.

    Attributes:
        optimizers: G's and D's, without their loss scaling.
        built: whether they have variables, which they have.
    """

    built = True

    def __init__(self, step: Step):
        pair = step.generator_optimizer, step.discriminator_optimizer
        self.optimizers = [keras_private.inner(one) for one in pair]

    @property
    def iterations(self) -> keras.Variable:
        """The number of updates of G so far."""
        return keras_private.updates(self.optimizers[0])

    @property
    def variables(self) -> list[keras.Variable]:
        """Those of both."""
        return [variable for one in self.optimizers for variable in one.variables]


class KerasModel(keras_private.BuiltModel):
    """A model whose training step is a `Step`.

    `__init__` is the GAN's; `_prepare` has to be called there and `_take` in `compile`.
    """

    generator: keras.Model
    discriminator: keras.Model
    _wiring: Wiring
    # Keras' own, which it doesn't annotate.
    train_function: Any
    optimizer: Any

    def _prepare(self) -> None:
        # `fit` would otherwise call the model on images to build it.
        self.built = True
        self.generator_optimizer: Any = None
        self._elements: Any = None
        # float64 holds the sum of float32 losses exactly, so that it is the same in
        # whatever parts the replicas keep it; a checkpoint shares it out anew.
        self._generator_loss_tracker = keras.metrics.Mean("generator_loss", "float64")
        self._discriminator_loss_tracker = keras.metrics.Mean(
            "discriminator_loss", "float64"
        )

    def _take(self, step: Step, arguments: compiling.Arguments) -> None:
        super().compile(
            optimizer=None,
            run_eagerly=arguments.run_eagerly,
            steps_per_execution=arguments.steps_per_execution,
            jit_compile=compiling.compiled_by_xla(
                arguments.jit_compile, self.distribute_strategy
            ),
        )
        self._step, self._arguments = step, arguments
        self.optimizer = Optimizers(step)
        self.generator_optimizer = step.generator_optimizer
        self.discriminator_optimizer = step.discriminator_optimizer
        self.adversarial_loss = step.loss
        self.gradient_penalty = step.gradient_penalty
        # Weights of an optimizer that isn't built are passed over when a file is read.
        with self.distribute_strategy.scope():
            self.generator_optimizer.build(self.generator.trainable_variables)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def step(self) -> int:
        """The number of updates of G so far.

        With `gradient_accumulation_steps` each of its micro-batches counts, and an
        update whose float16 gradients overflow doesn't. New optimizers count anew.
        """
        return int(self.optimizer.iterations.numpy()) if self.compiled else 0

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns G's images of latents, or of `[latents, labels]`."""
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
            with form.placed(forms), gradients.forgotten():
                return plain(iterator)

        self.train_function = train_function

    def _trace_for(self, elements: Any) -> None:
        """Has the step traced anew for elements of another form than the last ones.

        TensorFlow would trace it for both, of unknown sizes.
        """
        if elements != self._elements:
            self.train_function = None
        self._elements = elements

    def train_step(self, data: Any) -> dict[str, Any]:
        """Runs one update of G and `discriminator_steps` of D."""
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        generator_loss, discriminator_losses = self._step(images, labels)
        self._generator_loss_tracker.update_state(generator_loss)
        for loss in discriminator_losses:
            self._discriminator_loss_tracker.update_state(loss)
        logs = self.get_metrics_result()
        strategy = self.distribute_strategy
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            # Keras reduces logs along axis 0 there, which a scalar doesn't have
            # (keras#20585).
            logs = {name: tf.reshape(value, [1]) for name, value in logs.items()}
        return logs

    def train_on_batch(
        self, x: Any, y: Any = None, *arguments: Any, **options: Any
    ) -> Any:
        """Takes one step, on the images (and labels) of its batches.

        Args:
            x: an array of `discriminator_steps` batches of real images, in [−1, 1].
            y: their labels, if the model has classes.
            *arguments: as in `keras.Model.train_on_batch`, without weights.
            **options: likewise.

        Raises:
            TypeError: if there are weights of samples or classes.
            ValueError: if images or labels are not what the networks take.
        """
        names = ("sample_weight", "class_weight", "return_dict")
        options |= dict(zip(names, arguments, strict=False))
        for name in names[:2]:
            if options.get(name) is not None:
                raise TypeError(f"A GAN takes no `{name}`: {_NO_LOSS}")
        labels = None if y is None else np.asarray(y)
        input_checks.images(np.asarray(x), self._wiring.image_shape)
        input_checks.labels("`y`", labels, len(x), self._wiring.num_classes)
        return super().train_on_batch(x, y, **options)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Not there: a GAN has no loss on data that would say how good it is."""
        raise NotImplementedError(f"A GAN has no `evaluate`: {_NO_LOSS}")

    def save(self, filepath: Any, *arguments: Any, **options: Any) -> None:
        """Writes all to a `.keras` file, from which training goes on.

        Raises:
            ValueError: if the path is that of another kind of file, or a weight is not
                finite; what was in the file stays.
        """
        if not str(filepath).endswith(".keras"):
            wanted = "a path that ends in .keras"
            raise ValueError(values.message("filepath", wanted, filepath))
        self._check_finite("save")
        super().save(filepath, *arguments, **options)

    def save_weights(self, filepath: Any, *arguments: Any, **options: Any) -> None:
        """Writes weights and the optimizers' state to a `.weights.h5` file.

        Raises:
            ValueError: if a weight is not finite; what was in the file stays.
        """
        self._check_finite("save_weights")
        super().save_weights(filepath, *arguments, **options)

    def export(self, filepath: Any, *arguments: Any, **options: Any) -> Any:
        """Exports G, as `keras.Model.export`; see also `python -m export`."""
        return self.generator.export(filepath, *arguments, **options)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as JSON."""
        config = {name: getattr(self, name) for name in _ARGUMENTS}
        for name in _NETWORKS:
            config[name] = keras.saving.serialize_keras_object(config[name])
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
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

    def _check_finite(self, what: str) -> None:
        for variable in (*self.generator.variables, *self.discriminator.variables):
            if not is_finite(variable):
                raise ValueError(
                    f"`{what}` needs weights that are finite, and {variable.path} is "
                    "not. `keras.callbacks.TerminateOnNaN` ends `fit` when a loss is "
                    "not finite."
                )


def is_finite(variable: keras.Variable) -> bool:
    """Returns whether a variable has neither NaN nor infinity."""
    value = keras.ops.convert_to_numpy(variable.value)
    # NumPy has no kind for bfloat16.
    floats = value.dtype.kind == "f" or value.dtype.name == "bfloat16"
    return not floats or bool(np.isfinite(value).all())


def refuse(others: dict[str, Any]) -> None:
    """Raises a TypeError for arguments that `fit` of a GAN doesn't take."""
    defaults = inspect.signature(keras.Model.fit).parameters
    for name, value in others.items():
        if name not in defaults:
            close = difflib.get_close_matches(name, defaults, 1)
            meant = f" Did you mean `{close[0]}`?" if close else ""
            raise TypeError(f"`fit` has no argument `{name}`.{meant}")
        default = defaults[name].default
        same = isinstance(value, (int, float)) and value == default
        if not (value is default or same):
            raise TypeError(f"`fit` of a GAN takes no `{name}`: {_NO_LOSS}")
