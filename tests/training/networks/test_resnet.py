"""The residual networks against the paper's counts and a forward pass in NumPy."""

import keras
import numpy as np
import pytest

from sn_keras import SpectralNormalization
from tests.training.networks import reference
from training.networks import NETWORKS, resnet
from training.normalizers import NORMALIZERS

NONE = NORMALIZERS["none"]


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def close(actual, expected):
    actual = keras.ops.convert_to_numpy(actual)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


# Counted by hand from the paper's tables.
GENERATORS = [(32, None, 4_276_739), (32, 10, 4_304_387), (48, None, 4_878_083)]
DISCRIMINATORS = [
    (32, None, None, 1_053_824),
    (32, 10, "projection", 1_055_104),
    (48, None, None, 10_141_441),
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "classes", "count"), GENERATORS)
def test_generator_counts(size, classes, count):
    model = resnet.generator((size, size, 3), num_classes=classes)
    assert trainable(model) == count
    assert model.output_shape == (None, size, size, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "classes", "conditioning", "count"), DISCRIMINATORS)
def test_discriminator_counts(size, classes, conditioning, count):
    model = resnet.discriminator(
        (size, size, 3), num_classes=classes, conditioning=conditioning
    )
    assert trainable(model) == count
    assert model.output_shape == (None, 1)


@pytest.mark.slow
def test_counts_at_128_pixels():
    # Without SN, whose start vectors would take seconds to find at this size.
    shape = (128, 128, 3)
    assert trainable(resnet.generator(shape, num_classes=1000)) == 41_996_931
    assert trainable(resnet.discriminator(shape, NONE)) == 29_017_857
    projection = resnet.discriminator(
        shape, NONE, num_classes=1000, conditioning="projection"
    )
    assert trainable(projection) == 30_041_857
    # Beside 1000 · 128 for the embedding, block 4 takes 128 channels more: its hidden
    # width is 384 = 256 + 128.
    block = (9 * 384 * 384 + 384) + 9 * 384 * 512 + 384 * 512
    plain = (9 * 256 * 256 + 256) + 9 * 256 * 512 + 256 * 512
    concat = resnet.discriminator(shape, NONE, num_classes=1000, conditioning="concat")
    assert trainable(concat) == 29_017_857 + 1000 * 128 + block - plain
    assert concat.get_layer("labels_concat").output.shape == (None, 16, 16, 384)


@pytest.mark.parametrize("size", [32, 48])
def test_discriminator_equals_the_formula(size):
    rng = np.random.default_rng(0)
    model = resnet.discriminator((size, size, 3), NONE, width_multiplier=1 / 32)
    w = reference.weights_of(model, rng)
    images = rng.uniform(-1, 1, (2, size, size, 3)).astype("float32")
    down, blocks = {32: (2, 4), 48: (4, 5)}[size]
    h = reference.features(images.astype("float64"), w, down, blocks)
    kernel, *bias = w["dense"]
    assert len(bias) == (size != 32)  # CIFAR-10's has no bias
    close(model(images), h @ kernel + sum(bias))


@pytest.mark.slow
@pytest.mark.parametrize(("size", "classes"), [(32, None), (32, 3), (48, None)])
def test_generator_equals_the_formula(size, classes):
    rng = np.random.default_rng(0)
    model = resnet.generator(
        (size, size, 3), latent_dim=16, width_multiplier=1 / 32, num_classes=classes
    )
    w = reference.weights_of(model, rng)
    latents = rng.normal(size=(2, 16)).astype("float32")
    labels = None if classes is None else np.array([2, 0], "int32")
    want = reference.generator(latents.astype("float64"), w, 3, labels)
    close(model(latents if labels is None else [latents, labels]), want)


