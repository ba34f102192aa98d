"""The stack's life: it leaves nothing behind, however it ends, and does not mind a second one beside it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.aws import client
from local.claim import Claim, DirectoryTakenError, is_taken
from local.deploy import DeployError
from local.processes import ServerError, free_port, start
from local.stack import Stack

HOLD_A_STACK = """
import sys, time
from pathlib import Path
from local.stack import Stack
with Stack(Path(sys.argv[1])) as stack:
    stack.invoke("SendFunctionName", {"task": "sweep"})
    stack.announce()
    time.sleep(600)
"""


def port_of(url: str) -> int:
    return urlsplit(url).port or 80


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_of(directory: Path) -> list[str]:
    """Servers and functions of the stack that lives there: they all have its folder in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"={directory}/".encode() in (process / "environ").read_bytes():
                found.append(f"{process.name} " + (process / "cmdline").read_text().replace("\0", " "))
    return found


def soon(condition: Any, seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def test_stack_whose_aws_dies_says_so(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    with Stack(directory) as stack:
        (aws,) = [int(p.split()[0]) for p in processes_of(directory) if "local.ministack" in p]
        os.kill(aws, signal.SIGKILL)
        with pytest.raises(ServerError, match=r"^local\.ministack ended\. The end of .+:"):
            stack.wait()
    assert not directory.exists()
    assert soon(lambda: not processes_of(directory), 5), processes_of(directory)


@pytest.mark.usefixtures("stack")  # a second one beside it
def test_stack_announces_itself_and_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    with Stack(directory) as stack:
        assert not (directory / "stack.json").exists(), "not before it is said that all is ready"
        description = json.loads(stack.announce("http://phone").read_text())
        assert {description["api_url"], description["public_url"]} == {stack.api_url}
        assert description["outputs"]["BusName"] == "whatsapp"
        assert description["phone_url"] == "http://phone"
        ports = [port_of(stack.aws_endpoint), port_of(stack.twilio_url)]
        assert all(map(listens, ports))
        stack.invoke("SendFunctionName", {"task": "sweep"})
        assert len(processes_of(directory)) == 3, "AWS, Twilio and the function"
    assert not directory.exists()
    assert not any(map(listens, ports))
    assert soon(lambda: not processes_of(directory), 5), processes_of(directory)


def test_servers_listen_on_127_0_0_1_only(stack: Stack) -> None:
    ours = {port_of(stack.aws_endpoint), port_of(stack.twilio_url)}
    listening = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address, port = local.split(":")
        if state == "0A" and int(port, 16) in ours:
            listening[int(port, 16)] = address
    assert listening == dict.fromkeys(ours, "0100007F")


def test_functions_get_twilios_credentials_and_twilio_our_address(stack: Stack) -> None:
    secret = stack.aws("secretsmanager").get_secret_value(SecretId=stack.outputs["TwilioSecretArn"])["SecretString"]
    assert json.loads(secret) == {"account_sid": stack.account_sid, "auth_token": stack.auth_token}


def test_templates_are_approved_after_a_sync(stack: Stack) -> None:
    stack.sync_templates()
    answer = stack.invoke("TemplateSyncFunctionName", {"task": "sync"})
    assert {template["status"] for template in answer["templates"]} == {"approved"}


def test_directory_has_room_for_one(stack: Stack) -> None:
    with pytest.raises(DirectoryTakenError, match="another stack is running in"), Stack(stack.directory):
        pass
    assert is_taken(stack.directory)


def test_killed_stack_takes_its_servers_along_and_its_place_can_be_had(tmp_path: Path) -> None:
    directory = tmp_path / "stack"
    with subprocess.Popen([sys.executable, "-c", HOLD_A_STACK, directory]) as owner:
        try:
            assert soon((directory / "stack.json").exists, 60)
        finally:
            owner.send_signal(signal.SIGKILL)
    ports = [port_of(json.loads((directory / "stack.json").read_text())[url]) for url in ("aws_endpoint", "twilio_url")]
    assert not is_taken(directory), "its servers may still be ending, but nobody lives there"
    with Claim(directory):
        assert not (directory / "stack.json").exists()
        assert not any(map(listens, ports))
        assert soon(lambda: not processes_of(directory), 5), processes_of(directory)
    assert (directory / "work").exists(), "the files of the killed one go when the next one starts"


def test_refused_template_says_which_part_and_why(tmp_path: Path) -> None:
    with (
        pytest.raises(DeployError, match=r"SenderAddress|RetentionDays"),
        Stack(tmp_path / "s", {"RetentionDays": "3"}),
    ):
        pass
    assert not (tmp_path / "s").exists()


def test_server_that_ends_shows_its_last_words(tmp_path: Path) -> None:
    server = start("local.no_such_module", [], env=dict(os.environ), log=tmp_path / "log")
    with pytest.raises(ServerError, match=r"No module named local\.no_such_module"):
        server.wait_until(lambda: False, 20)
    server.stop()


def test_clients_are_deaf_to_the_users_settings(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.setenv(name, "somebody")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    assert client("sts", stack.aws_endpoint).get_caller_identity()["Account"] == "000000000000"
