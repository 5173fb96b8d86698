"""How long exported files take, beside Keras and a plain `model.export`.

For each number of threads one new process measures everything in turns, so that a
busy moment of the machine hits all alike; the figures are medians over the turns.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from export import manifest
from export.timing.measuring import measure
from export.timing.timings import Timing
from sn_keras import values


def benchmark(
    folder: str | os.PathLike[str],
    generator: str | os.PathLike[str] | None = None,
    threads: Sequence[int] = (1, 2),
    batch_sizes: Sequence[int] | None = None,
    turns: int = 20,
    naive: bool = True,
) -> list[Timing]:
    """Measures all files of an export.

    Args:
        folder: what `export_generator` wrote.
        generator: the `.keras` file or run's folder that it was made from; adds
            Keras' `predict` and the plain `model.export(format="litert")`, float32
            and int8, to the comparison. Defaults to None.
        threads: numbers of threads, each measured in a process of its own. Defaults
            to 1 and 2.
        batch_sizes: defaults to those of the export, which `.tflite` files are bound
            to.
        turns: calls of each. Defaults to 20.
        naive: whether the plain `model.export` is measured. Defaults to True.

    Returns:
        A timing for each file, batch size and number of threads.

    Raises:
        FileNotFoundError: if `folder` is no export.
        TypeError: if an argument is of another kind.
        ValueError: if one is out of its range, or a file is not the one that was
            exported.
    """
    root = pathlib.Path(folder)
    described = manifest.read_generator(root)
    if batch_sizes is None:
        batch_sizes = described["batch_sizes"]
    sizes = _integers("batch_sizes", batch_sizes)
    signatures = described["batch_sizes"]
    fixed = any(file["format"] == "litert" for file in described["files"])
    if fixed and not set(sizes).issubset(signatures):
        wanted = f"of {signatures}, for which the `.tflite` files have signatures"
        raise ValueError(values.message("batch_sizes", wanted, sizes))
    threads = _integers("threads", threads)
    turns = values.integer("turns", turns)
    timings: list[Timing] = []
    source = None if generator is None else str(generator)
    # A folder of this process, which a child that is ended could not remove.
    with tempfile.TemporaryDirectory() as scratch:
        for count in threads:
            naive_in = scratch if naive else None
            timings += _in_new_process(
                measure, str(root), source, count, sizes, turns, naive_in
            )
    return timings


def _in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BaseException:  # Ctrl-C or SIGTERM, most of all
            # The pool would wait until it has measured everything.
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise


def _integers(argument: str, given: Any) -> list[int]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(values.message(argument, "a list of integers", given))
    listed = [values.integer(argument, one) for one in given]
    if not listed:
        raise ValueError(values.message(argument, "one integer or more", given))
    return listed
