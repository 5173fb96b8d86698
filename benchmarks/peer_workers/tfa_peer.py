"""The worker for TensorFlow Addons' wrapper, on TensorFlow 2.15 and Keras 2."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that the package is at its end
    import tensorflow_addons as tfa

from benchmarks.peer_workers.protocol import Peer, serve, singular_vectors

layers = tf.keras.layers

_LATENT_DIM = 128
_EPSILON = 2e-5


class Tfa(Peer):
    """The same networks in Keras 2, with a step in one `tf.function`."""

    def versions(self) -> dict[str, str]:
        return {
            "tensorflow": tf.__version__,
            "tensorflow-addons": tfa.__version__,
        }

    def build(self, step: dict[str, Any], threads: int, **options: Any) -> Any:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.keras.mixed_precision.set_global_policy(step["precision"])
        self._batch = step["batch_size"]
        self._count = step["discriminator_steps"]
        size, width = step["image_size"], step["width"]

        def wrap(layer: Any) -> Any:
            if step["method"] != "sn":
                return layer
            return tfa.layers.SpectralNormalization(layer, name=layer.name)

        if step["network"] == "cnn":
            self._g = _cnn_generator(size, width)
            self._d = _cnn_discriminator(size, width, wrap)
        else:
            self._g = _resnet_generator(width)
            self._d = _resnet_discriminator(width, wrap)
        shape = (self._batch * self._count, size, size, 3)
        images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
        self._real = tf.constant(images)
        self._g_adam = tf.keras.optimizers.Adam(2e-4, 0.5, 0.999)
        self._d_adam = tf.keras.optimizers.Adam(2e-4, 0.5, 0.999)
        self._g_adam.build(self._g.trainable_variables)
        self._d_adam.build(self._d.trainable_variables)
        self._train = tf.function(self._train_step)

        def count(model: Any) -> int:
            return int(sum(np.prod(w.shape) for w in model.trainable_variables))

        return {"generator": count(self._g), "discriminator": count(self._d)}

    def step(self) -> None:
        self._train(self._real).numpy()

    def losses(self, path: str) -> dict[str, float]:
        with np.load(path) as arrays:
            values = dict(arrays)
        for name, network in (("generator", self._g), ("discriminator", self._d)):
            for layer in network.layers:
                inner = getattr(layer, "layer", layer)
                for weight in inner.trainable_weights:
                    attribute = weight.name.split("/")[-1].split(":")[0]
                    weight.assign(values[f"{name}/{layer.name}/{attribute}"])
                if inner is not layer:
                    _settle(layer)
        fake = self._g(tf.constant(values["latents"]), training=True)
        images = tf.concat([values["real"], tf.cast(fake, "float32")], 0)
        logits = tf.cast(self._d(images, training=True), "float32")
        return {
            "discriminator": float(_hinge(logits)),
            "generator": float(-tf.reduce_mean(tf.split(logits, 2)[1])),
        }

    def gradient(self, path: str) -> list[float]:
        with np.load(path) as arrays:
            w, x, c, u = (arrays[key].astype("float32") for key in "wxcu")
        dense = layers.Dense(w.shape[1], use_bias=False)
        layer = tfa.layers.SpectralNormalization(dense)
        layer.build(x.shape)
        dense.kernel.assign(w)
        layer.u.assign(u.reshape(layer.u.shape))
        with tf.GradientTape() as tape:
            product = tf.reduce_sum(c * layer(tf.constant(x), training=True))
        return tape.gradient(product, dense.kernel).numpy().ravel().tolist()

    def _fake(self) -> Any:
        latents = tf.random.normal((self._batch, _LATENT_DIM))
        return tf.cast(self._g(latents, training=True), tf.float32)

    def _train_step(self, images: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._g.trainable_variables)
            logits = self._d(self._fake(), training=True)
            loss = -tf.reduce_mean(tf.cast(logits, tf.float32))
        weights = self._g.trainable_variables
        gradients = tape.gradient(loss, weights)
        self._g_adam.apply_gradients(zip(gradients, weights, strict=True))
        for real in tf.split(images, self._count):
            fake = self._fake()
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self._d.trainable_variables)
                logits = self._d(tf.concat([real, fake], 0), training=True)
                loss = _hinge(tf.cast(logits, tf.float32))
            weights = self._d.trainable_variables
            gradients = tape.gradient(loss, weights)
            self._d_adam.apply_gradients(zip(gradients, weights, strict=True))
        return loss


def _hinge(logits: Any) -> Any:
    on_real, on_fake = tf.split(logits, 2)
    real, fake = tf.nn.relu(1 - on_real), tf.nn.relu(1 + on_fake)
    return tf.reduce_mean(real) + tf.reduce_mean(fake)


def _settle(layer: Any) -> None:
    """Gives a wrapper the exact singular vector of its kernel."""
    kernel = layer.layer.kernel.numpy()
    u, _ = singular_vectors(kernel.reshape(-1, kernel.shape[-1]).T)
    layer.u.assign(u.reshape(layer.u.shape).astype("float32"))


def _norm(name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9, epsilon=_EPSILON, name=name)


def _cnn_generator(size: int, width: float) -> Any:
    bottom = size // 8
    widths = [max(1, round(w * width)) for w in (512, 256, 128, 64)]
    z = tf.keras.Input((_LATENT_DIM,))
    x = layers.Dense(bottom * bottom * widths[0], name="dense")(z)
    x = layers.Reshape((bottom, bottom, widths[0]))(x)
    for i in (1, 2, 3):
        x = layers.Conv2DTranspose(
            widths[i], 4, strides=2, padding="same", name=f"deconv_{i}"
        )(x)
        x = layers.ReLU()(_norm(f"norm_{i}")(x))
    x = layers.Conv2D(3, 3, padding="same", name="to_image")(x)
    return tf.keras.Model(z, layers.Activation("tanh", dtype="float32")(x))


def _cnn_discriminator(size: int, width: float, wrap: Callable[[Any], Any]) -> Any:
    images = x = tf.keras.Input((size, size, 3))
    strides = (1, 2, 1, 2, 1, 2, 1)
    for i, filters in enumerate((64, 64, 128, 128, 256, 256, 512)):
        kernel = 3 if strides[i] == 1 else 4
        conv = layers.Conv2D(
            max(1, round(filters * width)),
            kernel,
            strides=strides[i],
            padding="same",
            name=f"conv_{i}",
        )
        x = layers.LeakyReLU(0.1)(wrap(conv)(x))
    logits = wrap(layers.Dense(1, name="dense"))(layers.Flatten()(x))
    return tf.keras.Model(images, logits)


def _resnet_generator(width: float) -> Any:
    w = max(1, round(256 * width))

    def conv(kernel: int, name: str) -> Any:
        return layers.Conv2D(w, kernel, padding="same", name=name)

    z = tf.keras.Input((_LATENT_DIM,))
    x = layers.Dense(16 * w, name="dense")(z)
    x = layers.Reshape((4, 4, w))(x)
    for block in ("block1", "block2", "block3"):
        h = layers.ReLU()(_norm(f"{block}_norm1")(x))
        h = conv(3, f"{block}_conv1")(layers.UpSampling2D()(h))
        h = layers.ReLU()(_norm(f"{block}_norm2")(h))
        h = conv(3, f"{block}_conv2")(h)
        x = layers.Add()([h, conv(1, f"{block}_shortcut")(layers.UpSampling2D()(x))])
    x = layers.ReLU()(_norm("norm")(x))
    x = layers.Conv2D(3, 3, padding="same", name="to_image")(x)
    return tf.keras.Model(z, layers.Activation("tanh", dtype="float32")(x))


def _resnet_discriminator(width: float, wrap: Callable[[Any], Any]) -> Any:
    w = max(1, round(128 * width))

    def conv(kernel: int, name: str) -> Any:
        return wrap(layers.Conv2D(w, kernel, padding="same", name=name))

    images = x = tf.keras.Input((32, 32, 3))
    for number in (1, 2, 3, 4):
        block = f"block{number}"
        h = x if number == 1 else layers.ReLU()(x)
        h = layers.ReLU()(conv(3, f"{block}_conv1")(h))
        h = conv(3, f"{block}_conv2")(h)
        if number == 1:
            x = conv(1, f"{block}_shortcut")(layers.AveragePooling2D()(x))
            h = layers.AveragePooling2D()(h)
        elif number == 2:
            x = layers.AveragePooling2D()(conv(1, f"{block}_shortcut")(x))
            h = layers.AveragePooling2D()(h)
        x = layers.Add()([h, x])
    x = tf.reduce_sum(layers.ReLU()(x), axis=(1, 2))
    logits = wrap(layers.Dense(1, use_bias=False, name="dense"))(x)
    return tf.keras.Model(images, logits)


if __name__ == "__main__":
    serve(Tfa())
