"""TF_CONFIG: the workers of a run and which of them this process is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

_JOBS = ("chief", "worker")
# Known to TensorFlow, and of no use here.
_OTHER_JOBS = ("ps", "evaluator")


@dataclass(frozen=True)
class Cluster:
    """The workers that train together.

    Attributes:
        workers: `"host:port"` of each, the chief first.
        index: which of them this process is.
    """

    workers: tuple[str, ...] = ()
    index: int = 0


def find_cluster() -> Cluster:
    """Returns what TF_CONFIG says; no workers if it isn't set.

    Raises:
        ValueError: if it is something that TensorFlow would hang or crash on.
    """
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        jobs = {job: cluster.get(job, []) for job in _JOBS}
        unknown = sorted(cluster.keys() - {*_JOBS, *_OTHER_JOBS})
        kind, index = task.get("type"), task.get("index", 0)
        workers = [worker for job in _JOBS for worker in jobs[job]]
    except (ValueError, AttributeError, TypeError) as error:
        raise _bad(text, f"is not the JSON that it should be: {error}") from None
    if unknown:
        raise _bad(text, f"has jobs of no known name, {unknown}")
    for worker in workers:
        if not _is_address(worker):
            raise _bad(text, f"has a worker that is no 'host:port', {worker!r}")
        if workers.count(worker) > 1:
            raise _bad(text, f"has a worker twice, {worker!r}")
    if len(jobs["chief"]) > 1:
        raise _bad(text, "has more than one chief")
    if isinstance(index, str) and index.isdecimal():
        index = int(index)
    count = len(jobs.get(kind, ())) if isinstance(kind, str) else 0
    if not isinstance(index, int) or isinstance(index, bool):
        raise _bad(text, f"has a task whose index is no integer, {index!r}")
    if workers and not 0 <= index < count:
        raise _bad(text, "has a task that is none of its workers")
    first = len(jobs["chief"]) if kind == "worker" else 0
    return Cluster(tuple(workers), first + index)


def _is_address(worker: object) -> bool:
    if not isinstance(worker, str):
        return False
    host, _, port = worker.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _bad(text: str, what: str) -> ValueError:
    return ValueError(
        f"The environment variable `TF_CONFIG` {what}. It must be such as "
        '{"cluster": {"worker": ["host-0:2222", "host-1:2222"]}, '
        '"task": {"type": "worker", "index": 0}}. '
        f"Received: TF_CONFIG={text!r}"
    )
