"""The worker for torch-mimicry's own SN-GAN networks and training step.

They differ from the paper's in the bilinear upsampling of G and in a bias of D's last
layer; real and generated images go through D apart, and the update of G computes the
gradient of D's weights too.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
import types
from typing import Any

import numpy as np
import torch

from benchmarks.peer_workers.protocol import Peer, serve


def _networks_module() -> Any:
    # The package's own __init__ imports its metrics and data sets, and with them
    # TensorFlow, torchvision and more that the networks don't need.
    spec = importlib.util.find_spec("torch_mimicry")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("torch_mimicry")
    package = types.ModuleType("torch_mimicry")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["torch_mimicry"] = package
    return importlib.import_module("torch_mimicry.nets.sngan.sngan_32")


class _Log:
    """Takes what the training steps log."""

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Drops it."""


class Mimicry(Peer):
    """`SNGANGenerator32` and `SNGANDiscriminator32`, and their `train_step`."""

    def versions(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "torch-mimicry": importlib.metadata.version("torch-mimicry"),
        }

    def build(self, step: dict[str, Any], threads: int, **options: Any) -> Any:
        if (step["network"], step["image_size"]) != ("resnet", 32):
            raise ValueError("torch-mimicry is measured on the ResNet of 32 pixels")
        if step["precision"] != "float32":
            raise ValueError("torch-mimicry's step has half precision for CUDA alone")
        torch.set_num_threads(threads)
        module = _networks_module()
        self._g = module.SNGANGenerator32(ngf=round(256 * step["width"]))
        self._d = module.SNGANDiscriminator32(ndf=round(128 * step["width"]))
        rates = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-7}
        self._g_adam = torch.optim.Adam(self._g.parameters(), **rates)
        self._d_adam = torch.optim.Adam(self._d.parameters(), **rates)
        self._count = step["discriminator_steps"]
        shape = (step["batch_size"], 3, 32, 32)
        images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
        self._real = (torch.from_numpy(images), None)
        return {
            "generator": self._g.count_params()[1],
            "discriminator": self._d.count_params()[1],
        }

    def step(self) -> None:
        log = _Log()
        self._g.train_step(self._real, netD=self._d, optG=self._g_adam, log_data=log)
        for _ in range(self._count):
            self._d.train_step(
                self._real, netG=self._g, optD=self._d_adam, log_data=log
            )


if __name__ == "__main__":
    serve(Mimicry())
