"""The worker for PyTorch with `torch.nn.utils.parametrizations.spectral_norm`."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from benchmarks.peer_workers import torch_networks
from benchmarks.peer_workers.protocol import Peer, serve, singular_vectors

_LATENT_DIM = 128


class Torch(Peer):
    """The same networks and step in plain torch."""

    def versions(self) -> dict[str, str]:
        return {"torch": torch.__version__}

    def build(
        self,
        step: dict[str, Any],
        threads: int,
        channels_last: bool = False,
        compiled: bool = False,
        **options: Any,
    ) -> Any:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self._batch = step["batch_size"]
        self._count = step["discriminator_steps"]
        self._bfloat16 = step["precision"] == "mixed_bfloat16"
        size, width = step["image_size"], step["width"]

        def wrap(layer: nn.Module) -> nn.Module:
            normalized = step["method"] == "sn"
            return parametrizations.spectral_norm(layer) if normalized else layer

        if step["network"] == "cnn":
            g = torch_networks.CnnGenerator(size, _LATENT_DIM, width)
            d = torch_networks.CnnDiscriminator(size, width, wrap)
        else:
            g = torch_networks.ResNetGenerator(_LATENT_DIM, width)
            d = torch_networks.ResNetDiscriminator(width, wrap)
        shape = (self._batch * self._count, 3, size, size)
        random = np.random.default_rng(0)
        images = random.uniform(-1, 1, shape).astype("float32")
        self._real = torch.from_numpy(images)
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self._real = self._real.contiguous(memory_format=self._format)
        self._g = g.to(memory_format=self._format)
        self._d = d.to(memory_format=self._format)
        self._run_g, self._run_d = self._g, self._d
        if compiled:
            self._run_g, self._run_d = torch.compile(g), torch.compile(d)
        rates = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-7}
        self._g_adam = torch.optim.Adam(g.parameters(), **rates)
        self._d_adam = torch.optim.Adam(d.parameters(), **rates)
        return {
            "generator": sum(p.numel() for p in g.parameters()),
            "discriminator": sum(p.numel() for p in d.parameters()),
        }

    def step(self) -> None:
        self._d.requires_grad_(False)
        with self._autocast():
            loss = -self._run_d(self._fake()).mean()
        self._g_adam.zero_grad()
        loss.backward()
        self._g_adam.step()

        self._d.requires_grad_(True)
        for i in range(self._count):
            real = self._real[i * self._batch : (i + 1) * self._batch]
            with self._autocast():
                with torch.no_grad():
                    fake = self._fake()
                loss = _hinge(self._run_d(torch.cat([real, fake])))
            self._d_adam.zero_grad()
            loss.backward()
            self._d_adam.step()
        loss.item()

    def losses(self, path: str) -> dict[str, float]:
        with np.load(path) as arrays:
            values = dict(arrays)
        for name, network in (("generator", self._g), ("discriminator", self._d)):
            for layer_name, layer in network.named_children():
                _load(layer, values, f"{name}/{layer_name}", self._d_top(network))
        real = torch.from_numpy(values["real"]).permute(0, 3, 1, 2)
        latents = torch.from_numpy(values["latents"])
        with torch.no_grad(), self._autocast():
            fake = self._g(latents)
            logits = self._d(torch.cat([real, fake]))
        on_fake = logits[len(real) :]
        return {
            "discriminator": float(_hinge(logits)),
            "generator": float(-on_fake.mean()),
        }

    def gradient(self, path: str) -> list[float]:
        with np.load(path) as arrays:
            w, x, c, u = (arrays[key].astype("float32") for key in "wxcu")
        linear = nn.Linear(*w.shape, bias=False)
        linear.weight.data = torch.from_numpy(w.T.copy())
        linear = parametrizations.spectral_norm(linear)
        _settle(linear)
        (torch.from_numpy(c) * linear(torch.from_numpy(x))).sum().backward()
        gradient = linear.parametrizations.weight.original.grad
        return gradient.T.numpy().ravel().tolist()

    def _fake(self) -> torch.Tensor:
        latents = torch.randn(self._batch, _LATENT_DIM)
        return self._run_g(latents).contiguous(memory_format=self._format)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self._bfloat16:
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()

    def _d_top(self, network: nn.Module) -> int:
        """Channels of the feature map that a dense layer makes or takes."""
        if network is self._g:
            return self._g.top
        if isinstance(network, torch_networks.CnnDiscriminator):
            return int(network.conv_6.bias.numel())
        return 0


def _hinge(logits: torch.Tensor) -> torch.Tensor:
    on_real, on_fake = logits.chunk(2)
    return functional.relu(1 - on_real).mean() + functional.relu(1 + on_fake).mean()


def _load(layer: nn.Module, values: dict[str, Any], key: str, top: int) -> None:
    """Copies one layer's weights from Keras' layout to torch's."""
    names = {"gamma": "weight", "beta": "bias", "kernel": "weight", "bias": "bias"}
    parametrized = hasattr(layer, "parametrizations")
    with torch.no_grad():
        for name, target in names.items():
            value = values.get(f"{key}/{name}")
            if value is None:
                continue
            if isinstance(layer, nn.Linear) and top:
                value = _channels_first(value, top, name, layer)
            elif name == "kernel" and value.ndim == 4:
                value = value.transpose(3, 2, 0, 1)
            if name == "kernel" and value.ndim == 2:
                value = value.T
            parameter = getattr(layer, target)
            if parametrized and target == "weight":
                parameter = layer.parametrizations.weight.original
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    if parametrized:
        _settle(layer)


def _channels_first(
    value: np.ndarray, top: int, name: str, layer: nn.Linear
) -> np.ndarray:
    """Reorders the positions and channels that a dense layer flattens."""
    if layer.out_features == 1:
        if name == "bias":
            return value
        return value.reshape(-1, top).T.reshape(-1, 1)
    rows = value.reshape(-1, layer.out_features // top, top)
    return rows.transpose(0, 2, 1).reshape(value.shape)


def _settle(layer: nn.Module) -> None:
    """Gives a wrapper the exact singular vectors of its weight."""
    parametrization = layer.parametrizations.weight[0]
    weight = layer.parametrizations.weight.original.detach().numpy()
    u, v = singular_vectors(weight.reshape(len(weight), -1))
    parametrization._u.copy_(torch.from_numpy(u))
    parametrization._v.copy_(torch.from_numpy(v))


if __name__ == "__main__":
    serve(Torch())
