"""`--strategy`: which devices a run is spread over, by tf.distribute alone."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from training import values
from training.devices import STRATEGIES


def create_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Returns the strategy of a name.

    Args:
        name: a key of `STRATEGIES`.

    Raises:
        ValueError: for an unknown name, or `multi-worker` without TF_CONFIG.
    """
    name = values.name("strategy", name, STRATEGIES)
    if name == "auto":
        name = _found()
    if name == "tpu":
        return _tpu()
    if name == "multi-worker":
        if not _workers():
            raise ValueError(
                "`strategy` 'multi-worker' needs the environment variable TF_CONFIG "
                "with the cluster's workers and this task's index. "
                f"Received: TF_CONFIG={os.environ.get('TF_CONFIG')!r}"
            )
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
    resolver = strategy.cluster_resolver
    chiefs = resolver.cluster_spec().as_dict().get("chief", [])
    index = resolver.task_id + (len(chiefs) if resolver.task_type == "worker" else 0)
    return index, len(_workers())


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


def check_shares(strategy: tf.distribute.Strategy, **sizes: int | None) -> None:
    """Raises a ValueError if the replicas can't share a batch.

    Args:
        strategy: has the replicas.
        **sizes: global batch sizes by the name of their option; None is left out.
    """
    replicas = strategy.num_replicas_in_sync
    for name, size in sizes.items():
        if size is not None and size % replicas:
            raise ValueError(
                f"`{name}` must be a multiple of the number of replicas, {replicas}. "
                f"Received: {name}={size}"
            )


@contextlib.contextmanager
def lost_workers_explained(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raises a RuntimeError in place of what a worker sees when another one ends."""
    worker, workers = position(strategy)
    try:
        yield
    except tf.errors.OpError as error:
        if workers == 1:
            raise
        first = str(error.message).splitlines()[0] if error.message else ""
        raise RuntimeError(
            f"Worker {worker} of {workers} lost the others ({type(error).__name__}: "
            f"{first}). Start all workers again with the same command: the run carries "
            "on from its newest checkpoint."
        ) from error


def has_bfloat16() -> bool:
    """Returns whether the processor multiplies bfloat16 numbers by itself.

    False also where that can't be found out (elsewhere than on Linux on x86).
    """
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _total(strategy: tf.distribute.Strategy, number: float) -> float:
    """Returns the sum over all replicas."""
    return float(_summation(strategy)(tf.constant(float(number), tf.float64)))


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
    if len(_workers()) > 1:
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


def _workers() -> list[str]:
    """Returns the addresses that TF_CONFIG names, chief first; none if it isn't set.

    Raises:
        ValueError: if it is something that TensorFlow would hang or crash on.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        workers = [*cluster.get("chief", []), *cluster.get("worker", [])]
        task = config.get("task", {})
        peers = {"chief": cluster.get("chief"), "worker": cluster.get("worker")}
        count, index = len(peers.get(task.get("type")) or []), int(task.get("index", 0))
    except (ValueError, AttributeError, TypeError) as error:
        raise _bad_config(text, f"is not the JSON that it should be: {error}") from None
    if not all(isinstance(one, str) and ":" in one for one in workers):
        raise _bad_config(text, "has a worker that is no 'host:port'")
    if workers and not 0 <= index < count:
        raise _bad_config(text, "has a task that is none of its workers")
    return workers


def _bad_config(text: str, what: str) -> ValueError:
    return ValueError(
        f"The environment variable `TF_CONFIG` {what}. It must be such as "
        '{"cluster": {"worker": ["host-0:2222", "host-1:2222"]}, '
        '"task": {"type": "worker", "index": 0}}. '
        f"Received: TF_CONFIG={text!r}"
    )
