"""Batch and layer normalization in D, both without the multiplier.

With a multiplier per channel, D could scale its layers at will, and neither would
bound its Lipschitz constant; Miyato et al. 2018, section 4, therefore leave it out and
keep the shift β. Neither follows D's first convolution.
"""

from training.deferred import keras
from training.normalizers.base import Normalizer

BATCH_NORM = Normalizer(
    "batch-norm",
    "batch normalization before each activation of D, without the multiplier",
    # Momentum and epsilon as in the generator.
    between=lambda: keras.layers.BatchNormalization(
        scale=False, momentum=0.9, epsilon=2e-5
    ),
    bounds=False,  # the last layer is left as it is
)

LAYER_NORM = Normalizer(
    "layer-norm",
    "layer normalization before each activation of D, without the multiplier",
    # Over height, width and channels, with one β a channel: a LayerNormalization over
    # the three axes would have one β a pixel.
    between=lambda: keras.layers.GroupNormalization(1, scale=False, epsilon=2e-5),
    bounds=False,
)
