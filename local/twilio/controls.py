"""The emulator's own controls under `/_emulator/`: JSON in and out, no credentials, 127.0.0.1 only."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.twilio.connections import Connections
from local.twilio.content import ContentApi, template_view
from local.twilio.delivery import Delivery
from local.twilio.faults import Fault
from local.twilio.inbound import Inbound
from local.twilio.kept import KEPT, keep, take_up
from local.twilio.state import Account, Patient, SharedKey, bare, iso8601, ledger_entry, message_view
from local.twilio.tasks import Tasks

SWITCHES = (
    "profile_name", "external_user_id", "on_whatsapp", "blocked", "phone_on", "read_receipts", "opted_out",
)  # fmt: skip


class Controls:
    def __init__(
        self,
        account: Account,
        inbound: Inbound,
        contents: ContentApi,
        delivery: Delivery,
        tasks: Tasks,
        connections: Connections,
    ) -> None:
        self._account = account
        self._inbound = inbound
        self._contents = contents
        self._delivery = delivery
        self._tasks = tasks
        self._connections = connections

    def routes(self) -> list[Route]:
        controls = {
            ("GET", "ledger"): self.ledger,
            ("GET", "state"): self.state,
            ("GET", "events"): self.events,
            ("GET", "faults"): self.list_faults,
            ("POST", "faults"): self.add_fault,
            ("DELETE", "faults"): self.clear_faults,
            ("POST", "reset"): self.reset,
            ("GET", "kept"): self.keep,
            ("PUT", "kept"): self.take_up,
            ("POST", "configure"): self.configure,
            ("POST", "inbound"): self.inbound,
            ("POST", "patients"): self.patients,
            ("POST", "senders"): self.senders,
            ("POST", "window"): self.window,
            ("POST", "clock"): self.clock,
            ("POST", "templates/{sid}/review"): self.review,
            ("GET", "media/{sid}"): self.medium,
        }
        return [
            Route(f"/_emulator/{path}", _forgiving(endpoint), methods=[method])
            for (method, path), endpoint in controls.items()
        ]

    async def ledger(self, _: Request) -> Response:
        return JSONResponse({"messages": [ledger_entry(message) for message in self._account.messages.values()]})

    async def state(self, _: Request) -> Response:
        """All that a watcher needs to begin with; `events` continues from `last_event_id`."""
        account = self._account
        return JSONResponse(
            {
                "boot": account.events.boot,
                "last_event_id": account.events.last_id,
                "account_sid": account.sid,
                "whatsapp_now": iso8601(account.whatsapp_now()),
                "settings": asdict(account.settings),
                "senders": [vars(sender) for sender in account.senders.values()],
                "patients": [patient_view(patient) for patient in account.patients.values()],
                "windows": account.open_windows(),
                "messages": [message_view(message) for message in account.messages.values()],
                "templates": [template_view(content) for content in account.contents.values()],
                "faults": [vars(fault) for fault in account.faults.active],
                "media_requests": account.media_requests,
                "warnings": account.warnings,
            }
        )

    async def events(self, request: Request) -> Response:
        """Everything that happens from now on, or from `Last-Event-ID` on, as server-sent events."""
        last = request.headers.get("Last-Event-ID") or request.query_params.get("last_event_id")
        return StreamingResponse(
            self._account.events.stream(last),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def list_faults(self, _: Request) -> Response:
        return JSONResponse({"faults": [vars(fault) for fault in self._account.faults.active]})

    async def add_fault(self, request: Request) -> Response:
        fault = Fault.from_json(await _body(request))
        self._account.faults.active.append(fault)
        self._publish_faults()
        if fault.closes_the_port:
            self._connections.stop_listening()
            self._tasks.spawn(self._listen_again(fault))
        return JSONResponse(vars(fault), 201)

    async def clear_faults(self, _: Request) -> Response:
        self._account.faults.active.clear()
        self._publish_faults()
        return JSONResponse({"faults": []})

    async def reset(self, request: Request) -> Response:
        """Forget all that happened; with `{"all": true}` the account's templates and webhooks too."""
        body = await _body(request) if await request.body() else {}
        await self._tasks.cancel_all()
        if body.get("all"):
            self._account.set_up()
        self._account.reset()
        return JSONResponse({})

    async def keep(self, _: Request) -> Response:
        """All that is held, for a later process to take up with PUT."""
        return Response(KEPT.dump_json(keep(self._account)), media_type="application/json")

    async def take_up(self, request: Request) -> Response:
        """Become what an earlier process was, and go on with the messages that were under way.

        Raises:
            ValueError: it does not fit, and nothing was changed.
        """
        kept = KEPT.validate_json(await request.body())
        await self._tasks.cancel_all()
        take_up(self._account, kept)
        for message in self._account.messages.values():
            self._delivery.go_on(message)
        return JSONResponse({})

    async def configure(self, request: Request) -> Response:
        """Change settings; what is not named stays.

        Raises:
            ValueError: an unknown setting.
        """
        body = await _body(request)
        if url := body.pop("inbound_url", None):
            self._account.set_inbound_url(url)
        self._account.auth_token = body.pop("auth_token", self._account.auth_token)
        self._account.secondary_token = body.pop("secondary_token", self._account.secondary_token)
        if "shared_key" in body:
            key = body.pop("shared_key")
            self._account.shared_key = SharedKey(**key) if key else None
        settings = self._account.settings
        settings.status_delays_ms |= body.pop("status_delays_ms", {})
        for name, value in body.items():
            if name not in asdict(settings):
                raise ValueError(f"unknown setting {name}")
            setattr(settings, name, value)
        return JSONResponse(asdict(settings))

    async def inbound(self, request: Request) -> Response:
        return JSONResponse(await self._inbound.receive(await _body(request)))

    async def patients(self, request: Request) -> Response:
        """Turn one patient's switches; what is not named stays."""
        body = await _body(request)
        patient = self._account.patient(body.pop("address"))
        if "joined_sandbox" in body:
            patient.joined_sandbox = self._account.whatsapp_now() if body.pop("joined_sandbox") else None
        for name, value in body.items():
            if name not in SWITCHES:
                raise ValueError(f"unknown switch {name}")
            setattr(patient, name, value)
        self._account.events.publish("patient", patient=patient_view(patient))
        return JSONResponse(patient_view(patient))

    async def senders(self, request: Request) -> Response:
        """Change a sender of ours: its status, such as OFFLINE, with the reasons; its webhook; its profile."""
        body = await _body(request)
        sender = self._account.senders.get(bare(body["address"]))
        if sender is None:
            raise ValueError(f"{body['address']} is no sender of this account")
        sender.status = body.get("status", sender.status)
        sender.offline_reasons = body.get("offline_reasons", sender.offline_reasons)
        sender.webhook |= body.get("webhook", {})
        sender.profile |= body.get("profile", {})
        self._account.events.publish("sender", sender=vars(sender))
        return JSONResponse(vars(sender))

    async def window(self, request: Request) -> Response:
        """Open or close the 24-hour window of an address with one sender, or with all of them."""
        body = await _body(request)
        change = self._account.open_window if body["open"] else self._account.close_window
        for sender in [bare(body["sender"])] if body.get("sender") else list(self._account.senders):
            change(bare(body["address"]), sender)
        self._account.events.publish("windows", windows=self._account.open_windows())
        return JSONResponse({"windows": self._account.open_windows()})

    async def clock(self, request: Request) -> Response:
        """Move WhatsApp's clock ahead (windows, caps, sandbox membership); Twilio's dates stay real."""
        self._account.advance_clock(timedelta(seconds=float((await _body(request))["advance_seconds"])))
        return JSONResponse({"whatsapp_now": iso8601(self._account.whatsapp_now())})

    async def review(self, request: Request) -> Response:
        content = self._contents.review(request.path_params["sid"], await _body(request))
        return JSONResponse(template_view(content))

    async def medium(self, request: Request) -> Response:
        """A medium's bytes, for a page that shows the conversation."""
        sid = request.path_params["sid"]
        media = (medium for message in self._account.messages.values() for medium in message.media)
        medium = next((medium for medium in media if medium.sid == sid), None)
        if medium is None:
            raise KeyError(sid)
        return Response(medium.data, media_type=medium.content_type)

    async def _listen_again(self, fault: Fault) -> None:
        try:
            await asyncio.sleep(fault.seconds or 0)
        finally:
            await self._connections.listen_again()
        self._account.faults.active = [each for each in self._account.faults.active if each is not fault]
        self._publish_faults()

    def _publish_faults(self) -> None:
        self._account.events.publish("faults", faults=[vars(fault) for fault in self._account.faults.active])


def patient_view(patient: Patient) -> dict[str, Any]:
    joined = patient.joined_sandbox
    return vars(patient) | {"joined_sandbox": iso8601(joined) if joined else None}


async def _body(request: Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return body


def _forgiving(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """A control's wrong input is a 400, an unknown sid in its path a 404; never a traceback.

    A browser says in Origin whose page asks. Only our own may; a program says nothing, and may.
    """

    async def answer(request: Request) -> Response:
        if request.headers.get("Origin", own := f"http://{request.headers['Host']}") != own:
            return JSONResponse({"error": "another site's page has no business here"}, 403)
        try:
            return await endpoint(request)
        except KeyError as error:
            unknown = bool(request.path_params)
            sentence = f"{error.args[0]} {'is unknown' if unknown else 'is missing'}"
            return JSONResponse({"error": sentence}, 404 if unknown else 400)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer
