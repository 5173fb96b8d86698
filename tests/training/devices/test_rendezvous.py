"""Workers wait for each other, say for whom, and no longer than they were told."""

import json
import socket
import threading

import pytest

from training.devices.cluster import Cluster
from training.devices.rendezvous import meet


def addresses(count):
    servers = [socket.create_server(("", 0)) for _ in range(count)]
    found = [f"localhost:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    return tuple(found)


def meeting(*clusters, seconds=20.0):
    """Lets workers meet; returns what ended each, and what they said."""
    ends, said = {}, []

    def work(number, cluster):
        try:
            meet(cluster, seconds, said.append)
            ends[number] = None
        except Exception as error:
            ends[number] = error

    threads = [
        threading.Thread(target=work, args=one, daemon=True)
        for one in enumerate(clusters)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [ends.get(number, "hangs") for number in range(len(clusters))], said


@pytest.mark.parametrize("count", [1, 2, 4])
def test_all_that_are_there_go_on_and_leave_the_ports_free(count):
    workers = addresses(count)
    for _ in range(2):
        ends, said = meeting(*(Cluster(workers, i) for i in range(count)))
        assert ends == [None] * count and said == []


@pytest.mark.slow
def test_they_wait_for_one_that_is_late():
    workers = addresses(2)
    late = threading.Timer(2.5, meet, [Cluster(workers, 1), 20.0])
    late.start()
    ends, said = meeting(Cluster(workers, 0))
    late.join()
    assert ends == [None]
    assert said == [f"Waiting for worker 1 at {workers[1]}."]


@pytest.mark.slow
def test_one_that_never_starts_is_named_by_all():
    workers = addresses(3)
    ends, _ = meeting(Cluster(workers, 0), Cluster(workers, 2), seconds=2.0)
    for end in ends:
        assert isinstance(end, RuntimeError)
        assert f"Waited 2 s for worker 1 at {workers[1]}. Are all" in str(end)
        assert "--worker-timeout" in str(end)


@pytest.mark.slow
def test_a_chief_that_never_starts_is_named():
    workers = addresses(2)
    (end,), _ = meeting(Cluster(workers, 1), seconds=1.0)
    assert f"worker 0 at {workers[0]} (Connection refused)" in str(end)


@pytest.mark.slow
def test_another_process_at_the_chief_s_port_is_told_from_it():
    workers = addresses(2)
    with socket.create_server(("", int(workers[0].partition(":")[2]))) as server:

        def answer():
            while True:
                try:
                    with server.accept()[0] as connection:
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        (end,), _ = meeting(Cluster(workers, 1), seconds=1.0)
        server.shutdown(socket.SHUT_RDWR)
    assert "(another process answers there)" in str(end)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_workers_meet_by_ipv6():
    workers = tuple(one.replace("localhost", "[::1]") for one in addresses(2))
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 address here")
    ends, _ = meeting(Cluster(workers, 0), Cluster(workers, 1))
    assert ends == [None, None]


@pytest.mark.slow
def test_a_worker_whose_name_is_not_published_yet_reports_again(monkeypatch):
    workers, asked = addresses(2), []
    connect = socket.create_connection

    def late(address, seconds):
        if address[1] == int(workers[1].partition(":")[2]):
            asked.append(address)
            if len(asked) == 1:
                raise socket.gaierror(socket.EAI_NONAME, "not known")
        return connect(address, seconds)

    monkeypatch.setattr(socket, "create_connection", late)
    ends, _ = meeting(Cluster(workers, 0), Cluster(workers, 1))
    assert ends == [None, None] and len(asked) == 2


def test_an_index_beyond_the_cluster_is_named():
    workers = addresses(2)
    leader = threading.Timer(0.3, say_hello, [workers, 7])
    leader.start()
    (end,), _ = meeting(Cluster(workers, 0))
    leader.join()
    assert isinstance(end, ValueError) and "must be below 2" in str(end)


def say_hello(workers, index):
    port = int(workers[0].partition(":")[2])
    with socket.create_connection(("localhost", port)) as connection:
        hello = {"worker": index, "workers": list(workers)}
        connection.sendall(json.dumps(hello).encode() + b"\n")
        connection.recv(1000)


def test_different_clusters_are_shown():
    one = addresses(2)
    other = (one[0], one[1], "localhost:1")
    ends, _ = meeting(Cluster(one, 0), Cluster(other, 1))
    assert isinstance(ends[0], ValueError)
    for end in ends:
        assert f"{list(one)} in worker 0 and {list(other)} in worker 1" in str(end)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_an_index_that_two_have_is_named(index):
    workers = addresses(3)
    ends, _ = meeting(*(Cluster(workers, index) for _ in range(2)), seconds=2.0)
    (second,) = [str(end) for end in ends if "can't listen" in str(end)]
    assert f"Worker {index} can't listen at {workers[index]}: Address already" in second


def test_an_address_that_leads_nowhere_is_named_though_its_worker_is_there():
    chief, other = addresses(2)
    workers = (chief, other.replace("localhost", "nowhere.invalid"))
    chiefs, other = Cluster(workers, 0), Cluster(workers, 1)
    (end, _), said = meeting(chiefs, other, seconds=4.0)
    # The other one hears of it, and may find the chief gone in the end.
    for line in (str(end), *said):
        assert f"(worker 0 can't resolve {workers[1]})" in line
    assert len(said) == 2
