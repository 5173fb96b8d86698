"""`--strategy`: which devices a run is spread over, by tf.distribute alone."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from training import values
from training.devices import STRATEGIES
from training.devices.cluster import find_cluster
from training.devices.rendezvous import meet


def create_strategy(
    name: str = "auto", worker_timeout: float = 600.0
) -> tf.distribute.Strategy:
    """Returns the strategy of a name.

    Args:
        name: a key of `STRATEGIES`.
        worker_timeout: how many seconds to wait for the other workers.

    Raises:
        RuntimeError: if a worker does not start, or can't be reached.
        ValueError: for an unknown name, or `multi-worker` without TF_CONFIG.
    """
    name = values.name("strategy", name, STRATEGIES)
    if name == "auto":
        name = _found()
    if name == "tpu":
        return _tpu()
    if name == "multi-worker":
        if not find_cluster().workers:
            raise ValueError(
                "`strategy` 'multi-worker' needs the environment variable TF_CONFIG "
                "with the cluster's workers and this task's index. "
                f"Received: TF_CONFIG={os.environ.get('TF_CONFIG')!r}"
            )
        meet(find_cluster(), worker_timeout)
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored":
        return _mirrored(*(_logical("GPU") or _logical("CPU")))
    return tf.distribute.OneDeviceStrategy((_logical("GPU") or ["/cpu:0"])[0])


def position(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns this process' index among the workers of a strategy, and their number.

    Worker 0 is the chief, the one that writes files.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return 0, 1
    cluster = find_cluster()
    return cluster.index, len(cluster.workers)


def agreed(strategy: tf.distribute.Strategy, wish: bool) -> bool:
    """Returns whether any worker has the wish. All of them have to ask."""
    if position(strategy)[1] == 1:
        return wish
    return _total(strategy, wish) > 0


def equal(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Returns whether all workers have the same number. All of them have to ask."""
    workers = position(strategy)[1]
    if workers == 1:
        return True
    mean = _total(strategy, number) / strategy.num_replicas_in_sync
    return not agreed(strategy, mean != number)


def check_same(strategy: tf.distribute.Strategy, **parts: dict[str, Any]) -> None:
    """Raises a ValueError if workers were started differently. All have to ask.

    Args:
        strategy: has the workers.
        **parts: what must be the same, plain JSON by name.
    """
    worker, workers = position(strategy)
    if workers == 1:
        return
    texts = _gathered(strategy, json.dumps(parts, sort_keys=True))
    if len(set(texts)) == 1:
        return
    each = [json.loads(text) for text in texts]
    differing = []
    for part in sorted({name for one in each for name in one}):
        values_of = [one.get(part, {}) for one in each]
        for key in sorted({name for one in values_of for name in one}):
            found = [one.get(key) for one in values_of]
            # One worker of each value that there is.
            first = {json.dumps(value): i for i, value in reversed([*enumerate(found)])}
            if len(first) > 1:
                differing.append(
                    f"`{key}` is "
                    + " and ".join(
                        f"{value} in worker {i}"
                        for value, i in sorted(first.items(), key=lambda item: item[1])
                    )
                )
    raise ValueError(
        "All workers must be started by the same command, and see the same images. "
        f"What differs: {'; '.join(differing)}"
    )


def check_shares(strategy: tf.distribute.Strategy, **sizes: int | None) -> None:
    """Raises a ValueError if the replicas can't share a batch.

    Args:
        strategy: has the replicas.
        **sizes: global batch sizes by the name of their option; None is left out.
    """
    replicas = strategy.num_replicas_in_sync
    for name, size in sizes.items():
        if size is not None and size % replicas:
            wanted = f"a multiple of the number of replicas, {replicas}"
            raise ValueError(values.message(name, wanted, size))


@contextlib.contextmanager
def lost_workers_explained(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raises a RuntimeError in place of what a worker sees when another one ends."""
    worker, workers = position(strategy)
    try:
        yield
    except tf.errors.OpError as error:
        if workers == 1:
            raise
        raise RuntimeError(
            f"Worker {worker} of {workers} lost the others ({_reason(error)}). Start "
            "all workers again with the same command: the run carries on from its "
            "newest checkpoint."
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """Returns the line of an error's text that says what happened.

    Above it stands where in the graph, in several lines.
    """
    lines = [line.strip() for line in (error.message or "").splitlines()]
    where = ("Graph execution error", "Detected at", "File ", "<")
    told = [line for line in lines if line and not line.startswith(where)]
    return told[0].rstrip(":") if told else type(error).__name__


def _total(strategy: tf.distribute.Strategy, number: float) -> float:
    """Returns the sum over all replicas."""
    return float(_summation(strategy)(tf.constant(float(number), tf.float64)))


def _gathered(strategy: tf.distribute.Strategy, text: str) -> list[str]:
    """Returns the texts of all workers, in their order."""
    worker, workers = position(strategy)
    replicas = strategy.num_replicas_in_sync // workers
    code = np.frombuffer(text.encode(), np.uint8)

    def rows(row: Any, width: int) -> np.ndarray:
        # The sum of the workers' tables, each with one row that is not 0.
        part: np.ndarray = np.zeros((workers, width))
        part[worker, : len(row)] = row
        total = _summation(strategy)(tf.constant(part, tf.float64))
        return (total.numpy() / replicas).astype(np.int64)

    sizes = rows([len(code)], 1)[:, 0]
    codes: np.ndarray = rows(code, sizes.max()).astype(np.uint8)
    return [
        row[:size].tobytes().decode() for row, size in zip(codes, sizes, strict=True)
    ]


@functools.cache
def _summation(strategy: tf.distribute.Strategy) -> Any:
    @tf.function
    def total(number: tf.Tensor) -> tf.Tensor:
        each = strategy.run(lambda one: one, args=(number,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    return total


@functools.cache
def _mirrored(*devices: str) -> tf.distribute.MirroredStrategy:
    # One in a process: each strategy numbers its collectives from the same start, and
    # TensorFlow would hold those of a second run for the first's ("shape mismatch in
    # the collective instance").
    return tf.distribute.MirroredStrategy(list(devices))


def _found() -> str:
    if os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
        return "tpu"
    if len(find_cluster().workers) > 1:
        return "multi-worker"
    return "mirrored" if len(_logical("GPU")) > 1 else "one-device"


def _logical(kind: str) -> list[str]:
    return [device.name for device in tf.config.list_logical_devices(kind)]


def _tpu() -> tf.distribute.Strategy:
    address = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # of TensorFlow, of Google's client, of the network
        first = str(error).strip().splitlines()[:1]
        raise ValueError(
            "`strategy` 'tpu' needs a TPU: this machine's, or the one that the "
            "environment variable TPU_NAME names. "
            f"Received: TPU_NAME={address!r}: {type(error).__name__}: {''.join(first)}"
        ) from error
