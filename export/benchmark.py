"""How long exported files take, beside Keras and a plain `model.export`.

For each number of threads one new process measures everything in turns, so that a
busy moment of the machine hits all alike; the figures are medians over the turns.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import math
import multiprocessing
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from export import folders, litert, verification

Call = Callable[[], Any]

# A run slower than this (the plain int8 export) gets fewer turns.
_SLOW_SECONDS = 1.0
_SLOW_TURNS = 3
# The thread pools of LiteRT and onnxruntime go on spinning after a run, at the cost
# of whatever is measured next.
_PAUSE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Timing:
    """The time of one file at one batch size and number of threads.

    Attributes:
        name: the file, or `keras predict`, or `model.export …`.
        precision: of the weights.
        batch_size: images in a call.
        threads: that the runtime may use.
        milliseconds: median of a call; NaN if the runtime can't run the file.
        fastest: the fastest call, in milliseconds.
        images_per_second: by the median.
        turns: number of calls measured.
    """

    name: str
    precision: str
    batch_size: int
    threads: int
    milliseconds: float
    fastest: float
    images_per_second: float
    turns: int


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
        batch_sizes: defaults to those of the export.
        turns: calls of each. Defaults to 20.
        naive: whether the plain `model.export` is measured. Defaults to True.

    Returns:
        A timing for each file, batch size and number of threads.

    Raises:
        FileNotFoundError: if `folder` is no export.
        ValueError: if an argument is out of its range.
    """
    root = pathlib.Path(folder)
    manifest = read_manifest(root)
    sizes = list(batch_sizes or manifest["batch_sizes"])
    for name, values in (("threads", threads), ("batch_sizes", sizes)):
        if not values or any(value < 1 for value in values):
            raise ValueError(
                f"`{name}` must be integers of 1 or more. Received: {name}={values!r}"
            )
    if turns < 1:
        raise ValueError(f"`turns` must be 1 or more. Received: turns={turns!r}")
    timings: list[Timing] = []
    context = multiprocessing.get_context("spawn")
    for count in threads:
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            source = None if generator is None else str(generator)
            job = pool.submit(_measure, str(root), source, count, sizes, turns, naive)
            timings += job.result()
    return timings


def read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """Returns what an export says about itself.

    Args:
        folder: what `export_generator` wrote.

    Raises:
        FileNotFoundError: if `folder` is no export.
    """
    path = folder / folders.MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no export: it has no {folders.MANIFEST}. Make one with "
            "`python -m export GENERATOR --output DIR`."
        )
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if "batch_sizes" not in manifest:
        raise FileNotFoundError(f"{folder} is no export of a generator.")
    return manifest


def _measure(
    folder: str,
    generator: str | None,
    threads: int,
    batch_sizes: Sequence[int],
    turns: int,
    naive: bool,
) -> list[Timing]:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    root = pathlib.Path(folder)
    manifest = read_manifest(root)
    timings = []
    with tempfile.TemporaryDirectory() as scratch:
        plain = _plain_exports(generator, scratch) if generator and naive else {}
        for size in batch_sizes:
            inputs = _inputs(manifest, size)
            calls: dict[tuple[str, str], Call] = {}
            for file in manifest["files"]:
                call = _file_call(root, file, inputs, size, threads)
                if call is not None:
                    calls[file["file"], file["precision"]] = call
            if generator is not None:
                calls["keras predict", "float32"] = _predict_call(generator, inputs)
            for precision, path in plain.items():
                name = "model.export litert"
                calls[name, precision] = _resized_call(path, inputs, threads)
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


def _in_turns(calls: dict[Any, Call], turns: int) -> dict[Any, list[float]]:
    seconds: dict[Any, list[float]] = {key: [] for key in calls}
    for key, call in list(calls.items()):
        try:
            call()
        except RuntimeError:
            # A plain `model.export` may hold ops of TensorFlow that LiteRT has not.
            del calls[key]
    for turn in range(turns):
        for key, call in calls.items():
            if turn >= _SLOW_TURNS and min(seconds[key]) > _SLOW_SECONDS:
                continue
            time.sleep(_PAUSE_SECONDS)
            if not seconds[key] or min(seconds[key]) < _SLOW_SECONDS:
                call()  # wakes the runtime's threads
            start = time.perf_counter()
            call()
            seconds[key].append(time.perf_counter() - start)
    return seconds


