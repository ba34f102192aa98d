"""Prepares `sam local` for the running stack: `make sam`, which stays until Ctrl-C.

SAM's containers get a template in which every variable is declared (SAM drops those that are not), the functions' real
environment as a file (which alone beats the shell's), code built for Linux, and samples signed for this stack.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local import relay, stacks
from local.artifacts import ROOT, artifacts, build, this_machine
from local.aws import CREDENTIALS, REGION, client, name_alone
from local.deploy import read_template
from local.sample_events import open_window, prepare

SAM = ROOT / ".venv-sam" / "bin"
# The engine's own answer, asked as SAM asks it: its SDK is in SAM's environment.
_ASK_FOR_BRIDGE = """
import docker, json
print(json.dumps(docker.from_env().networks.get("bridge").attrs["IPAM"]["Config"][0]))
"""


@contextlib.contextmanager
def prepared(stack: Mapping[str, Any], folder: Path) -> Iterator[None]:
    """Everything that `sam local` needs for this stack lies in `folder`, and containers reach the stack, while inside.

    Raises:
        UsageError: no container engine answers.
        BuildError: the code could not be built.
    """
    ports = [urlsplit(stack[of]).port for of in ("aws_endpoint", "twilio_url", "twilio_media_url")]
    bridge = _bridge() if sys.platform == "linux" else {}
    host = bridge.get("Gateway", "host.docker.internal")
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.ExitStack() as exits:
        exits.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write(folder / "env.json", variables := _variables(stack, ports, host))
        _build(folder)
        _write(folder / "template.json", _template(folder, variables))
        for sample in sorted((ROOT / "events").glob("*/*.json")):
            if sample.parent.name != "schemas":
                event = prepare(json.loads(sample.read_bytes()), stack)
                open_window(event, stack)
                _write(folder / sample.relative_to(ROOT), event)
        if bridge:  # elsewhere the engine itself leads `host.docker.internal` to 127.0.0.1
            for listener in relay.carry(ports, host, "127.0.0.1", bridge["Subnet"]):
                exits.callback(listener.close)
        yield


def _bridge() -> dict[str, str]:
    """The network of the containers: its `Gateway` is this machine, as they see it, and its `Subnet` holds them."""
    asked = subprocess.run(
        [SAM / "python", "-c", _ASK_FOR_BRIDGE], capture_output=True, text=True, check=False, timeout=30
    )
    if asked.returncode != 0:
        raise stacks.UsageError(
            "no container engine answers: start Docker, or name Podman's socket (DOCKER_HOST=unix://…). "
            "`make invoke` needs neither."
        )
    found: dict[str, str] = json.loads(asked.stdout)
    return found


def _variables(stack: Mapping[str, Any], ports: list[Any], host: str) -> dict[str, dict[str, str]]:
    """Each function's environment, by logical id, as the embedded AWS lists it, and what leads it to the stack."""
    ours = {
        "AWS_ENDPOINT_URL": stack["aws_endpoint"],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
        "AWS_SESSION_TOKEN": "",  # or the shell's would come along
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/relay.sh",
        "RELAY_HOST": host,
        "RELAY_PORTS": " ".join(str(port) for port in ports),
    }
    lambdas = client("lambda", stack["aws_endpoint"])
    found = {}
    for logical_id in _functions(read_template()):
        name = name_alone(stack["outputs"][f"{logical_id}Name"])
        environment = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        found[logical_id] = environment | ours
    return found


def _functions(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    kind = "AWS::Serverless::Function"
    return {id_: resource["Properties"] for id_, resource in template["Resources"].items() if resource["Type"] == kind}


def _build(folder: Path) -> None:
    for artifact in artifacts(read_template()):
        with zipfile.ZipFile(build(artifact, this_machine())) as built:
            built.extractall(folder / artifact.logical_id)
    layer = folder / "RelayLayer"
    layer.mkdir()
    shutil.copy(relay.__file__, layer / "relay.py")
    wrapper = layer / "relay.sh"
    wrapper.write_text('#!/bin/sh\nexec "$1" /opt/relay.py "$@"\n')  # Lambda's interpreter comes first of all
    wrapper.chmod(0o755)


def _template(folder: Path, variables: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The three functions, layers and routes, without parameters: SAM gives one without a default its own name."""
    whole = read_template()
    common = whole["Globals"]["Function"]
    layers = [a.logical_id for a in artifacts(whole) if a.logical_id.endswith("Layer")] + ["RelayLayer"]
    auth = {"Auth": whole["Resources"]["Api"]["Properties"]["Auth"]}
    resources: dict[str, Any] = {"Api": {"Type": "AWS::Serverless::HttpApi", "Properties": auth}}
    for layer in layers:
        content = {"ContentUri": str(folder / layer), "CompatibleRuntimes": [common["Runtime"]]}
        resources[layer] = {"Type": "AWS::Serverless::LayerVersion", "Properties": content}
    for logical_id, properties in _functions(whole).items():
        routes = {name: event for name, event in properties["Events"].items() if event["Type"] == "HttpApi"}
        resources[logical_id] = {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "CodeUri": str(folder / logical_id),
                "Handler": properties["Handler"],
                "Timeout": properties["Timeout"],
                "MemorySize": properties.get("MemorySize", common["MemorySize"]),
                "Runtime": common["Runtime"],
                "Architectures": [this_machine()],
                "Layers": [{"Ref": layer} for layer in layers],
                "Environment": {"Variables": dict.fromkeys(variables[logical_id], "")},
                "Events": routes,
            },
        }
    return {
        "AWSTemplateFormatVersion": whole["AWSTemplateFormatVersion"],
        "Transform": whole["Transform"],
        "Resources": resources,
    }


def _write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def stay(name: str) -> None:
    """Prepare for the running stack of that name, say so, and stay until interrupted.

    Raises:
        UsageError: no stack is running, no container engine answers, or another `make sam` is at work.
        BuildError: the code could not be built.
    """
    with prepared(stacks.running_stack(name), stacks.STACKS / "sam"):
        where = (stacks.STACKS / "sam").relative_to(ROOT)
        print(f"sam local is ready until Ctrl-C. The samples, webhooks signed: {where}/events. For example:")
        print("  .venv-sam/bin/sam local invoke SendFunction -e events/send/appointment_confirmation.json")
        print(f"  .venv-sam/bin/sam local invoke WebhookFunction -e {where}/events/webhook/text.json", flush=True)
        threading.Event().wait()
