"""Presets that are not the paper's: for a first look, and for one's own pictures."""

from __future__ import annotations

from training.runs.preset import Preset

# What differs from the paper's setting C, and why, after 1,500 updates:
# - labels (projection) and
# - α of 5e-4, where 2e-4 is for 100,000 updates: without both a third of the digits
#   can't be read, and the FCD is 6.4 where it is 1.1 with them (by one classifier);
# - the average of G's weights, which is what is drawn, scored and exported: batches of
#   64 move the last weights about.
# The loss (hinge), SN in all of D's layers, the networks (at a quarter of their
# width), Adam's β and one update of D are the paper's.
MNIST_DEMO = Preset(
    name="mnist-demo",
    description="5,000 embedded digits by class, standard CNN at a quarter of its "
    "width, SN, hinge loss",
    data="mnist5k",
    width_multiplier=0.25,
    conditioning="projection",
    learning_rate=5e-4,
    ema=0.99,
    ema_ramp=True,
    steps=1_500,
)

# The paper's residual network and its setting. Beside them, what makes up for few
# images: augmentation of all that D sees, mirrored images, and an average of G.
PHOTOS = Preset(
    name="photos",
    description="a folder of one's own pictures (`--data`), residual network, SN, "
    "hinge loss, differentiable augmentation",
    data="photos",
    image_size=64,
    network="resnet",
    setting="ResNet",
    ema=0.999,
    ema_ramp=True,
    augmentation="color,translation,cutout",
    flips=True,
    steps=50_000,
)

OURS = (MNIST_DEMO, PHOTOS)
