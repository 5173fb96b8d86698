"""A step of a small GAN from the paper's formulas: float64, none of our layers.

Weights are a dict from `layer/variable` to arrays. The networks are those of
`test_combinations`; gradients are TensorFlow's of what is written here.
"""

import numpy as np
import tensorflow as tf

from training.gan import draws

SLOPE, EPSILON = 0.1, 2e-5  # of leaky ReLU; of batch and layer norm
LAMBDA = 10.0
CLASSIFIER_IN_D, CLASSIFIER_IN_G = 1.0, 0.1
ORTHONORMAL, SPECTRAL_DECAY = 1.0, 0.01
CLIP = 0.01

D_LOSSES = {
    "hinge": lambda real, fake: mean(positive(1 - real)) + mean(positive(1 + fake)),
    "standard": lambda real, fake: mean(softplus(-real)) + mean(softplus(fake)),
    "wasserstein": lambda real, fake: mean(fake) - mean(real),
}
G_LOSSES = {
    "hinge": lambda fake: -mean(fake),
    "standard": lambda fake: mean(softplus(-fake)),
    "wasserstein": lambda fake: -mean(fake),
}


def mean(x):
    return tf.reduce_mean(x)


def positive(x):
    return tf.where(x > 0, x, 0.0 * x)


def softplus(x):
    return tf.math.log(1 + tf.exp(x))


def cross_entropy(labels, logits):
    chosen = tf.gather(logits, labels, axis=1, batch_dims=1)
    return mean(tf.math.log(tf.reduce_sum(tf.exp(logits), axis=1)) - chosen)


def standardized(x, axes):
    centred = x - tf.reduce_mean(x, axes, keepdims=True)
    variance = tf.reduce_mean(centred**2, axes, keepdims=True)
    return centred / tf.sqrt(variance + EPSILON)


def convolved(x, kernel, bias, stride=1):
    return tf.nn.conv2d(x, kernel, stride, "SAME") + bias


def matrix_t(kernel):
    """The paper's matrix, transposed: every column is a filter."""
    return tf.reshape(kernel, [-1, kernel.shape[-1]])


class Discriminator:
    """D under one method and conditional form; `calls` advance the vectors u, v."""

    def __init__(self, weights, method, form):
        self.weights, self.method, self.form = weights, method, form
        self.vectors = {}

    def kernel(self, layer, name="kernel"):
        """What the layer runs with: its kernel as the method normalizes it."""
        raw = self.weights[f"{layer}/{name}"]
        columns = matrix_t(raw)
        method = self.method.removesuffix("-gamma")
        if method == "spectral":
            w = columns.numpy().T
            u = self.vectors.get(layer, (self.weights[f"{layer}/u"].numpy(),))[0]
            v = w.T @ u
            v = v / np.linalg.norm(v)
            u = w @ v
            u = u / np.linalg.norm(u)
            self.vectors[layer] = u, v
            norm = tf.reduce_sum(columns * np.outer(v, u))  # uᵀWv
        elif method == "weight-norm":
            norm = tf.sqrt(tf.reduce_sum(columns**2, axis=0))
        elif method == "frobenius":
            norm = tf.sqrt(tf.reduce_sum(columns**2))
        else:
            return raw
        return raw / norm * self.weights.get(f"{layer}/gamma", 1.0)

    def activated(self, x, between):
        if between and self.method in ("batch-norm", "layer-norm"):
            axes = [0, 1, 2] if self.method == "batch-norm" else [1, 2, 3]
            x = standardized(x, axes) + self.weights["between/beta"]
        return tf.where(x > 0, x, SLOPE * x)

    def call(self, images, labels):
        """Logits, and class logits or None."""
        w = self.weights
        x = convolved(images, self.kernel("conv_0"), w["conv_0/bias"])
        x = self.activated(x, between=False)
        if self.form == "concat":
            rows = tf.gather(self.kernel("labels_embedding", "embeddings"), labels)
            tiled = tf.ones_like(x[..., :1]) * rows[:, None, None, :]
            x = tf.concat([x, tiled], axis=3)
        x = convolved(x, self.kernel("conv_1"), w["conv_1/bias"], 2)
        x = self.activated(x, between=True)
        features = tf.reshape(x, [x.shape[0], -1])
        logits = features @ self.kernel("dense") + w["dense/bias"]
        if self.form == "projection":
            rows = tf.gather(self.kernel("labels_embedding", "embeddings"), labels)
            logits += tf.reduce_sum(rows * features, axis=1, keepdims=True)
        classes = None
        if self.form == "auxiliary":
            classes = features @ self.kernel("class_dense") + w["class_dense/bias"]
        return logits, classes

    def regularization(self):
        """What the method adds to D's loss, by closed form."""
        total = tf.zeros([], tf.float64)
        for name, value in self.weights.items():
            if name.split("/")[1] not in ("kernel", "embeddings"):
                continue
            columns = matrix_t(value)
            if self.method == "orthonormal":
                rows, filters = columns.shape
                wide = filters > rows
                gram = tf.matmul(
                    columns, columns, transpose_a=not wide, transpose_b=wide
                )
                total += ORTHONORMAL * tf.reduce_sum((gram - np.eye(len(gram))) ** 2)
            if self.method == "spectral-regularization":
                largest = tf.linalg.svd(columns, compute_uv=False)[0]
                total += SPECTRAL_DECAY / 2 * largest**2
        return total


