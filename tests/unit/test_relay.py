"""What connects containers with the local stack."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from local import relay
from local.processes import free_port


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on 127.0.0.1 that answers with what it got, once the caller has said all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller, caller.makefile("rb") as said:
                    caller.sendall(said.read().upper())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def ask(host: str, port: int, question: bytes) -> bytes:
    with socket.create_connection((host, port), timeout=10) as connection, connection.makefile("rb") as answer:
        connection.sendall(question)
        connection.shutdown(socket.SHUT_WR)
        return answer.read()


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has one address on loopback")
@pytest.mark.parametrize(("peers", "answer"), [("127.0.0.0/8", b"A" * 200_000), ("172.17.0.0/16", b"")])
def test_who_may_connect(port: int, peers: str, answer: bytes) -> None:
    (listener,) = relay.carry([port], "127.0.0.2", "127.0.0.1", peers)
    with listener:
        try:
            got = ask("127.0.0.2", port, b"a" * 200_000)
        except OSError:  # hung up on while it spoke
            got = b""
        listener.shutdown(socket.SHUT_RDWR)
    assert got == answer


def test_wrapper_listens_before_the_command_runs() -> None:
    port = free_port()
    command = [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port})); print('ran')"]
    environment = os.environ | {"RELAY_PORTS": str(port), "RELAY_HOST": "127.0.0.1"}
    ran = subprocess.Popen(
        [sys.executable, relay.__file__, *command], env=environment, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert ran.stdout
        assert ran.stdout.readline() == b"ran\n"
        assert ran.wait(10) == 0
    finally:
        os.killpg(ran.pid, 9)  # the relay itself, which ends with the container
        ran.stdout.close()  # type: ignore[union-attr]  # it is a pipe
