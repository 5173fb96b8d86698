"""Generators as other projects write them, in small: 8 px, a few thousand weights."""

from __future__ import annotations

import keras
from keras import layers, ops

from sn_keras import SpectralNormalization
from tests.export import networks

LATENT = 6


def _finish(inputs, x, last="tanh", channels=3):
    x = layers.Conv2D(channels, 3, padding="same", activation=last)(x)
    return keras.Model(inputs, x)


def _start(units=4, side=4, name="latents"):
    inputs = keras.Input((LATENT,), name=name)
    x = layers.Dense(side * side * units)(inputs)
    return inputs, layers.Reshape((side, side, units))(x)


def dcgan_tutorial():
    """TensorFlow's tutorial: no biases, leaky ReLU, 5×5 kernels."""
    model = keras.Sequential([keras.Input((LATENT,))])
    model.add(layers.Dense(2 * 2 * 8, use_bias=False))
    model.add(layers.BatchNormalization())
    model.add(layers.LeakyReLU())
    model.add(layers.Reshape((2, 2, 8)))
    for filters, strides in ((6, 1), (4, 2)):
        model.add(layers.Conv2DTranspose(filters, 5, strides, "same", use_bias=False))
        model.add(layers.BatchNormalization())
        model.add(layers.LeakyReLU())
    model.add(layers.Conv2DTranspose(1, 5, 2, "same", activation="tanh"))
    return model


