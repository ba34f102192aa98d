"""What the page's buttons do: each is one request to the stack, as anybody could make it."""

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from whatsapp.domain.errors import MessagingError
from whatsapp.domain.sending.message import MessageIds
from whatsapp.domain.templates.catalog import Catalog

from local.aws import server_environment
from local.http import SignedHttp
from local.phone.passing import UnsettledError, let_pass
from local.phone.reset import empty
from local.phone.world import World, now_ms
from local.templates.reload import CatalogError, reload_catalog

SAMPLES = Path(__file__).parent / "samples"
SHOWABLE = ("image/jpeg", "image/png", "image/webp", "audio/ogg", "audio/mpeg", "audio/wav", "video/mp4")
"""Media that the page shows itself; anything else is only offered for download."""
TASKS = {
    "sweep": "SendFunctionName",
    "publish": "WebhookFunctionName",
    "reconcile": "WebhookFunctionName",
    "media": "WebhookFunctionName",
    "sync": "TemplateSyncFunctionName",
}
CONTROLS = {"patients", "faults", "window", "clock"}


class Refused(Exception):
    """The page asked for something that cannot be. The text says what, for people."""


class Actions:
    """The page's actions on one stack."""

    def __init__(self, world: World, aws: Any, stack: dict[str, Any], twilio: httpx.AsyncClient, catalog: Path) -> None:
        self._world = world
        self._catalog = Catalog(catalog)
        self._stack = stack
        self._outputs: dict[str, str] = stack["outputs"]
        self._lambda = aws("lambda")
        self._sqs = aws("sqs")
        self._secrets = aws("secretsmanager")
        self._events = aws("events")
        self._dynamodb = aws("dynamodb")
        self._s3 = aws("s3")
        self._twilio = twilio
        self._passing = asyncio.Lock()
        self._api = SignedHttp(stack["api_url"])

    def routes(self) -> list[Route]:
        """The routes under `/api/` and `/media/`."""
        return [
            Route("/api/send", _forgiving(self.send), methods=["POST"]),
            Route("/api/inbound", _forgiving(self.inbound), methods=["POST"]),
            Route("/api/preview", _forgiving(self.preview), methods=["POST"]),
            Route("/api/run/{task}", _forgiving(self.run), methods=["POST"]),
            Route("/api/alerts/clear", _forgiving(self.clear_alerts), methods=["POST"]),
            Route("/api/redrive", _forgiving(self.redrive), methods=["POST"]),
            Route("/api/templates", _forgiving(self.versions), methods=["POST"]),
            Route("/api/templates/{sid}/review", _forgiving(self.review), methods=["POST"]),
            Route("/api/pass", _forgiving(self.let_pass), methods=["POST"]),
            Route("/api/reset", _forgiving(self.reset), methods=["POST"]),
            Route("/api/messages/{message_id}", _forgiving(self.cancel), methods=["DELETE"]),
            Route("/api/contacts/{contact_id}", _forgiving(self.erase), methods=["DELETE"]),
            Route("/api/replay", _forgiving(self.replay), methods=["POST"]),
            Route("/api/twilio/{control}", _forgiving(self.control), methods=["POST", "DELETE"]),
            Route("/media/{sid}", _forgiving(self.medium), methods=["GET"]),
        ]

    @cached_property
    def _people(self) -> dict[str, list[str]]:
        """The key attributes of the tables that hold what happened to patients."""
        messages, contacts = self._outputs["MessagesTableName"], self._outputs["ContactsTableName"]
        return {messages: ["message_id", "entry"], contacts: ["contact_id"]}

    @cached_property
    def _message_ids(self) -> MessageIds:
        secret = self._secrets.get_secret_value(SecretId=self._outputs["ContactKeySecretArn"])
        return MessageIds(secret["SecretString"])

    async def send(self, request: Request) -> Response:
        """Send as the orchestrator: `{"door": "invoke" | "http" | "sqs", "request": {…}}`."""
        body = await _json(request)
        door, message = body["door"], _object(body["request"])
        doors = {"invoke": self._invoke_send, "http": self._post_send, "sqs": self._queue_send}
        if door not in doors:
            raise Refused(f"no door {door!r}: say invoke, http or sqs")
        began = now_ms()
        answer = await asyncio.to_thread(doors[door], message)
        key = message.get("idempotency_key")
        message_id = answer.get("message_id") or (self._message_ids.of(key) if key else None)
        self._tell(door, message, answer, message_id, began)
        return JSONResponse({"answer": answer, "message_id": message_id})

    def _tell(
        self, door: str, message: dict[str, Any], answer: dict[str, Any], message_id: str | None, at: int
    ) -> None:
        error = answer.get("error") or {}
        refused = answer.get("status") == "refused"
        title = {"invoke": "Direct invoke", "http": "POST /messages", "sqs": "Put on the queue"}[door]
        step_id = f"{message_id}:command" if message_id and not refused else f"refused:{at}"
        if answer.get("duplicate"):
            step_id, title = f"duplicate:{at}", f"{title} (duplicate)"
        self._world.step(
            step_id, "command", title, at, end=now_ms(), state="bad" if refused else "ok",
            code=error.get("code") if refused else None, message_id=message_id, to=message.get("to"),
            template=message.get("template"), detail={"request": message, "answer": answer},
        )  # fmt: skip

    def _invoke_send(self, message: dict[str, Any]) -> dict[str, Any]:
        return self._invoke("SendFunctionName", message)

    def _post_send(self, message: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._api.post("/messages", message).json()
        return answer

    def _queue_send(self, message: dict[str, Any]) -> dict[str, Any]:
        answer = self._sqs.send_message(QueueUrl=self._outputs["SendQueueUrl"], MessageBody=json.dumps(message))
        return {"queued": answer["MessageId"]}

    def _invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        response = self._lambda.invoke(FunctionName=self._outputs[function], Payload=json.dumps(event).encode())
        answer: dict[str, Any] = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise Refused(f"{self._outputs[function]} raised {answer.get('errorType')}: {answer.get('errorMessage')}")
        return answer

    async def inbound(self, request: Request) -> Response:
        """Write as a patient. `sample` is `picture` or `voice`, and stands for a medium of ours."""
        body = await _json(request)
        if sample := body.pop("sample", None):
            name, content_type = {"picture": ("picture.png", "image/png"), "voice": ("voice.ogg", "audio/ogg")}[sample]
            data = b64encode((SAMPLES / name).read_bytes()).decode()
            body["media"] = [{"content_type": content_type, "base64": data}]
        return await self._ask_twilio("POST", "inbound", body)

    async def let_pass(self, request: Request) -> Response:
        """Let time pass, for the product and for WhatsApp: `{"seconds": 3600}`. What has become due then goes."""
        seconds = int((await _json(request))["seconds"])
        if seconds <= 0:
            raise Refused("time passes forward only: say how many seconds")
        tables = {**self._people, self._outputs["TemplatesTableName"]: ["template", "version"]}
        if self._passing.locked():
            raise Refused("time passes already: wait until it has")
        try:
            async with self._passing:
                await asyncio.to_thread(let_pass, self._dynamodb, tables, seconds * 1000)
        except UnsettledError as error:
            raise Refused(str(error)) from None
        before = (self._world.get("status", "passed") or {}).get("jumps", [])
        self._world.put("status", "passed", {"jumps": [*before, {"at": now_ms(), "ms": seconds * 1000}]})
        answer = await self._ask_twilio("POST", "clock", {"advance_seconds": seconds})
        await self.run_task("sweep")
        return answer

    async def reset(self, _request: Request) -> Response:
        """Begin anew, as after `make run RESET=1`: all is forgotten but the templates."""
        answer = await self._ask_twilio("POST", "reset", {})  # first, so that it calls our functions no more
        await asyncio.to_thread(empty, self._dynamodb, self._s3, self._sqs, self._outputs, self._people)
        self._world.forget()
        return answer

    async def cancel(self, request: Request) -> Response:
        """Call a message off: `DELETE /messages/{message_id}`."""
        return await self._delete(f"/messages/{request.path_params['message_id']}")

    async def erase(self, request: Request) -> Response:
        """Forget a person: `DELETE /contacts/{contact_id}`."""
        return await self._delete(f"/contacts/{request.path_params['contact_id']}")

    async def _delete(self, path: str) -> Response:
        answer = await asyncio.to_thread(self._api.request, "DELETE", path)
        told = answer.json()
        if answer.status_code >= 400:
            raise Refused((told.get("error") or {}).get("detail") or f"the API answered {answer.status_code}")
        return JSONResponse(told)

    async def replay(self, request: Request) -> Response:
        """What may come twice comes again: an event on the bus, or a webhook with its signature."""
        body = await _json(request)
        if "event" in body:
            event = body["event"]
            entry = {"Source": event["source"], "DetailType": event["detail-type"],
                     "Detail": json.dumps(event["detail"]), "EventBusName": self._outputs["BusName"]}  # fmt: skip
            await asyncio.to_thread(self._events.put_events, Entries=[entry])
            return JSONResponse({"told": "The event is on the bus again, with its event_id."})
        if not body["url"].startswith(self._stack["public_url"]):
            raise Refused("this webhook is not ours")
        headers = {"X-Twilio-Signature": body["signature"]}
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            answer = await http.post(body["url"].partition("#")[0], data=body["form"], headers=headers)
        return JSONResponse({"told": f"The webhook answered {answer.status_code}."})

    async def control(self, request: Request) -> Response:
        """One of the emulated Twilio's own controls."""
        name = request.path_params["control"]
        if name not in CONTROLS:
            raise Refused(f"no control {name}")
        return await self._ask_twilio(request.method, name, await _json(request) if request.method == "POST" else None)

    async def review(self, request: Request) -> Response:
        """Decide on a template as WhatsApp's reviewer, then let our sync see it."""
        answer = await self._ask_twilio("POST", f"templates/{request.path_params['sid']}/review", await _json(request))
        if answer.status_code < 300:
            await self.run_task("sync")
        return answer

    async def versions(self, _request: Request) -> Response:
        """What our own `GET /templates` says of each copy: whether it goes out, and what happens next."""
        answer = await asyncio.to_thread(self._api.get, "/templates")
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def _ask_twilio(self, method: str, path: str, body: Any) -> Response:
        answer = await self._twilio.request(method, path, json=body)
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def run(self, request: Request) -> Response:
        """Run a schedule's task now. A sync first brings the catalog's files into the functions, as they are now."""
        task = request.path_params["task"]
        if task != "sync":
            return JSONResponse(await self.run_task(task))
        try:
            await asyncio.to_thread(reload_catalog, self._lambda, self._outputs, self._catalog.directory)
        except CatalogError as error:
            raise Refused(str(error)) from None
        self._catalog = Catalog(self._catalog.directory)
        return JSONResponse({**await self.run_task(task), "catalog": self.catalog_view()})

    async def run_task(self, task: str) -> dict[str, Any]:
        """Run a task of a function, as its schedule does.

        Raises:
            Refused: no such task, or the function raised.
        """
        if task not in TASKS:
            raise Refused(f"no task {task}")
        return await asyncio.to_thread(self._invoke, TASKS[task], {"task": task})

    async def redrive(self, _request: Request) -> Response:
        """Redrive the dead-letter queue with the tool that operators use, and say what it said."""
        environment = server_environment(AWS_ENDPOINT_URL=self._stack["aws_endpoint"])
        tool = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "commands.dead_letters", "redrive", "--yes",
            "--stack", self._stack["stack_name"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        told, _ = await tool.communicate()
        if tool.returncode:
            raise Refused(told.decode().strip())
        return JSONResponse({"told": told.decode().strip()})

    async def clear_alerts(self, _request: Request) -> Response:
        """Somebody has seen to all alerts so far: the page forgets them."""
        self._world.replace("alert", {})
        return JSONResponse({})

    async def preview(self, request: Request) -> Response:
        """A template as the patient will read it, or what is wrong with its values so far."""
        body = await _json(request)
        template = self._catalog.get(body["template"])
        language = body.get("language") or template.default_language
        buttons = [reply.title for reply in template.wording(language).quick_replies]
        try:
            text = template.render(language, body.get("variables") or {}).text
        except MessagingError as error:
            return JSONResponse({"problem": error.detail})
        return JSONResponse({"text": text, "buttons": buttons})

    def catalog_view(self) -> list[dict[str, Any]]:
        """What the composer needs to know of our templates."""
        return [
            {
                "name": template.name,
                "purpose": template.purpose,
                "category": template.category,
                "agent": template.agent,
                "default_language": template.default_language,
                "expires_with": template.expires_with,
                "languages": {
                    language: {"body": wording.body, "buttons": [reply.title for reply in wording.quick_replies],
                               "samples": template.sample_values(language)}
                    for language, wording in template.languages.items()
                },
                "variables": [
                    {"name": v.name, "type": v.type, "description": v.description, "max_length": v.max_length}
                    for v in template.variables.values()
                ],
            }
            for template in self._catalog
        ]  # fmt: skip

    async def medium(self, request: Request) -> Response:
        """A medium's bytes. What a stranger sent is shown only as what it claims to be, in a sandbox."""
        answer = await self._twilio.get(f"media/{request.path_params['sid']}")
        content_type = answer.headers.get("content-type", "")
        headers = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
        if content_type not in SHOWABLE:
            headers["Content-Disposition"] = "attachment"
            content_type = "application/octet-stream"
        return Response(answer.content, answer.status_code, headers, content_type)


async def _json(request: Request) -> dict[str, Any]:
    return _object(await request.json())


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused("a request is a JSON object")
    return value


def _forgiving(endpoint: Any) -> Any:
    """Wrong input is a 400 with a sentence, a part of the stack that does not answer a 502: never a traceback."""

    async def answer(request: Request) -> Response:
        try:
            response: Response = await endpoint(request)
        except (Refused, MessagingError) as error:
            return JSONResponse({"error": str(getattr(error, "detail", None) or error)}, 400)
        except (KeyError, ValueError, TypeError) as error:
            return JSONResponse({"error": f"bad request: {type(error).__name__} {error}"}, 400)
        except (httpx.HTTPError, BotoCoreError, ClientError) as error:
            return JSONResponse({"error": f"the stack does not answer ({type(error).__name__})"}, 502)
        return response

    return answer
