"""`overhead`: what spectral normalization adds to a step, in all and by layer.

For each network, first the same training step without normalization, with
`SpectralNormalization` by either norm and with Keras' own wrapper, in turns. Then, of
its discriminator, the normalization's own arithmetic (power iteration, σ, W/σ; and its
gradient) layer by layer, beside what the layer itself takes on the images of an update
of D. Last, the memory: what the state takes, and the peak of a step in fresh processes.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.shared import gan_step, tables, timing
from benchmarks.shared.workers import Worker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument("--precision", choices=gan_step.PRECISIONS, default="float32")
    parser.add_argument("--batch-size", type=int, default=64, help="default: 64")
    parser.add_argument(
        "--rounds", type=int, default=30, help="of the steps (default: 30)"
    )
    parser.add_argument(
        "--layer-rounds", type=int, default=20, help="of the layers (default: 20)"
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=("cnn", "resnet"),
        default=("cnn", "resnet"),
        help="default: both",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=("step", "layers", "memory"),
        default=("step", "layers", "memory"),
        help="default: all",
    )
    gan_step.add_size(parser)
    gan_step.add_threads(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the command and returns its result.

    Args:
        arguments: the parsed ones.
    """
    gan_step.set_threads(arguments.threads)
    step = gan_step.Step(
        batch_size=arguments.batch_size,
        precision=arguments.precision,
        image_size=arguments.image_size,
        width=arguments.width,
    )
    result: dict[str, Any] = {}
    for name in arguments.networks:
        of_network = dataclasses.replace(step, network=name)
        if "step" in arguments.parts:
            result[f"{name} step"] = _whole_steps(of_network, arguments.rounds)
        if "layers" in arguments.parts:
            result[f"{name} layers"] = _layers(of_network, arguments.layer_rounds)
        if "memory" in arguments.parts:
            result[f"{name} memory"] = _memory(of_network, arguments.threads)
    return result


def _whole_steps(step: gan_step.Step, rounds: int) -> dict[str, Any]:
    candidates = {}
    for name, method in gan_step.COMPARED.items():
        of_method = dataclasses.replace(step, method=method)
        run_step = gan_step.runner(gan_step.gan(of_method), of_method)
        candidates[name] = timing.timed(run_step)
    seconds = timing.interleave(candidates, rounds, progress=tables.progress)
    base = next(iter(gan_step.COMPARED))
    ratios = timing.paired_ratios(seconds, base)
    to_ours = timing.paired_ratios(seconds, "sn_keras")
    tables.show(
        f"A training step: {step.network} {step.image_size} px, batch "
        f"{step.batch_size}, n_dis 1, {step.precision}, {rounds} rounds",
        ["step", "ms", f"time / {base} (quartiles)", "time / sn_keras"],
        [
            [
                name,
                f"{timing.summarize(times).median * 1e3:.1f}",
                str(ratios[name]),
                str(to_ours[name]),
            ]
            for name, times in seconds.items()
        ],
    )
    return {
        "seconds": seconds,
        "ratios": {name: dataclasses.asdict(r) for name, r in ratios.items()},
        "ratios to sn_keras": {n: dataclasses.asdict(r) for n, r in to_ours.items()},
    }


def _layers(step: gan_step.Step, rounds: int) -> list[dict[str, Any]]:
    _, discriminator = gan_step.networks(step)
    batch = 2 * step.batch_size  # real and generated images in one call
    wrappers = [w for w in discriminator.layers if hasattr(w, "substitutes")]
    rows = []
    for wrapper in wrappers:
        ms = _medians(
            {**_normalization([wrapper]), **_plain_layer(wrapper, batch)}, rounds
        )
        kernel = wrapper.layer.kernel
        shape = "×".join(str(size) for size in kernel.shape)
        rows.append(
            {
                "layer": wrapper.name,
                "kind": f"{type(wrapper.layer).__name__} {shape}",
                "sn forward ms": ms["sn forward"],
                "sn backward ms": ms["sn backward"],
                "layer forward ms": ms["layer forward"],
                "layer backward ms": ms["layer backward"],
                "state KiB": sum(w.numpy().nbytes for w in wrapper.state_variables)
                / 1024,
                "kernel KiB": kernel.numpy().nbytes / 1024,
            }
        )
    figures = [key for key in rows[0] if key not in ("layer", "kind")]
    total = {key: sum(row[key] for row in rows) for key in figures}
    # All layers' normalizations in one graph, where they run beside one another.
    together = _medians(_normalization(wrappers), rounds)
    total["sn forward ms"] = together["sn forward"]
    total["sn backward ms"] = together["sn backward"]
    rows.append({"layer": "all, in one graph", "kind": "", **total})
    tables.show(
        f"Spectral normalization by layer: D of {step.network}, {batch} images, "
        f"{step.precision}, medians of {rounds} rounds, an empty call subtracted",
        [*rows[0], "share of layer"],
        [[*row.values(), f"{_share(row):.1%}"] for row in rows],
    )
    return rows


