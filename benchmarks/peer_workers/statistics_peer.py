"""The worker of `fid_statistics`: ours or torch-fidelity's, in its environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peer_workers.protocol import Peer, serve
from benchmarks.shared import machine


class Statistics(Peer):
    """Fréchet distance of a large set of features from a small one."""

    def prepare(self, library: str, rows: int, dimension: int) -> None:
        """Makes the features, the same in every process.

        Args:
            library: `training.evaluation` or `torch-fidelity`.
            rows: images in the large set.
            dimension: features of an image.
        """
        random = np.random.default_rng(0)
        features = random.standard_normal((rows, dimension), np.float32)
        np.maximum(features, 0, out=features)
        parts = _ours() if library == "training.evaluation" else _torch_fidelity()
        self._statistics, self._distance = parts
        self._features = features
        self._small = self._statistics(features[: rows // 10] * 1.1)
        machine.reset_peak_memory()
        self._large = self._statistics(features)

    def timed(self, part: str) -> float:
        """Returns the seconds of one `statistics` or one `distance`."""
        start = time.perf_counter()
        if part == "statistics":
            self._statistics(self._features)
        else:
            self.distance()
        return time.perf_counter() - start

    def distance(self) -> float:
        """Returns the distance."""
        return self._distance(self._large, self._small)

    def memory(self, steps: int = 0) -> Any:
        """Returns the peak of resident memory since the features were made."""
        return machine.peak_memory()


def _ours() -> tuple[Callable[..., Any], Callable[..., float]]:
    from training.evaluation.scores.frechet_distance import frechet_distance
    from training.evaluation.scores.statistics import gaussian_statistics

    return gaussian_statistics, frechet_distance


def _torch_fidelity() -> tuple[Callable[..., Any], Callable[..., float]]:
    import torch

    # torchvision, which none of this uses, names operators of its compiled part, which
    # doesn't load beside a CPU build of torch.
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou) -> Tensor")
    from torch_fidelity import metric_fid

    def statistics(features: np.ndarray) -> Any:
        return metric_fid.fid_features_to_statistics(torch.from_numpy(features))

    def distance(first: Any, second: Any) -> float:
        found = metric_fid.fid_statistics_to_metric(first, second, False)
        return found[metric_fid.KEY_METRIC_FID]

    statistics.library = library  # type: ignore[attr-defined]  # must stay alive
    return statistics, distance


if __name__ == "__main__":
    serve(Statistics())
