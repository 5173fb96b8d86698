"""The networks' arithmetic in NumPy, written from the paper's tables."""

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


def leaky_relu(x):
    return np.where(x > 0, x, 0.1 * x)


def conv_4x4_stride_2(x, weights):
    """A 4×4 convolution of stride 2 with one pixel of padding, for even sizes."""
    kernel, bias = weights
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(x, (4, 4), axis=(1, 2))
    return np.einsum("bijcuv,uvco->bijo", windows[:, ::2, ::2], kernel) + bias


def deconv_4x4_stride_2(x, weights):
    """The transpose of `conv_4x4_stride_2`: every pixel paints a 4×4 patch."""
    kernel, bias = weights  # (4, 4, out, in)
    batch, height, width, _ = x.shape
    y = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[2]))
    for i in range(height):
        for j in range(width):
            patch = np.einsum("bc,uvoc->buvo", x[:, i, j], kernel)
            y[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += patch
    return y[:, 1:-1, 1:-1] + bias


def cnn_generator(latents, w, side, labels=None):
    kernel, bias = w["dense"]
    x = (latents @ kernel + bias).reshape(len(latents), side, side, -1)
    for i in (1, 2, 3):
        x = deconv_4x4_stride_2(x, w[f"deconv_{i}"])
        x = relu(norm(x, w[f"norm_{i}"], labels))
    return np.tanh(conv(x, w["to_image"]))


def cnn_features(images, w):
    x = images
    for i in range(7):
        x = (conv_4x4_stride_2 if i in (1, 3, 5) else conv)(x, w[f"conv_{i}"])
        x = leaky_relu(x)
    return x.reshape(len(x), -1)


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
