"""`step`: seconds per G update, by method, network, precision and batch size.

Figure 10 of the paper: no normalization, weight normalization, spectral normalization
and WGAN-GP; and how the cost grows with the batch. Methods run in turns; each
network, precision, n_dis and batch size is a session of its own, beside whose matrix
product rate its floor is stated. The whole grid takes hours on two cores: choose.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import itertools
from typing import Any

from benchmarks.shared import floor, gan_step, tables, timing

_METHODS = ("vanilla", "wn", "sn", "wgan-gp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument(
        "--networks", nargs="+", choices=("cnn", "resnet"), default=("cnn", "resnet")
    )
    parser.add_argument("--methods", nargs="+", choices=_METHODS, default=_METHODS)
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=gan_step.PRECISIONS,
        default=gan_step.PRECISIONS,
    )
    parser.add_argument(
        "--discriminator-steps", nargs="+", type=int, default=(1, 5), metavar="N"
    )
    parser.add_argument(
        "--batch-sizes",
        nargs="+",
        type=int,
        default=(16, 32, 64, 128, 256),
        metavar="N",
    )
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    gan_step.add_size(parser)
    gan_step.add_threads(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    gan_step.set_threads(arguments.threads)
    sessions = []
    for network, precision, count, batch_size in itertools.product(
        arguments.networks,
        arguments.precisions,
        arguments.discriminator_steps,
        arguments.batch_sizes,
    ):
        step = gan_step.Step(
            network=network,
            batch_size=batch_size,
            discriminator_steps=count,
            precision=precision,
            image_size=arguments.image_size,
            width=arguments.width,
        )
        sessions.append(_session(step, arguments.methods, arguments.rounds))
    return {"sessions": sessions}


def _session(
    step: gan_step.Step, methods: tuple[str, ...], rounds: int
) -> dict[str, Any]:
    candidates = {}
    operations = {}
    for method in methods:
        of_method = dataclasses.replace(step, method=method)
        run_step = gan_step.runner(gan_step.gan(of_method), of_method)
        candidates[method] = timing.timed(run_step)
        operations[method] = floor.step_operations(of_method)
    product = floor.matrix_product(floor.compute_dtype(step.precision))
    candidates[floor.PRODUCT] = timing.timed(product)
    seconds = timing.interleave(candidates, rounds, warmup=1, progress=tables.progress)
    products = seconds.pop(floor.PRODUCT)
    rate = floor.rate(products)
    ratios = timing.paired_ratios(seconds, methods[0])
    rows = []
    for method, times in seconds.items():
        median = timing.summarize(times).median
        least = operations[method] / (rate.median * 1e9)
        rows.append(
            [
                method,
                f"{median:.3f}",
                str(ratios[method]),
                f"{operations[method] / 1e9:.0f}",
                f"{least:.3f}",
                str(floor.share(times, products, operations[method])),
                f"{median / step.batch_size * 1e3:.2f}",
            ]
        )
    tables.show(
        f"{step.network}, {step.precision}, n_dis {step.discriminator_steps}, batch "
        f"{step.batch_size}; matrix product {rate:.0f} GFLOP/s",
        [
            "method",
            "s per G update",
            f"/ {methods[0]} (quartiles)",
            "GFLOP",
            "floor s",
            "share of floor (quartiles)",
            "ms per image",
        ],
        rows,
    )
    # A session's networks are not needed by the next, whose batch may be larger.
    candidates.clear()
    gc.collect()
    return {
        "step": dataclasses.asdict(step),
        "seconds": seconds,
        "operations": operations,
        floor.PRODUCT: products,
    }