def dcgan_rank_4():
    """PyTorch's form: latents (1, 1, n), a first transposed convolution `valid`."""
    inputs = keras.Input((1, 1, LATENT), name="noise")
    x = layers.Conv2DTranspose(8, 4, 1, "valid", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2DTranspose(3, 4, 2, "same", use_bias=False)(x)
    return keras.Model(inputs, layers.Activation("tanh")(x))


def upsampling_sigmoid():
    """Bilinear upsampling, and images in [0, 1]."""
    inputs, x = _start()
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.PReLU(shared_axes=[1, 2])(layers.GroupNormalization(2)(x))
    return _finish(inputs, x, "sigmoid")


def bytes_out():
    """Images in [0, 255], by a rescaling in the model."""
    inputs, x = _start()
    x = layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh")(x)
    return keras.Model(inputs, layers.Rescaling(127.5, offset=127.5)(x))


def rgba():
    """Four channels, pixel shuffle by operations, nearest resizing."""
    inputs, x = _start(16, 4)
    x = ops.reshape(x, (-1, 4, 4, 2, 2, 4))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    x = ops.reshape(x, (-1, 8, 8, 4))
    return _finish(inputs, ops.relu(x) * 0.5, channels=4)


class Subclassed(keras.Model):
    """A model whose layers are attributes, with no graph of its own."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4 * 4 * 4)
        self.convolution = layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh")

    def call(self, latents):
        x = ops.reshape(ops.relu(self.dense(latents)), (-1, 4, 4, 4))
        return self.convolution(x)


def subclassed():
    """A subclassed model, built by a call."""
    model = Subclassed()
    model(ops.zeros((2, LATENT)))
    return model


class SelfAttention(layers.Layer):
    """SAGAN's: its constructor makes the wrapped convolutions."""

    def __init__(self, channels, **options):
        super().__init__(**options)
        self.channels = channels
        self.query, self.key, self.value = (
            SpectralNormalization(layers.Conv2D(size, 1, use_bias=False))
            for size in (max(1, channels // 8), max(1, channels // 8), channels)
        )
        self.gate = self.add_weight(shape=(), initializer="zeros", name="gamma")

    def get_config(self):
        return {**super().get_config(), "channels": self.channels}

    def build(self, shape):
        for layer in (self.query, self.key, self.value):
            layer.build(shape)

    def call(self, x, training=None):
        rows = (-1, x.shape[1] * x.shape[2])
        query, key, value = (
            ops.reshape(layer(x, training=training), (*rows, channels))
            for layer, channels in (
                (self.query, max(1, self.channels // 8)),
                (self.key, max(1, self.channels // 8)),
                (self.value, self.channels),
            )
        )
        weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
        attended = ops.reshape(ops.matmul(weights, value), (-1, *x.shape[1:]))
        return x + self.gate * attended


def sagan():
    """Spectral normalization in G, also inside of a layer of one's own."""
    inputs, x = _start(8)
    x = SpectralNormalization(layers.Conv2DTranspose(8, 4, 2, "same"))(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = SelfAttention(8, name="attention")(x)
    x = SpectralNormalization(layers.Conv2D(3, 3, padding="same"))(x)
    return keras.Model(inputs, ops.tanh(x))


class Modulated(layers.Layer):
    """StyleGAN 2's convolution: a style scales what comes in, and is taken out again.

    The kernel of each image is `w · s`, its outputs are divided by that kernel's norm.
    """

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters
        self.style = layers.Dense(filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}

    def build(self, image_shape, style_shape):
        shape = (3, 3, image_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, name="kernel")
        self.style = layers.Dense(image_shape[-1], bias_initializer="ones")
        self.style.build(style_shape)

    def call(self, image, style):
        style = self.style(style)
        y = ops.conv(image * style[:, None, None, :], self.kernel, 1, "same")
        power = ops.matmul(ops.square(style), ops.sum(ops.square(self.kernel), (0, 1)))
        return y * ops.rsqrt(power + 1e-8)[:, None, None, :]


def stylegan():
    """A mapping network, a learned constant, modulated convolutions, two outputs."""
    inputs = keras.Input((LATENT,), name="z")
    style = inputs * ops.rsqrt(ops.mean(ops.square(inputs), -1, keepdims=True) + 1e-8)
    for _ in range(2):
        style = layers.LeakyReLU(0.2)(layers.Dense(8)(style))
    constant = layers.Dense(4 * 4 * 6, use_bias=False)(ops.ones_like(inputs[:, :1]))
    x = layers.Reshape((4, 4, 6))(constant)
    x = layers.LeakyReLU(0.2)(Modulated(6)(x, style))
    x = layers.LeakyReLU(0.2)(Modulated(4)(layers.UpSampling2D(2)(x), style))
    return keras.Model(inputs, [layers.Conv2D(3, 1, activation="tanh")(x), style])


def _block(filters, shape):
    block = keras.Sequential([keras.Input(shape), layers.UpSampling2D(2)])
    block.add(layers.Conv2D(filters, 3, padding="same", name="conv"))
    block.add(layers.BatchNormalization(name="norm"))
    block.add(layers.ReLU(name="relu"))
    return block


def nested():
    """Blocks that are models, whose layers have the same names, one used twice."""
    inputs, x = _start(4, 2)
    x = _block(4, (4, 4, 4))(_block(4, (2, 2, 4))(x))
    twice = keras.Sequential([keras.Input((8, 8, 4))])
    twice.add(layers.Conv2D(4, 3, padding="same", name="conv"))
    return _finish(inputs, layers.Add()([twice(x), twice(twice(x))]))


def cyrillic():
    """Names that no scope of TensorFlow may have."""
    inputs = keras.Input((LATENT,), name="шум")
    x = layers.Dense(4 * 4 * 4, name="плотный слой")(inputs)
    x = layers.Reshape((4, 4, 4), name="форма")(x)
    x = layers.Conv2DTranspose(3, 4, 2, "same", name="свёртка")(x)
    x = layers.Activation("tanh", name="свёртки")(x)
    return keras.Model(inputs, x, name="генератор")


def odd_convolutions():
    """Kernel below stride, dilated and transposed, grouped, an exact GELU."""
    inputs, x = _start(4, 2)
    x = layers.Conv2DTranspose(4, 1, 2, "same", activation="relu")(x)
    x = layers.Conv2DTranspose(4, 2, (2, 1), "same")(x)
    x = layers.Conv2DTranspose(4, 3, 1, "same", dilation_rate=2)(x)
    x = layers.Activation("gelu")(x)
    x = layers.Conv2DTranspose(4, (2, 1), (1, 2), "valid")(x[:, :7])
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", groups=2)(x))
    return _finish(inputs, ops.gelu(x, approximate=False))


def half_precision():
    """Trained under mixed_bfloat16."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return dcgan_rank_4()
    finally:
        keras.config.set_dtype_policy(before)


def _conditional(labels, one_hot):
    inputs, x = _start(name="z")
    scale = layers.Dense(4, use_bias=False)(one_hot)
    x = x * (1 + layers.Reshape((1, 1, 4))(scale))
    x = layers.Conv2DTranspose(4, 4, 2, "same", activation="relu")(x)
    return _finish([inputs, labels], x)


def labels_of(dtype, shape=(), name="labels"):
    """A conditional generator whose labels are class numbers in some form."""

    def build():
        labels = keras.Input(shape, dtype=dtype, name=name)
        numbers = ops.reshape(ops.cast(labels, "int32"), (-1,))
        return _conditional(labels, ops.one_hot(numbers, 3))

    return build


def labels_embedded():
    """The most usual form: (batch, 1), embedded and multiplied with the latents."""
    labels = keras.Input((1,), dtype="int32", name="class_id")
    inputs = keras.Input((LATENT,), name="noise")
    x = inputs * layers.Flatten()(layers.Embedding(3, LATENT)(labels))
    x = layers.Reshape((4, 4, 4))(layers.Dense(64)(x))
    x = layers.Conv2DTranspose(3, 4, 2, "same")(x)
    return keras.Model({"noise": inputs, "class_id": labels}, ops.tanh(x))


def labels_one_hot():
    """One-hot vectors, put beside the latents."""
    labels = keras.Input((3,), name="one_hot_labels")
    return _conditional(labels, labels)


MAKES = {
    "DCGAN, TensorFlow's tutorial": dcgan_tutorial,
    "DCGAN, latents of rank 4": dcgan_rank_4,
    "upsampling and sigmoid": upsampling_sigmoid,
    "images in [0, 255]": bytes_out,
    "RGBA": rgba,
    "subclassed": subclassed,
    "SAGAN": sagan,
    "StyleGAN": stylegan,
    "nested": nested,
    "Cyrillic names": cyrillic,
    "odd convolutions": odd_convolutions,
    "mixed_bfloat16": half_precision,
    "labels int32": labels_of("int32"),
    "labels int64": labels_of("int64"),
    "labels uint8, (batch, 1)": labels_of("uint8", (1,)),
    "labels float32": labels_of("float32", (), "class"),
    "labels embedded": labels_embedded,
    "labels one-hot": labels_one_hot,
}


def make(name):
    """A generator of that make, with weights as after some training."""
    model = MAKES[name]()
    return networks.trained_like(model, 0) if getattr(model, "inputs", None) else model
