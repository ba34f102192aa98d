"""Every sample runs through `sam local`, in real containers, against a running stack.

The image is Debian's Python with Lambda's own runtime client, under the name that SAM asks for: no registry of images
is needed. So this tests what SAM makes of template, environment, layers and handlers, not Amazon Linux.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.artifacts import LAMBDA_PYTHON, ROOT, this_machine
from local.aws import client
from local.processes import free_port
from local.sam import SAM, prepared
from tests.product import Product, running

NEEDED = ("podman", "runc", "mmdebstrap", "iptables")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, NEEDED)) or not (SAM / "sam").exists(),
    reason=f"needs root, the SAM CLI (`make sam` brings it) and {', '.join(NEEDED)}",
)

PACKAGES = "python3.13,dash,coreutils,libc-bin,base-files,ca-certificates,tzdata,libstdc++6"
CONTAINERFILE = """
FROM scratch
ADD debian.tar /
COPY runtime /var/runtime/
ENV LAMBDA_TASK_ROOT=/var/task PATH=/usr/bin:/bin LANG=C.UTF-8
WORKDIR /var/task
"""
BOOTSTRAP = """#!/bin/sh
set -- /usr/bin/python3.13 /var/runtime/bootstrap.py
exec ${AWS_LAMBDA_EXEC_WRAPPER:-} "$@"
"""
BOOTSTRAP_PY = """
import os, sys
sys.path[:0] = ["/var/task", "/opt/python", "/var/runtime"]
from awslambdaric.__main__ import main
main(["bootstrap", os.environ["_HANDLER"]])
"""
# Limits of its own: Podman's are higher than a machine without CAP_SYS_RESOURCE may set.
CONTAINERS_CONF = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""

# Those on which others depend come first, as events/README.md says.
FIRST = (
    "send/http_put_contacts",
    "send/appointment_confirmation",
    "send/session_reminder",
    "send/follow_up",
    "send/mood_checkin",
    "webhook/text",
    "send/text_reply",
)
FUNCTIONS = {"send": "SendFunction", "webhook": "WebhookFunction", "template_sync": "TemplateSyncFunction"}
OUT = {"sent", "delivered", "read"}
REFUSED = {
    "unknown_template": "unknown_template",
    "missing_variables": "invalid_variables",
    "malformed_number": "invalid_address",
    "unknown_field": "invalid_request",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    """Podman with storage of its own, and Lambda's image in it."""
    folder = Path(tempfile.mkdtemp(prefix="podman"))  # podman refuses a longer path, such as pytest's own
    conf = folder / "containers.conf"
    conf.write_text(CONTAINERS_CONF)
    podman = ["podman", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
    with ExitStack() as exits, pytest.MonkeyPatch.context() as environment:
        environment.setenv("CONTAINERS_CONF", str(conf))
        environment.setenv("DOCKER_HOST", f"unix://{folder}/socket")
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        exits.callback(subprocess.run, ["umount", str(folder / "root" / "overlay")], capture_output=True, check=False)
        image = f"public.ecr.aws/lambda/python:3.13-{this_machine()}"
        write_image(folder / "image")
        run(*podman, "build", "--quiet", "--tag", image, str(folder / "image"))
        started = subprocess.run([*podman, "run", "--rm", image, "true"], capture_output=True, text=True, check=False)
        if started.returncode != 0:
            pytest.skip(f"no container starts on this machine: {started.stderr}")
        service = subprocess.Popen([*podman, "system", "service", "--time=0", f"unix://{folder}/socket"])
        exits.callback(service.wait)
        exits.callback(service.terminate)
        exits.callback(subprocess.run, [*podman, "rm", "--all", "--force"], capture_output=True, check=False)
        yield


def write_image(folder: Path) -> None:
    runtime = folder / "runtime"
    (boto3,) = (LAMBDA_PYTHON.parent.parent / "lib").glob("python3*/site-packages")
    shutil.copytree(boto3, runtime)
    uv = [str(ROOT / ".venv/bin/uv"), "pip", "install", "--quiet", "--target", str(runtime), "--only-binary", ":all:"]
    platform = "aarch64" if this_machine() == "arm64" else "x86_64"
    run(*uv, "--python-version", "3.13", "--python-platform", f"{platform}-manylinux_2_28", "awslambdaric==4.2.2")
    (runtime / "bootstrap").write_text(BOOTSTRAP)
    (runtime / "bootstrap").chmod(0o755)
    (runtime / "bootstrap.py").write_text(BOOTSTRAP_PY)
    (folder / "Containerfile").write_text(CONTAINERFILE)
    run("mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}", "trixie", str(folder / "debian.tar"))


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A stack to which nobody else has sent a sample."""
    with running(tmp_path_factory.mktemp("stack")) as product:
        yield product


@pytest.fixture(scope="module")
def folder(engine: None, own: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `make sam` writes for that stack."""
    place = tmp_path_factory.mktemp("sam") / "prepared"
    with prepared(own.stack.describe(), place):
        yield place
    assert not place.exists()


@pytest.fixture(scope="module")
def lambdas(folder: Path) -> Iterator[Any]:
    """A boto3 client of `sam local start-lambda`."""
    port = free_port()
    # Credentials that would be the reader's own: none of them may get into a container.
    environment = os.environ | {
        "SAM_CLI_TELEMETRY": "0",
        "HOME": str(folder.parent),
        "AWS_ACCESS_KEY_ID": "the reader's",
        "AWS_SECRET_ACCESS_KEY": "the reader's",
        "AWS_SESSION_TOKEN": "the reader's",
    }
    command = [str(SAM / "sam"), "local", "start-lambda", "--port", str(port), "--skip-pull-image"]
    template, variables = str(folder / "template.json"), str(folder / "env.json")
    options = ["--template", template, "--env-vars", variables, "--warm-containers", "LAZY", "--region", "ap-south-1"]
    log = (folder.parent / "sam.log").open("w")
    with log, subprocess.Popen([*command, *options], cwd=folder, env=environment, stderr=log, stdout=log) as server:
        try:
            deadline = time.monotonic() + 60
            while "Running on" not in (folder.parent / "sam.log").read_text():
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield client("lambda", f"http://127.0.0.1:{port}")
        finally:
            server.terminate()


def judge(name: str, answer: Any) -> None:
    """SAM's exit codes and `FunctionError` say nothing: the payload does."""
    function, _, sample = name.partition("/")
    if isinstance(answer, dict) and "statusCode" in answer:
        assert answer["statusCode"] == (204 if sample.startswith("status_") else 200)
    elif sample in REFUSED:
        assert (answer["status"], answer["error"]["code"]) == ("refused", REFUSED[sample])
    elif sample == "sqs_batch":
        assert answer == {"batchItemFailures": []}
    elif sample == "action_lookup_contact":
        assert answer["known"]
    elif function == "template_sync":
        assert answer["problems"] == []
    elif sample in ("sweep", "measure", "publish"):
        assert {"sweep": "acted", "measure": "DeliveryPercent", "publish": "published"}[sample] in answer
    else:
        assert answer["status"] in OUT


def test_all_samples(own: Product, folder: Path, lambdas: Any) -> None:
    found = {str(path.relative_to(folder / "events").with_suffix("")) for path in folder.glob("events/*/*.json")}
    sent = set()
    for name in [*FIRST, *sorted(found - set(FIRST))]:
        event = (folder / "events" / f"{name}.json").read_bytes()
        response = lambdas.invoke(FunctionName=FUNCTIONS[name.partition("/")[0]], Payload=event)
        answer = json.loads(response["Payload"].read())
        try:
            judge(name, answer)
            if name in FIRST and "message_id" in answer:
                sent.add(answer["message_id"])
        except (AssertionError, KeyError, TypeError) as error:
            pytest.fail(f"{name}: {answer} {error!r}\n{(folder.parent / 'sam.log').read_text()[-3000:]}")
    assert len(sent) == 5
    for message_id in sent:  # a reply outside of the window is taken first, and fails later
        own.when(message_id, "delivered", "read")
