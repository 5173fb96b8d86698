"""The residual networks' arithmetic in NumPy, written from the paper's tables."""

import numpy as np


def conv(x, weights):
    """A convolution of stride 1 that keeps the size; kernel of odd side."""
    kernel, *bias = weights
    side = kernel.shape[0]
    pad = side // 2
    x = np.pad(x, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    y = np.einsum("bijcuv,uvco->bijo", windows, kernel)
    return y + bias[0] if bias else y


def relu(x):
    return np.where(x > 0, x, 0)


def pool(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def upsample(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def norm(x, weights, labels=None):
    """Inference of batch norm; γ and β have one row a class if there are labels."""
    gamma, beta, mean, variance = weights
    if labels is not None:
        gamma, beta = gamma[labels][:, None, None], beta[labels][:, None, None]
    return (x - mean) / np.sqrt(variance + 2e-5) * gamma + beta


def generator_block(x, w, name, labels=None):
    h = upsample(relu(norm(x, w[f"{name}_norm1"], labels)))
    h = conv(h, w[f"{name}_conv1"])
    h = conv(relu(norm(h, w[f"{name}_norm2"], labels)), w[f"{name}_conv2"])
    return h + conv(upsample(x), w[f"{name}_shortcut"])


def discriminator_block(x, w, name, downsample):
    h = conv(relu(x), w[f"{name}_conv1"])
    h = conv(relu(h), w[f"{name}_conv2"])
    if f"{name}_shortcut" in w:
        x = conv(x, w[f"{name}_shortcut"])
    return pool(h) + pool(x) if downsample else h + x


def first_discriminator_block(x, w, name):
    h = conv(relu(conv(x, w[f"{name}_conv1"])), w[f"{name}_conv2"])
    return pool(h) + conv(pool(x), w[f"{name}_shortcut"])


def generator(latents, w, blocks, labels=None):
    kernel, bias = w["dense"]
    x = latents @ kernel + bias
    channels = w["block1_conv1"][0].shape[2]
    side = int(np.sqrt(x.shape[1] // channels))
    x = x.reshape(len(x), side, side, channels)
    for number in range(1, blocks + 1):
        x = generator_block(x, w, f"block{number}", labels)
    return np.tanh(conv(relu(norm(x, w["norm"])), w["to_image"]))


def features(images, w, downsampling, blocks):
    x = first_discriminator_block(images, w, "block1")
    for number in range(2, blocks + 1):
        x = discriminator_block(x, w, f"block{number}", number <= downsampling)
    return relu(x).sum(axis=(1, 2))


def weights_of(model, rng):
    """Gives every weight a random value and returns them by layer, in float64."""
    for variable in model.weights:
        fan_in = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 4
        value = rng.normal(0, 1.5 / np.sqrt(fan_in), variable.shape)
        if variable.name == "moving_variance":
            value = rng.uniform(0.5, 2, variable.shape)
        variable.assign(value)
    return {
        layer.name: [w.numpy().astype("float64") for w in layer.weights]
        for layer in model.layers
        if layer.weights
    }
