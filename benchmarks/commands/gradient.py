"""`gradient`: how far each implementation's gradient is from an exact one.

The function is `⟨C, X · W/σ(W)⟩` with random X, C and W; the oracle is
`(G − ⟨G, W/σ⟩ v uᵀ) / σ` with `G = Xᵀ C`, by singular value decomposition in float64.
Every power iteration starts from the exact singular vector, so that the error is the
gradient's and not that of a σ that hasn't settled.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np

from benchmarks.shared import environments, tables
from benchmarks.shared.workers import Worker, WorkerError
from training import values

_PEERS: tuple[tuple[str, str, str | None, dict[str, str]], ...] = (
    ("sn_keras", "sn_keras_peer", None, {"method": "sn"}),
    ("keras-wrapper", "sn_keras_peer", None, {"method": "keras-sn"}),
    ("tfa", "tfa_peer", "tfa", {}),
    ("torch", "torch_peer", "torch", {}),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    names = [name for name, *_ in _PEERS]
    parser.add_argument("--peers", nargs="+", choices=names, default=names)
    parser.add_argument("--rows", type=int, default=20, help="d_in (default: 20)")
    parser.add_argument("--columns", type=int, default=12, help="d_out (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    environments.add_folder(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    for name in ("rows", "columns"):
        values.integer(name, getattr(arguments, name))
    problem = random_problem(arguments.rows, arguments.columns, arguments.seed)
    exact = oracle(problem["w"], problem["x"], problem["c"])
    errors: dict[str, float] = {}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "problem.npz")
        np.savez(path, allow_pickle=False, **problem)
        for name, module, environment, options in _PEERS:
            if name not in arguments.peers:
                continue
            try:
                python = pathlib.Path(sys.executable)
                if environment is not None:
                    python = environments.python_of(
                        environments.ENVIRONMENTS[environment], arguments.environments
                    )
                with Worker(name, python, module, threads=1) as worker:
                    flat = worker.ask("gradient", path=path, **options)
            except (WorkerError, environments.SetUpError) as error:
                left_out[name] = str(error)
                continue
            gradient = np.reshape(flat, exact.shape)
            distance = np.linalg.norm(gradient - exact)
            errors[name] = float(distance / np.linalg.norm(exact))
    tables.show(
        f"Relative error of the gradient, W {arguments.rows}×{arguments.columns}, "
        "float32, against SVD in float64",
        ["implementation", "relative error"],
        [[name, f"{error:.2g}"] for name, error in errors.items()],
    )
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    return {"relative_errors": errors, "left_out": left_out}


def random_problem(rows: int, columns: int, seed: int) -> dict[str, np.ndarray]:
    """Returns normal random `w`, `x`, `c`, and the first singular vector `u` of `w`.

    Args:
        rows: d_in.
        columns: d_out.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    # Rounded to float32, which is what the implementations are given.
    w = random.standard_normal((rows, columns)).astype("float32")
    x = random.standard_normal((4, rows)).astype("float32")
    c = random.standard_normal((4, columns)).astype("float32")
    u = np.linalg.svd(w.astype("float64"))[2][0]
    return {"w": w, "x": x, "c": c, "u": u}


def oracle(w: np.ndarray, x: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Returns the exact gradient of `⟨C, X·W/σ(W)⟩` by W.

    Args:
        w: d_in × d_out.
        x: any × d_in.
        c: any × d_out.
    """
    w, x, c = (np.asarray(array, np.float64) for array in (w, x, c))
    left, sigmas, right = np.linalg.svd(w, full_matrices=False)
    upstream = x.T @ c
    along = np.sum(upstream * w) / sigmas[0]
    return (upstream - along * np.outer(left[:, 0], right[0])) / sigmas[0]
