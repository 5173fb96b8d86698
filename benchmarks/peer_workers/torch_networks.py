"""The paper's networks for 32 to 48 pixels in plain torch.

Layers bear the names that they have in `training.networks`, so that weights carry
over by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

Wrap = Callable[[nn.Module], nn.Module]

_EPSILON = 2e-5


class CnnGenerator(nn.Module):
    """Table 3's generator."""

    def __init__(self, size: int, latent_dim: int, width: float):
        super().__init__()
        self.bottom = size // 8
        widths = [max(1, round(w * width)) for w in (512, 256, 128, 64)]
        self.top = widths[0]
        self.dense = nn.Linear(latent_dim, self.bottom**2 * self.top)
        for i in (1, 2, 3):
            pair = widths[i - 1 : i + 1]
            setattr(self, f"deconv_{i}", nn.ConvTranspose2d(*pair, 4, 2, 1))
            setattr(self, f"norm_{i}", nn.BatchNorm2d(pair[1], _EPSILON, 0.1))
        self.to_image = nn.Conv2d(widths[3], 3, 3, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """From latents to images."""
        x = self.dense(z).view(-1, self.top, self.bottom, self.bottom)
        for i in (1, 2, 3):
            x = getattr(self, f"deconv_{i}")(x)
            x = functional.relu(getattr(self, f"norm_{i}")(x), inplace=True)
        return torch.tanh(self.to_image(x).float())


class CnnDiscriminator(nn.Module):
    """Table 3's discriminator."""

    def __init__(self, size: int, width: float, wrap: Wrap):
        super().__init__()
        before = 3
        strides = (1, 2, 1, 2, 1, 2, 1)
        for i, filters in enumerate((64, 64, 128, 128, 256, 256, 512)):
            after = max(1, round(filters * width))
            kernel = 3 if strides[i] == 1 else 4
            conv = nn.Conv2d(before, after, kernel, strides[i], padding=1)
            setattr(self, f"conv_{i}", wrap(conv))
            before = after
        self.dense = wrap(nn.Linear(before * (size // 8) ** 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to logits."""
        for i in range(7):
            x = getattr(self, f"conv_{i}")(x)
            x = functional.leaky_relu(x, 0.1, inplace=True)
        return self.dense(x.flatten(1)).float()


class ResNetGenerator(nn.Module):
    """Table 4's generator."""

    def __init__(self, latent_dim: int, width: float):
        super().__init__()
        self.top = w = max(1, round(256 * width))
        self.dense = nn.Linear(latent_dim, 16 * w)
        for block in ("block1", "block2", "block3"):
            setattr(self, f"{block}_norm1", nn.BatchNorm2d(w, _EPSILON, 0.1))
            setattr(self, f"{block}_conv1", nn.Conv2d(w, w, 3, padding=1))
            setattr(self, f"{block}_norm2", nn.BatchNorm2d(w, _EPSILON, 0.1))
            setattr(self, f"{block}_conv2", nn.Conv2d(w, w, 3, padding=1))
            setattr(self, f"{block}_shortcut", nn.Conv2d(w, w, 1))
        self.norm = nn.BatchNorm2d(w, _EPSILON, 0.1)
        self.to_image = nn.Conv2d(w, 3, 3, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """From latents to images."""
        x = self.dense(z).view(-1, self.top, 4, 4)
        for block in ("block1", "block2", "block3"):
            layer = {n: getattr(self, f"{block}_{n}") for n in _GENERATOR_LAYERS}
            h = functional.relu(layer["norm1"](x), inplace=True)
            h = layer["conv1"](functional.interpolate(h, scale_factor=2))
            h = functional.relu(layer["norm2"](h), inplace=True)
            h = layer["conv2"](h)
            x = h + layer["shortcut"](functional.interpolate(x, scale_factor=2))
        x = functional.relu(self.norm(x), inplace=True)
        return torch.tanh(self.to_image(x).float())


_GENERATOR_LAYERS = ("norm1", "conv1", "norm2", "conv2", "shortcut")


class ResNetDiscriminator(nn.Module):
    """Table 4's discriminator."""

    def __init__(self, width: float, wrap: Wrap):
        super().__init__()
        w = max(1, round(128 * width))
        for number in (1, 2, 3, 4):
            before = 3 if number == 1 else w
            conv1 = nn.Conv2d(before, w, 3, padding=1)
            setattr(self, f"block{number}_conv1", wrap(conv1))
            conv2 = nn.Conv2d(w, w, 3, padding=1)
            setattr(self, f"block{number}_conv2", wrap(conv2))
            if number <= 2:
                shortcut = nn.Conv2d(before, w, 1)
                setattr(self, f"block{number}_shortcut", wrap(shortcut))
        self.dense = wrap(nn.Linear(w, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """From images to logits."""
        h = functional.relu(self.block1_conv1(x), inplace=True)
        h = functional.avg_pool2d(self.block1_conv2(h), 2)
        x = h + self.block1_shortcut(functional.avg_pool2d(x, 2))
        h = functional.relu(self.block2_conv1(functional.relu(x)), inplace=True)
        h = functional.avg_pool2d(self.block2_conv2(h), 2)
        x = h + functional.avg_pool2d(self.block2_shortcut(x), 2)
        h = functional.relu(self.block3_conv1(functional.relu(x)), inplace=True)
        x = x + self.block3_conv2(h)
        h = functional.relu(self.block4_conv1(functional.relu(x)), inplace=True)
        x = x + self.block4_conv2(h)
        features = functional.relu(x).sum(dim=(2, 3))
        return self.dense(features).float()
