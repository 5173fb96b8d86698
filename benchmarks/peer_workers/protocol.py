"""What a worker process is asked, and how it answers.

A request is a JSON object whose `do` names a method of the worker's `Peer` and whose
other fields are its arguments; the answer is `{"result": …}` or `{"error": text}`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any

import numpy as np

from benchmarks.shared import machine


class Peer:
    """A framework's training step; subclasses implement the first four methods.

    The step is the same everywhere: one update of G, then `discriminator_steps` of D
    on real and generated images in one call, hinge loss, Adam(2e-4, 0.5, 0.999),
    latents drawn in the step.
    """

    def __init__(self) -> None:
        self.imported = machine.peak_memory()

    def versions(self) -> dict[str, str]:
        """Returns the versions of the framework's packages."""
        raise NotImplementedError

    def build(self, step: dict[str, Any], threads: int, **options: Any) -> Any:
        """Makes networks and optimizers.

        Args:
            step: the fields of `benchmarks.shared.gan_step.Step`.
            threads: how many to use.
            **options: the framework's own.

        Returns:
            The numbers of trainable parameters, as
            `{"generator": …, "discriminator": …}`.
        """
        raise NotImplementedError

    def step(self) -> None:
        """Runs one training step and waits for it."""
        raise NotImplementedError

    def losses(self, path: str) -> dict[str, float]:
        """Returns both losses on given weights, before any update.

        Args:
            path: an `.npz` file with `real`, `latents`, and every weight by
                `network/layer/weight`, in Keras' layout.
        """
        raise NotImplementedError

    def gradient(self, path: str) -> list[float]:
        """Returns the gradient of `⟨C, X·W/σ(W)⟩` by W that the wrapper computes.

        Args:
            path: an `.npz` file with `w` (d_in × d_out), `x`, `c` and `u`, the
                singular vector that the power iteration starts from.
        """
        raise NotImplementedError

    def run(self, count: int) -> list[float]:
        """Runs steps and returns each one's seconds.

        Args:
            count: how many.
        """
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            self.step()
            seconds.append(time.perf_counter() - start)
        return seconds

    def memory(self, steps: int) -> dict[str, int]:
        """Returns resident memory in bytes: after the imports, and the steps' peak.

        Args:
            steps: how many to run.
        """
        machine.reset_peak_memory()
        self.run(steps)
        return {"imported": self.imported, "peak": machine.peak_memory()}


def serve(peer: Peer) -> None:
    """Answers requests until standard input ends.

    Args:
        peer: whose methods are asked for.
    """
    # Libraries print to standard output; what they print must not mix with answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            method = getattr(peer, request.pop("do"))
            answer = {"result": method(**request)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


def singular_vectors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first left and right singular vectors, in float64.

    Args:
        matrix: d_out × d_in.
    """
    matrix = np.asarray(matrix, np.float64)
    gram = matrix @ matrix.T
    u = np.linalg.eigh(gram)[1][:, -1]
    v = matrix.T @ u
    return u, v / np.linalg.norm(v)
