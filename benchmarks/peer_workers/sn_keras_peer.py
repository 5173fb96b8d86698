"""The worker for sn_keras and training, and for Keras' built-in wrapper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.peer_workers.protocol import Peer, serve, singular_vectors
from benchmarks.shared import floor, gan_step, machine, timing
from sn_keras import SpectralNormalization


class SnKeras(Peer):
    """`training.GAN` with what `step["method"]` says."""

    def versions(self) -> dict[str, str]:
        return machine.versions()

    def build(self, step: dict[str, Any], threads: int, **options: Any) -> Any:
        gan_step.set_threads(threads)
        self._step = gan_step.Step(**step)
        self._gan = gan_step.gan(self._step)
        self._run = gan_step.runner(self._gan, self._step)
        self._product: Callable[[], float] | None = None
        networks = ("generator", "discriminator")
        counts = {
            n: gan_step.trainable_parameters(getattr(self._gan, n)) for n in networks
        }
        return counts

    def step(self) -> None:
        self._run()

    def operations(self) -> int:
        """Returns the step's operations."""
        return floor.step_operations(self._step)

    def product(self) -> float:
        """Returns the seconds of a large matrix product."""
        if self._product is None:
            dtype = floor.compute_dtype(self._step.precision)
            self._product = timing.timed(floor.matrix_product(dtype))
            self._product()
        return self._product()

    def losses(self, path: str) -> dict[str, float]:
        gan = self._gan
        with np.load(path) as arrays:
            real, latents = arrays["real"], arrays["latents"]
            for network in ("generator", "discriminator"):
                for key, weight in _named_weights(getattr(gan, network)):
                    weight.assign(arrays[f"{network}/{key}"])
        for layer in gan.discriminator.layers:
            if isinstance(layer, SpectralNormalization):
                _settle(layer)
        fake = gan.generator(tf.constant(latents), training=True)
        images = tf.concat([tf.constant(real), tf.cast(fake, "float32")], axis=0)
        logits = tf.cast(gan.discriminator(images, training=True), "float32")
        on_real, on_fake = tf.split(logits, 2)
        loss = gan.adversarial_loss
        return {
            "discriminator": float(loss.discriminator(on_real, on_fake)),
            "generator": float(loss.generator(on_fake)),
        }

    def save_weights(self, path: str) -> None:
        """Writes the current weights and inputs as `losses` reads them.

        Args:
            path: the `.npz` file.
        """
        random = np.random.default_rng(1)
        size = (self._step.batch_size, gan_step.LATENT_DIM)
        arrays = {
            "real": gan_step.real_images(self._step)[: self._step.batch_size],
            "latents": random.standard_normal(size).astype("float32"),
        }
        for network in ("generator", "discriminator"):
            for key, weight in _named_weights(getattr(self._gan, network)):
                arrays[f"{network}/{key}"] = np.asarray(weight)
        np.savez(path, **arrays)

    def gradient(self, path: str, method: str = "sn") -> list[float]:
        wrapper = {
            "sn": SpectralNormalization,
            "keras-sn": keras.layers.SpectralNormalization,
        }[method]
        with np.load(path) as arrays:
            w, x, c, u = (arrays[key].astype("float32") for key in "wxcu")
        dense = keras.layers.Dense(w.shape[1], use_bias=False)
        layer = wrapper(dense)
        layer.build(x.shape)
        dense.kernel.assign(w)
        if method == "sn":
            _settle(layer)
        else:
            layer.vector_u.assign(u.reshape(layer.vector_u.shape))
        with tf.GradientTape() as tape:
            product = tf.reduce_sum(c * layer(tf.constant(x), training=True))
        gradient = tape.gradient(product, dense.kernel.value)
        return np.asarray(gradient).ravel().tolist()


def _named_weights(network: keras.Model) -> Iterator[tuple[str, Any]]:
    for layer in network.layers:
        inner = getattr(layer, "layer", layer)
        for weight in inner.trainable_weights:
            yield f"{layer.name}/{weight.name}", weight


def _settle(layer: SpectralNormalization) -> None:
    """Gives a wrapper the exact singular vectors of its kernel."""
    kernel = np.asarray(layer.layer.kernel)
    pair = singular_vectors(kernel.reshape(-1, kernel.shape[-1]).T)
    state = {weight.name: weight for weight in layer.state_variables}
    for name, vector in zip("uv", pair, strict=True):
        state[name].assign(vector.astype("float32"))


if __name__ == "__main__":
    serve(SnKeras())