@pytest.mark.slow
def test_128_pixels_run_at_a_small_width():
    shape = (128, 128, 1)
    generator = resnet.generator(shape, width_multiplier=1 / 64, num_classes=3)
    discriminator = resnet.discriminator(
        shape, NONE, width_multiplier=1 / 64, num_classes=3, conditioning="concat"
    )
    labels = np.array([0, 2], "int32")
    images = generator([np.zeros((2, 128), "float32"), labels]).numpy()
    assert images.shape == (2, 128, 128, 1)
    assert discriminator([images, labels]).shape == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", [None, "projection", "concat", "auxiliary"])
def test_every_layer_of_d_is_normalized_and_none_of_g(conditioning):
    classes = None if conditioning is None else 4
    model = resnet.discriminator(
        width_multiplier=1 / 16, num_classes=classes, conditioning=conditioning
    )
    kernels = [layer for layer in model.layers if layer.trainable_weights]
    assert all(isinstance(layer, SpectralNormalization) for layer in kernels)
    names = {layer.name for layer in kernels}
    blocks = {1: 3, 2: 3, 3: 2, 4: 2}  # convolutions, with the learned shortcuts
    if conditioning == "concat":
        blocks[3] = 3
    assert len([n for n in names if n.startswith("block")]) == sum(blocks.values())
    extra = {
        None: set(),
        "projection": {"labels_embedding"},
        "concat": {"labels_embedding"},
        "auxiliary": {"class_dense"},
    }[conditioning]
    assert {n for n in names if not n.startswith("block")} == {"dense"} | extra

    generator = resnet.generator(width_multiplier=1 / 16, num_classes=classes)
    assert not any(
        isinstance(layer, SpectralNormalization)
        for layer in generator._flatten_layers()
    )


@pytest.mark.slow
def test_initial_kernels_are_uniform_of_the_papers_scale():
    models = [
        resnet.generator(num_classes=3),
        resnet.discriminator(normalizer=NONE, num_classes=3, conditioning="projection"),
    ]
    for layer in (layer for model in models for layer in model.layers):
        for variable in layer.trainable_weights:
            value = variable.numpy()
            if variable.name == "bias":
                assert not value.any()
            if variable.name not in ("kernel", "embeddings"):
                continue
            receptive = np.prod(variable.shape[:-2])
            fans = receptive * (variable.shape[-2] + variable.shape[-1])
            block = layer.name.startswith("block") and variable.shape[0] == 3
            limit = np.sqrt(6 / fans) * (np.sqrt(2) if block else 1)
            assert 0.97 * limit < np.abs(value).max() <= limit * 1.0001, layer.name


