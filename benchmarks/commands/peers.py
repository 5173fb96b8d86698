"""`peers`: the same training step in other frameworks, in turns with ours.

Each peer runs in a process and an environment of its own. Before anything is timed,
all are given the same weights and inputs and must return the same losses, and their
numbers of parameters are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib
import sys
import tempfile
from typing import Any

from benchmarks.shared import environments, floor, gan_step, tables, timing
from benchmarks.shared.workers import Worker, WorkerError

# Losses on the same weights may differ by this much, relative to 1.
_TOLERANCE = {"float32": 1e-4, "mixed_bfloat16": 0.05}
OURS = "sn_keras"


@dataclasses.dataclass(frozen=True)
class Contestant:
    """One column of the comparison.

    Attributes:
        name: as in the table and in `--peers`.
        module: the worker's module.
        environment: name of its environment, or None for this one.
        method: as in `benchmarks.shared.gan_step.Step`.
        options: further arguments of the worker's `build`.
        same_losses: whether it runs exactly our networks.
    """

    name: str
    module: str
    environment: str | None = None
    method: str = "sn"
    options: dict[str, bool] = dataclasses.field(default_factory=dict)
    same_losses: bool = True


CONTESTANTS = (
    Contestant(OURS, "sn_keras_peer"),
    Contestant("no-normalization", "sn_keras_peer", method="vanilla"),
    Contestant("keras-wrapper", "sn_keras_peer", method="keras-sn"),
    Contestant("tfa", "tfa_peer", "tfa"),
    Contestant("torch", "torch_peer", "torch"),
    Contestant(
        "torch-channels-last", "torch_peer", "torch", options={"channels_last": True}
    ),
    Contestant("torch-compiled", "torch_peer", "torch", options={"compiled": True}),
    Contestant(
        "torch-compiled-channels-last",
        "torch_peer",
        "torch",
        options={"compiled": True, "channels_last": True},
    ),
    Contestant("mimicry", "mimicry_peer", "mimicry", same_losses=False),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    names = [one.name for one in CONTESTANTS if one.name != OURS]
    parser.add_argument(
        "--peers",
        nargs="+",
        choices=names,
        default=names,
        help="whom to compare with (default: all)",
    )
    parser.add_argument("--network", choices=("cnn", "resnet"), default="cnn")
    parser.add_argument("--precision", choices=gan_step.PRECISIONS, default="float32")
    parser.add_argument("--batch-size", type=int, default=64, help="default: 64")
    parser.add_argument("--discriminator-steps", type=int, default=1, help="default: 1")
    parser.add_argument("--rounds", type=int, default=15, help="default: 15")
    gan_step.add_size(parser)
    gan_step.add_threads(parser)
    environments.add_folder(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    step = gan_step.Step(
        network=arguments.network,
        batch_size=arguments.batch_size,
        discriminator_steps=arguments.discriminator_steps,
        precision=arguments.precision,
        image_size=arguments.image_size,
        width=arguments.width,
    )
    chosen = [c for c in CONTESTANTS if c.name in {OURS, *arguments.peers}]
    left_out: dict[str, str] = {}
    about: dict[str, dict[str, Any]] = {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        weights = str(folder / "weights.npz")
        workers: dict[str, Worker] = {}
        for contestant in chosen:
            try:
                worker = stack.enter_context(_start(contestant, arguments))
                about[contestant.name] = _prepare(
                    contestant, worker, step, arguments.threads, weights
                )
                workers[contestant.name] = worker
            except (WorkerError, environments.SetUpError) as error:
                if contestant.name == OURS:
                    raise
                left_out[contestant.name] = str(error)
                about.pop(contestant.name, None)
        _check_losses(about, _TOLERANCE[step.precision])
        operations = workers[OURS].ask("operations")
        candidates = {name: _one_step(worker) for name, worker in workers.items()}
        candidates[floor.PRODUCT] = lambda: workers[OURS].ask("product")
        seconds = timing.interleave(
            candidates, arguments.rounds, warmup=1, progress=tables.progress
        )
    return _report(step, seconds, about, left_out, operations)


def _start(contestant: Contestant, arguments: argparse.Namespace) -> Worker:
    python = pathlib.Path(sys.executable)
    if contestant.environment is not None:
        environment = environments.ENVIRONMENTS[contestant.environment]
        python = environments.python_of(environment, arguments.environments)
    return Worker(contestant.name, python, contestant.module, arguments.threads)


def _prepare(
    contestant: Contestant, worker: Worker, step: gan_step.Step, threads: int, path: str
) -> dict[str, Any]:
    fields = dataclasses.asdict(dataclasses.replace(step, method=contestant.method))
    tables.progress(f"{contestant.name}: building, and its first steps")
    about = {
        "versions": worker.ask("versions"),
        "parameters": worker.ask(
            "build", step=fields, threads=threads, **contestant.options
        ),
    }
    # The first ones trace, compile and choose kernels.
    about["first_step"] = worker.ask("run", count=2)[0]
    # Before the losses: what they allocate is no part of a step, and not given back.
    about["memory"] = worker.ask("memory", steps=3)
    if contestant.name == OURS:
        worker.ask("save_weights", path=path)
    if contestant.same_losses and contestant.method == "sn":
        about["losses"] = worker.ask("losses", path=path)
    return about


def _one_step(worker: Worker) -> Any:
    return lambda: worker.ask("run", count=1)[0]


def _check_losses(about: dict[str, dict[str, Any]], tolerance: float) -> None:
    ours = about[OURS]
    for name, other in about.items():
        if "losses" not in other:
            continue
        if other["parameters"] != ours["parameters"]:
            raise WorkerError(
                f"{name} has other networks: {other['parameters']} parameters, "
                f"ours {ours['parameters']}"
            )
        for key, value in other["losses"].items():
            if not abs(value - ours["losses"][key]) <= tolerance:
                raise WorkerError(
                    f"{name} has another {key} loss on the same weights: {value}, "
                    f"ours {ours['losses'][key]}"
                )


def _report(
    step: gan_step.Step,
    seconds: dict[str, list[float]],
    about: dict[str, dict[str, Any]],
    left_out: dict[str, str],
    operations: int,
) -> dict[str, Any]:
    products = seconds.pop(floor.PRODUCT)
    rate = floor.rate(products)
    ratios = timing.paired_ratios(seconds, OURS)
    rows = []
    for name, times in seconds.items():
        other = about[name]
        median = timing.summarize(times).median
        memory = other["memory"]
        rows.append(
            [
                name,
                f"{median * 1e3:.0f}",
                str(ratios[name]),
                f"{floor.share(times, products, operations):.2f}",
                f"{(memory['peak'] - memory['imported']) / 2**20:.0f}",
                f"{memory['peak'] / 2**20:.0f}",
                f"{sum(other['parameters'].values()):,}",
                "same" if "losses" in other else "–",
            ]
        )
    tables.show(
        f"{step.network} {step.image_size} px, batch {step.batch_size}, n_dis "
        f"{step.discriminator_steps}, {step.precision}, {len(seconds[OURS])} rounds",
        [
            "step",
            "ms",
            "time / ours (quartiles)",
            "share of floor (quartiles)",
            "MiB above import",
            "MiB in all",
            "parameters",
            "losses",
        ],
        rows,
    )
    print(
        f"floor: {operations / 1e9:.1f} GFLOP at {rate:.0f} GFLOP/s (matrix product, "
        f"each round) = {operations / rate.median / 1e6:.0f} ms"
    )
    for name, other in about.items():
        parts = ", ".join(f"{k} {v}" for k, v in other["versions"].items())
        print(f"{name}: {parts}; first step {other['first_step']:.1f} s")
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    return {
        "step": dataclasses.asdict(step),
        "seconds": seconds,
        "ratios": {k: dataclasses.asdict(v) for k, v in ratios.items()},
        "operations": operations,
        floor.PRODUCT: products,
        "about": about,
        "left_out": left_out,
    }