def generate(w, latents, labels):
    x = latents @ w["dense/kernel"] + w["dense/bias"]
    x = standardized(tf.reshape(x, [x.shape[0], 6, 6, -1]), [0, 1, 2])
    scale, shift = w["norm/gamma"], w["norm/beta"]
    if labels is not None:  # conditional batch norm: a row a class
        scale = tf.gather(scale, labels)[:, None, None]
        shift = tf.gather(shift, labels)[:, None, None]
    x = positive(x * scale + shift)
    return tf.tanh(convolved(x, w["to_image/kernel"], w["to_image/bias"]))


def penalty(d, real, fake, mix, labels):
    mixed = mix * real + (1 - mix) * fake
    with tf.GradientTape() as tape:
        tape.watch(mixed)
        total = tf.reduce_sum(d.call(mixed, labels)[0])
    gradient = tf.reshape(tape.gradient(total, mixed), [mixed.shape[0], -1])
    return LAMBDA * mean((tf.norm(gradient, axis=1) - 1) ** 2)


def tensors(weights):
    return {name: tf.constant(w, tf.float64) for name, w in weights.items()}


def descended(tape, loss, weights, rate):
    gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
    return {
        name: w - rate * tf.convert_to_tensor(gradients[name])
        for name, w in weights.items()
    }


def step(g, d, case, real, labels, at, rate):
    """The weights of G and D after one update of each, G's first.

    Args:
        g: G's weights before.
        d: D's.
        case: method, loss, whether there is a penalty, conditional form.
        real: the images.
        labels: their classes.
        at: the number of the step.
        rate: of gradient descent.
    """
    method, loss, penalized, form = case
    latent_dim = g["dense/kernel"].shape[0]
    g, d = tensors(g), Discriminator(tensors(d), method, form)
    real = tf.cast(real, tf.float64)
    labels = None if form is None else labels

    def drawn(update):
        when = draws.At(0, at, update)
        latents = draws.latents(when, len(real), latent_dim)
        classes = None if form is None else draws.labels(when, len(real), 3)
        return tf.cast(latents, tf.float64), classes

    latents, fake_labels = drawn(0)
    with tf.GradientTape() as tape:
        tape.watch(g)
        logits, classes = d.call(generate(g, latents, fake_labels), fake_labels)
        total = G_LOSSES[loss](logits)
        if form == "auxiliary":
            total += CLASSIFIER_IN_G * cross_entropy(fake_labels, classes)
    g = descended(tape, total, g, rate)

    latents, fake_labels = drawn(1)
    fake = generate(g, latents, fake_labels)
    with tf.GradientTape() as tape:
        tape.watch(d.weights)
        if method == "batch-norm":  # statistics of real and generated images apart
            fake_logits, _ = d.call(fake, fake_labels)
            real_logits, classes = d.call(real, labels)
        else:
            both = None if labels is None else tf.concat([labels, fake_labels], 0)
            logits, classes = d.call(tf.concat([real, fake], 0), both)
            real_logits, fake_logits = tf.split(logits, 2)
        total = D_LOSSES[loss](real_logits, fake_logits)
        if form == "auxiliary":
            total += CLASSIFIER_IN_D * cross_entropy(labels, classes[: len(real)])
        total += d.regularization()
        if penalized:
            mix = tf.cast(draws.mix(draws.At(0, at, 1), len(real)), tf.float64)
            total += penalty(d, real, fake, mix, labels)
    new = descended(tape, total, d.weights, rate)
    for layer, (u, v) in d.vectors.items():
        new[f"{layer}/u"], new[f"{layer}/v"] = u, v
    if method == "weight-clipping":
        for layer in ("conv_0", "conv_1"):
            new[f"{layer}/kernel"] = np.clip(new[f"{layer}/kernel"], -CLIP, CLIP)
    return g, new