def _medians(
    candidates: dict[str, Callable[[], object]], rounds: int
) -> dict[str, float]:
    """Returns milliseconds, less an empty call's, and backward ones by difference."""
    import tensorflow as tf

    zero = tf.constant(0.0)
    candidates = {"empty": tf.function(lambda: zero + 1), **candidates}
    seconds = timing.interleave(
        {name: timing.timed(function) for name, function in candidates.items()},
        rounds,
        progress=tables.progress,
    )
    ms = {k: timing.summarize(v).median * 1e3 for k, v in seconds.items()}
    of_interest = {k: v - ms["empty"] for k, v in ms.items() if k != "empty"}
    for name in list(of_interest):
        if name.endswith("both"):
            part = name.removesuffix("both")
            of_interest[f"{part}backward"] = (
                of_interest[name] - of_interest[f"{part}forward"]
            )
    return of_interest


def _share(row: dict[str, Any]) -> float:
    normalization = row["sn forward ms"] + row["sn backward ms"]
    return normalization / (row["layer forward ms"] + row["layer backward ms"])


def _normalization(wrappers: list[Any]) -> dict[str, Callable[[], object]]:
    """The wrappers' arithmetic alone, and together with its gradient."""
    import tensorflow as tf

    kernels = [wrapper.layer.kernel for wrapper in wrappers]
    upstream = [
        tf.random.stateless_normal(tuple(kernel.shape), (3, i))
        for i, kernel in enumerate(kernels)
    ]

    def normalized() -> list[Any]:
        return [w.substitutes(training=True)[0][1] for w in wrappers]

    def both() -> Any:
        with tf.GradientTape() as tape:
            values = normalized()
        sources = [kernel.value for kernel in kernels]
        given = [tf.cast(u, v.dtype) for u, v in zip(upstream, values, strict=True)]
        return tape.gradient(values, sources, output_gradients=given)

    return {"sn forward": tf.function(normalized), "sn both": tf.function(both)}


def _plain_layer(wrapper: Any, batch: int) -> dict[str, Callable[[], object]]:
    """The layer inside, forward alone, and with both of its gradients."""
    import tensorflow as tf

    layer = wrapper.layer
    inputs = tf.random.stateless_normal((batch, *wrapper.input.shape[1:]), (1, 2))
    inputs = tf.cast(inputs, layer.compute_dtype)
    shape = layer.compute_output_shape(inputs.shape)
    upstream = tf.cast(tf.random.stateless_normal(shape, (5, 6)), layer.compute_dtype)

    def both() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
        sources = [inputs, layer.kernel.value]
        return tape.gradient(outputs, sources, output_gradients=upstream)

    return {
        "layer forward": tf.function(lambda: layer(inputs)),
        "layer both": tf.function(both),
    }


def _memory(step: gan_step.Step, threads: int) -> dict[str, dict[str, int]]:
    measured = {}
    for name, method in gan_step.COMPARED.items():
        fields = dataclasses.asdict(dataclasses.replace(step, method=method))
        python = pathlib.Path(sys.executable)
        with Worker(name, python, "sn_keras_peer", threads) as worker:
            worker.ask("build", step=fields, threads=threads)
            measured[name] = worker.ask("memory", steps=3)
    tables.show(
        f"Peak resident memory of a step: {step.network}, batch {step.batch_size}, "
        f"{step.precision}, MiB",
        ["step", "above import", "in all"],
        [
            [
                name,
                f"{(sizes['peak'] - sizes['imported']) / 2**20:.0f}",
                f"{sizes['peak'] / 2**20:.0f}",
            ]
            for name, sizes in measured.items()
        ],
    )
    return measured
