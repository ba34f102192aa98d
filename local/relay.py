"""Carries connections on: our servers listen on 127.0.0.1 alone, and in a container that is the container itself.

It runs at both ends, with the standard library alone. In the container it is Lambda's `AWS_LAMBDA_EXEC_WRAPPER`: it
listens on the ports of the stack, carries what comes there to `RELAY_HOST`, and becomes the command given to it. On the
machine, `local.sam` calls `carry`.
"""

import contextlib
import ipaddress
import os
import socket
import sys
import threading
from collections.abc import Sequence

_FREEBIND = 15  # Linux's IP_FREEBIND: a bridge may have no address before its first container
_ANYBODY = "0.0.0.0/0"


def carry(ports: Sequence[int], listen_on: str, to: str, peers: str = _ANYBODY) -> list[socket.socket]:
    """Carry connections to each port of `listen_on` to the same port of `to`, on threads, until the sockets are closed.

    Args:
        peers: the network that may connect, such as "172.17.0.0/16". Others are hung up on.

    Raises:
        OSError: a port cannot be had.
    """
    listeners = []
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_IP, _FREEBIND, 1)
        listener.bind((listen_on, port))
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener, (to, port), peers), daemon=True).start()
        listeners.append(listener)
    return listeners


def _accept(listener: socket.socket, target: tuple[str, int], peers: str) -> None:
    while True:
        try:
            caller, (address, _port) = listener.accept()
        except OSError:
            return  # closed
        if ipaddress.ip_address(address) in ipaddress.ip_network(peers):
            threading.Thread(target=_join, args=(caller, target), daemon=True).start()
        else:
            caller.close()


def _join(caller: socket.socket, target: tuple[str, int]) -> None:
    with caller, contextlib.suppress(OSError), socket.create_connection(target, timeout=10) as callee:
        callee.settimeout(None)
        answers = threading.Thread(target=_copy, args=(callee, caller), daemon=True)
        answers.start()
        _copy(caller, callee)
        answers.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    ready, told = os.pipe()
    if os.fork() == 0:
        carry([int(port) for port in os.environ["RELAY_PORTS"].split()], "127.0.0.1", os.environ["RELAY_HOST"])
        os.write(told, b"1")
        os.close(told)
        threading.Event().wait()
    os.close(told)
    os.read(ready, 1)
    os.execvp(sys.argv[1], sys.argv[1:])  # the command is Lambda's own  # noqa: S606  # nosec B606