def _inputs(manifest: dict[str, Any], size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(size, manifest["latent_dim"])).astype("float32")
    inputs: dict[str, np.ndarray] = {"latents": latents}
    if manifest["num_classes"]:
        labels: np.ndarray = np.arange(size) % manifest["num_classes"]
        inputs["labels"] = labels.astype("int32")
    return inputs


def _file_call(
    root: pathlib.Path,
    file: dict[str, Any],
    inputs: dict[str, np.ndarray],
    size: int,
    threads: int,
) -> Call | None:
    path = str(root / file["file"])
    if file["format"] == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(path)
        tensors = {name: tf.constant(value) for name, value in inputs.items()}

        def serve() -> Any:
            # Through `loaded`, which owns the variables, to keep it alive.
            return loaded.signatures["serving_default"](**tensors)["images"].numpy()

        return serve
    if file["format"] == "onnx":
        try:
            import onnxruntime
        except ImportError:
            return None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, inputs)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    name = litert.signature_name(size)
    if name not in interpreter.get_signature_list():
        return None
    runner = interpreter.get_signature_runner(name)
    return lambda: runner(**inputs)


def _predict_call(generator: str, inputs: dict[str, np.ndarray]) -> Call:
    from export import generators

    loaded = generators.load(generator)
    model, values = loaded.model, loaded.in_order(**inputs)
    size = len(inputs["latents"])
    return lambda: model.predict(values, batch_size=size, verbose=0)


def _plain_exports(generator: str, scratch: str) -> dict[str, str]:
    """Returns the files that Keras' own `export` makes, by precision."""
    import tensorflow as tf

    from export import generators
    from export.quiet import quiet

    model = generators.load(generator).model
    paths = {}
    for precision, options in (
        ("float32", {}),
        ("int8-dynamic", {"optimizations": [tf.lite.Optimize.DEFAULT]}),
    ):
        path = os.path.join(scratch, f"plain-{precision}.tflite")
        with quiet():
            model.export(path, format="litert", verbose=False, **options)
        paths[precision] = path
    return paths


def _resized_call(path: str, inputs: dict[str, np.ndarray], threads: int) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    by_rank = {value.ndim: value for value in inputs.values()}
    details = interpreter.get_input_details()
    values = {one["index"]: by_rank[len(one["shape"])] for one in details}
    for index, value in values.items():
        interpreter.resize_tensor_input(index, value.shape)
    interpreter.allocate_tensors()
    output = interpreter.get_output_details()[0]["index"]

    def call() -> Any:
        for index, value in values.items():
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return call


def machine() -> dict[str, Any]:
    """Returns what the figures depend on besides the files."""
    import importlib.metadata

    processor = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1] for line in file if line.startswith("model n")]
        processor = names[0].strip() if names else processor
    versions = {}
    for name in ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"processor": processor, "cores": os.cpu_count(), "versions": versions}


def table(timings: Sequence[Timing]) -> str:
    """Returns timings as a table to print, with each time over the SavedModel's."""
    rows = [("file", "precision", "batch", "threads", "ms", "images/s", "/ SavedModel")]
    reference = {
        (one.batch_size, one.threads): one.milliseconds
        for one in timings
        if one.name == "saved_model"
    }
    for one in timings:
        base = reference.get((one.batch_size, one.threads))
        rows.append(
            (
                one.name,
                one.precision,
                str(one.batch_size),
                str(one.threads),
                f"{one.milliseconds:.2f}" if one.turns else "can't run",
                f"{one.images_per_second:.0f}" if one.turns else "",
                f"{one.milliseconds / base:.2f}" if one.turns and base else "",
            )
        )
    return verification.format_table(rows)
