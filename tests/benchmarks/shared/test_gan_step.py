import keras
import pytest

from benchmarks.shared import gan_step


@pytest.mark.slow
@pytest.mark.parametrize("network", ["cnn", "resnet"])
def test_compared_methods_have_equal_parameters(network):
    counts = {
        method: [
            gan_step.trainable_parameters(model)
            for model in gan_step.networks(
                gan_step.Step(network=network, method=method, width=0.125)
            )
        ]
        for method in gan_step.METHODS
    }
    assert len({tuple(count) for count in counts.values()}) == 1, counts


def test_parameters_at_full_width_are_the_papers():
    models = gan_step.networks(gan_step.Step(method="vanilla"))
    assert [gan_step.trainable_parameters(m) for m in models] == [3_812_355, 2_935_873]


def test_networks_have_the_steps_precision():
    step = gan_step.Step(precision="mixed_bfloat16", width=0.0625)
    for model in gan_step.networks(step):
        assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_a_step_changes_both_networks():
    step = gan_step.Step(method="sn", width=0.0625, batch_size=2, discriminator_steps=2)
    gan = gan_step.gan(step)
    networks = (gan.generator, gan.discriminator)
    before = [network.trainable_weights[0].numpy() for network in networks]
    gan_step.runner(gan, step)()
    for network, old in zip(networks, before, strict=True):
        assert abs(network.trainable_weights[0].numpy() - old).max() > 0
