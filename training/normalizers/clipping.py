"""Weight clipping (Arjovsky et al. 2017), on D's convolutions alone, c = 0.01."""

from sn_keras import WeightClip
from training.normalizers.base import Normalizer

WEIGHT_CLIPPING = Normalizer(
    "weight-clipping",
    "kernels of D's convolutions clipped to [-0.01, 0.01] after each step",
    layer_kwargs={"kernel_constraint": WeightClip},
    convolutions_only=True,
)