def test_batch_norms_have_the_papers_constants_and_the_last_is_unconditional():
    model = resnet.generator(width_multiplier=1 / 16, num_classes=3)
    norms = [layer for layer in model.layers if "norm" in layer.name]
    assert len(norms) == 7
    assert {(n.momentum, n.epsilon) for n in norms} == {(0.9, 2e-5)}
    assert [type(n).__name__ for n in norms] == [
        "ConditionalBatchNormalization"
    ] * 6 + ["BatchNormalization"]


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", [None, "projection", "concat", "auxiliary"])
def test_saved_and_loaded(conditioning, tmp_path):
    model = resnet.discriminator(
        width_multiplier=1 / 32,
        num_classes=None if conditioning is None else 4,
        conditioning=conditioning,
    )
    model.save(tmp_path / "d.keras")
    again = keras.saving.load_model(tmp_path / "d.keras")
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    labels = np.array([1, 3], "int32")
    inputs = [images, labels] if len(model.inputs) == 2 else images
    for a, b in zip(
        keras.tree.flatten(model(inputs)),
        keras.tree.flatten(again(inputs)),
        strict=True,
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_widths_of_a_scaled_network():
    model = resnet.discriminator(normalizer=NONE, width_multiplier=0.25)
    assert model.get_layer("block4_conv2").output.shape == (None, 8, 8, 32)
    model = resnet.discriminator(
        normalizer=NONE, width_multiplier=0.25, last_width_multiplier=2
    )
    assert model.get_layer("block4_conv1").output.shape == (None, 8, 8, 32)
    assert model.get_layer("block4_conv2").output.shape == (None, 8, 8, 64)


@pytest.mark.slow
def test_half_precision_networks_return_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator = resnet.generator(width_multiplier=1 / 32)
        discriminator = resnet.discriminator(
            width_multiplier=1 / 32, num_classes=3, conditioning="auxiliary"
        )
    finally:
        keras.config.set_dtype_policy("float32")
    images = generator(np.zeros((2, 128), "float32"))
    outputs = keras.tree.flatten([images, discriminator(images)])
    assert [y.dtype for y in outputs] == ["float32"] * 3


def test_it_is_registered():
    network = NETWORKS["resnet"]
    assert network.generator is resnet.generator
    assert network.discriminator is resnet.discriminator


@pytest.mark.parametrize("make", [resnet.generator, resnet.discriminator])
@pytest.mark.parametrize("shape", [(28, 28, 1), (65, 65, 3), (32, 48, 3), (32, 32)])
def test_bad_image_shapes_are_named_with_the_good_ones(make, shape):
    with pytest.raises(ValueError, match=r"`image_s(hape|ize)`.*Received"):
        make(shape)


@pytest.mark.parametrize(
    ("make", "bad"),
    [
        (resnet.generator, {"latent_dim": 0}),
        (resnet.generator, {"num_classes": 0}),
        (resnet.generator, {"width_multiplier": 0}),
        (resnet.generator, {"image_shape": (32, 32, 0)}),
        (resnet.discriminator, {"width_multiplier": -1}),
        (resnet.discriminator, {"num_classes": 10}),
        (resnet.discriminator, {"num_classes": 10, "conditioning": "film"}),
        (resnet.discriminator, {"conditioning": "concat"}),
        (resnet.discriminator, {"conditioning": "concat", "num_classes": -1}),
    ],
)
def test_bad_arguments_are_named(make, bad):
    with pytest.raises(ValueError, match="Received: .*" + list(bad)[-1]):
        make(**bad)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("classes", [None, 3])
def test_statistics_of_the_global_batch_on_request(name, classes):
    for synchronized in (False, True):
        model = NETWORKS[name].generator(
            width_multiplier=1 / 32, num_classes=classes, synchronized=synchronized
        )
        norms = [layer for layer in model.layers if hasattr(layer, "synchronized")]
        assert norms and {norm.synchronized for norm in norms} == {synchronized}


@pytest.mark.slow
@pytest.mark.parametrize("size", resnet.SIZES)
def test_every_size_has_networks_that_fit(size):
    assert (size, resnet.SIZES[0], resnet.SIZES[-1]) >= (32, 32, 256)
    g = resnet.generator((size, size, 3), width_multiplier=1 / 64)
    d = resnet.discriminator((size, size, 3), width_multiplier=1 / 64)
    assert g.output_shape == (None, size, size, 3)
    assert d.output_shape == (None, 1)
    # No resolution that is halved is odd: pooling would drop its last row.
    sides = [layer.input.shape[1] for layer in d.layers if "pool" in layer.name]
    assert all(side % 2 == 0 for side in sides)


def test_the_rule_for_other_sizes_makes_the_papers_128_pixel_networks(monkeypatch):
    paper = resnet._architecture((128, 128, 3))
    monkeypatch.delitem(resnet._ARCHITECTURES, 128)
    assert resnet._architecture((128, 128, 3)) == paper


@pytest.mark.parametrize(
    ("size", "nearest"), [(30, "32 and 40"), (50, "48 and 56"), (1000, "224 and 256")]
)
def test_the_nearest_sizes_are_named(size, nearest):
    with pytest.raises(ValueError, match=f"nearest of which are {nearest}"):
        resnet.check((size, size, 3))
