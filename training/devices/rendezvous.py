"""Workers find each other before TensorFlow looks for them.

TensorFlow waits for half an hour and more, says nothing, and ends with a traceback.
Here worker 0 listens at its address and the others report to it; it reaches back to
each at the address that TF_CONFIG has for it, and lets all go when all are there.
Nothing is left open: the same ports are TensorFlow's afterwards.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from training.devices.cluster import Cluster

# For one answer of a process that is there.
_ANSWER_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
# Until the first line about a worker that is missing, and between two of them.
_QUIET_SECONDS = 2.0
_LINE_SECONDS = 30.0
_MAX_BYTES = 1 << 20


def meet(cluster: Cluster, seconds: float, say: Callable[[str], None] = print) -> None:
    """Waits until all workers are there.

    Args:
        cluster: the workers, and which of them this process is.
        seconds: how long to wait.
        say: gets a line about who is waited for, now and then.

    Raises:
        RuntimeError: if a worker isn't there in time, or can't be reached, or another
            process has this one's port.
        ValueError: if workers have different clusters, or the same index.
    """
    if len(cluster.workers) < 2:
        return
    wait = _Wait(seconds, say)
    with _listening(cluster) as server:
        if cluster.index == 0:
            _lead(cluster, server, wait)
        else:
            _report(cluster, server, wait)


class _Wait:
    """A time limit, and lines about what is waited for."""

    def __init__(self, seconds: float, say: Callable[[str], None]):
        self._seconds, self._say = seconds, say
        self._start = time.monotonic()
        self._next = self._start + _QUIET_SECONDS

    def tell(self, what: str, more: float = 0.0) -> None:
        """Says a line if it is time for one.

        Args:
            what: what is waited for.
            more: seconds beyond the limit.

        Raises:
            RuntimeError: if the time is over.
        """
        now = time.monotonic()
        if now > self._start + self._seconds + more:
            raise RuntimeError(
                f"Waited {self._seconds:g} s for {what}. Are all workers started, and "
                "are the addresses in TF_CONFIG right? `--worker-timeout` sets how "
                "long to wait."
            )
        if now > self._next:
            self._next = now + _LINE_SECONDS
            self._say(f"Waiting for {what}.")


@contextlib.contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    address = cluster.workers[cluster.index]
    _, port = _split(address)
    try:
        # Of all interfaces, as TensorFlow does: the host's name may be a service's.
        server = _server(port)
    except OSError as error:
        raise RuntimeError(
            f"Worker {cluster.index} can't listen at {address}: {_reason(error)}. Is "
            "another process at this port, perhaps a second worker of this index?"
        ) from error
    with server:
        yield server


def _server(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # told below, or there is no IPv6 after all
            family = socket.AF_INET6
            return socket.create_server(("", port), family=family, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _lead(cluster: Cluster, server: socket.socket, wait: _Wait) -> None:
    there: dict[int, socket.socket] = {}
    reported: list[socket.socket] = []
    reason = ""
    others = range(1, len(cluster.workers))
    with contextlib.ExitStack() as stack:
        try:
            while missing := [i for i in others if i not in there]:
                wait.tell(_named(cluster, missing) + reason)
                found, _, _ = select.select(
                    [server, *there.values()], [], [], _PAUSE_SECONDS
                )
                # One that has reported has nothing more to say: it has ended.
                for index, connection in list(there.items()):
                    if connection in found:
                        del there[index]
                if server in found:
                    connection = stack.enter_context(server.accept()[0])
                    reported.append(connection)
                    hello = _receive(connection)
                    if hello is not None and "worker" in hello:
                        if _checked(cluster, hello, there):
                            there[hello["worker"]] = connection
                        else:
                            address = cluster.workers[hello["worker"]]
                            reason = f" (worker 0 can't resolve {address})"
                            _send(connection, {"again": reason})
                            connection.close()
        except Exception as error:
            for connection in reported:
                _send(connection, {"stop": str(error)})
            raise
        for connection in there.values():
            _send(connection, {"go": True})


def _checked(cluster: Cluster, hello: dict[str, Any], there: Any) -> bool:
    """Returns whether a worker may join; if not, it has to report again."""
    index, workers = hello.get("worker"), hello.get("workers")
    if workers != list(cluster.workers):
        raise ValueError(
            "Workers must have the same cluster in TF_CONFIG. "
            f"Received: {list(cluster.workers)} in worker 0 and {workers} in worker "
            f"{index}"
        )
    if not isinstance(index, int) or index in (0, *there):
        raise ValueError(
            "Each worker must have an index of its own in TF_CONFIG. "
            f"Received: {index} twice"
        )
    if not 0 < index < len(workers):
        raise ValueError(
            f"A worker's index in TF_CONFIG must be below {len(workers)}, the number "
            f"of workers. Received: {index}"
        )
    address = cluster.workers[index]
    try:
        with socket.create_connection(_split(address), _ANSWER_SECONDS) as connection:
            answer = _receive(connection)
    except socket.gaierror:
        return False  # a cluster may publish a name after its worker has started
    except OSError as error:
        raise RuntimeError(
            f"Worker {index} is there, but not at {address}, the address that "
            f"TF_CONFIG has for it: {_reason(error)}."
        ) from error
    if answer != {"worker": index}:
        raise RuntimeError(
            f"Another process than worker {index} is at {address}, the address that "
            "TF_CONFIG has for it."
        )
    return True


def _report(cluster: Cluster, server: socket.socket, wait: _Wait) -> None:
    hello = {"worker": cluster.index, "workers": list(cluster.workers)}
    what = _named(cluster, [0])
    while True:
        reason = ""
        try:
            address = _split(cluster.workers[0])
            with socket.create_connection(address, _ANSWER_SECONDS) as connection:
                _send(connection, hello)
                answer = _answer(cluster, server, connection, wait)
            if answer is not None and "stop" in answer:
                raise RuntimeError(f"Worker 0 ended the start: {answer['stop']}")
            if answer is not None and "go" in answer:
                return
            reason = " (another process answers there)"
            if answer is not None and "again" in answer:
                reason = str(answer["again"])
        except OSError as error:
            reason = f" ({_reason(error)})"
        wait.tell(what + reason)
        time.sleep(_PAUSE_SECONDS)


def _answer(
    cluster: Cluster, server: socket.socket, connection: socket.socket, wait: _Wait
) -> dict[str, Any] | None:
    """Returns what worker 0 says in the end; answers when it reaches back."""
    while True:
        found, _, _ = select.select([server, connection], [], [], _PAUSE_SECONDS)
        if server in found:
            with server.accept()[0] as back:
                _send(back, {"worker": cluster.index})
        if connection in found:
            return _receive(connection)
        # Worker 0 ends the waiting, and knows for whom it was.
        wait.tell("others than worker 0, which is there", more=_LINE_SECONDS)


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    # One that has just ended is found missing where its answer is.
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection: socket.socket) -> dict[str, Any] | None:
    """Returns a message, or None if what came is no worker's."""
    connection.settimeout(_ANSWER_SECONDS)
    try:
        with connection.makefile("rb") as file:
            message = json.loads(file.readline(_MAX_BYTES))
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None


def _named(cluster: Cluster, indices: list[int]) -> str:
    return ", ".join(f"worker {i} at {cluster.workers[i]}" for i in indices)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
