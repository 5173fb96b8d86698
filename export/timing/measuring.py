"""What the process of a benchmark does: times all files in turns.

The module is imported without TensorFlow, whose start-up lines `measure` holds back.
"""

from __future__ import annotations

import math
import pathlib
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

from export import manifest
from export.quiet import quiet
from export.timing import timed_calls
from export.timing.timed_calls import Call
from export.timing.timings import Timing

# A run slower than this (the plain int8 export) gets fewer turns.
_SLOW_SECONDS = 1.0
_SLOW_TURNS = 3
# The thread pools of LiteRT and onnxruntime go on spinning after a run, at the cost
# of whatever is measured next.
_PAUSE_SECONDS = 0.05


def measure(
    folder: str,
    generator: str | None,
    threads: int,
    batch_sizes: Sequence[int],
    turns: int,
    scratch: str | None,
) -> list[Timing]:
    """Returns a timing for each file and batch size.

    Args:
        folder: what `export_generator` wrote.
        generator: the `.keras` file or run's folder that it was made from, or None.
        threads: that the runtimes may use.
        batch_sizes: images in a call.
        turns: calls of each.
        scratch: folder for the plain `model.export`; None if it isn't measured.
    """
    with quiet():  # TensorFlow says what it is on standard error
        import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    root = pathlib.Path(folder)
    described = manifest.read_generator(root, whole=False)
    timings = []
    plain = (
        timed_calls.plain_exports(generator, described, scratch)
        if generator and scratch
        else {}
    )
    for size in batch_sizes:
        inputs = timed_calls.inputs_of(described, size)
        calls: dict[tuple[str, str], Call | None] = {
            (file["file"], file["precision"]): _file_call(
                root, file, inputs, size, threads
            )
            for file in described["files"]
        }
        if generator is not None:
            calls["keras predict", "float32"] = timed_calls.predict_call(
                generator, described, inputs
            )
        for precision, path in plain.items():
            name = "model.export litert"
            calls[name, precision] = timed_calls.resized_call(path, inputs, threads)
        for (name, precision), seconds in _in_turns(calls, turns).items():
            # Nothing was measured of a file that its runtime can't run.
            median = statistics.median(seconds) if seconds else math.nan
            timings.append(
                Timing(
                    name=name,
                    precision=precision,
                    batch_size=size,
                    threads=threads,
                    milliseconds=1e3 * median,
                    fastest=1e3 * min(seconds, default=math.nan),
                    images_per_second=size / median,
                    turns=len(seconds),
                )
            )
    return timings


def _file_call(root: pathlib.Path, file: dict[str, Any], *arguments: Any) -> Any:
    try:
        return timed_calls.file_call(root, file, *arguments)
    except Exception as error:  # each runtime has errors of its own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RuntimeError(f"{file['file']} can't be loaded: {first}") from None


def _in_turns(calls: Mapping[Any, Call | None], turns: int) -> dict[Any, list[float]]:
    """Returns the seconds of each call, none of those that can't be run."""
    seconds: dict[Any, list[float]] = {key: [] for key in calls}
    running: dict[Any, Call] = {}
    for key, call in calls.items():
        if call is None:
            continue
        try:
            call()
        except RuntimeError:
            # A plain `model.export` may hold ops of TensorFlow that LiteRT has not.
            continue
        running[key] = call
    for turn in range(turns):
        for key, call in running.items():
            if turn >= _SLOW_TURNS and min(seconds[key]) > _SLOW_SECONDS:
                continue
            time.sleep(_PAUSE_SECONDS)
            if not seconds[key] or min(seconds[key]) < _SLOW_SECONDS:
                call()  # wakes the runtime's threads
            start = time.perf_counter()
            call()
            seconds[key].append(time.perf_counter() - start)
    return seconds
