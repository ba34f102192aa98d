"""Calls to the product, with the faults that strike them and a record of every attempt."""

import asyncio
from collections.abc import Mapping

import httpx

from local.twilio.callbacks import Caller
from local.twilio.state import Account, Message

HELD_SECONDS = 2.0
"""How long `callbacks_reorder` waits for a later callback of the same message before it gives up."""


class Webhooks:
    def __init__(self, account: Account, caller: Caller) -> None:
        self._account = account
        self._caller = caller
        self._held: dict[str, asyncio.Event] = {}
        """By message sid: set when the next callback of that message has gone."""

    async def send(self, message: Message, url: str, params: Mapping[str, str], status: str) -> httpx.Response | None:
        """Deliver one webhook, or do with it what a fault says; the last answer, if there was any."""
        is_status = message.direction != "inbound"
        fault = self._account.faults.for_callback(message.patient, url, is_status=is_status)
        kind = fault.kind if fault else None
        if fault:
            self._account.events.publish(
                "fault", fault=fault.kind, code=fault.code, sid=message.sid, status=status, url=url, form=dict(params)
            )
        if kind == "callbacks_drop":
            return None
        if kind == "callbacks_delay":
            await asyncio.sleep((fault.seconds if fault else None) or 1.0)
        if kind == "callbacks_reorder":
            await self._let_another_pass(message)
        response = await self._call(message, url, params, status)
        if kind == "callbacks_double":
            response = await self._call(message, url, params, status)
        if kind != "callbacks_reorder" and message.sid in self._held:
            self._held.pop(message.sid).set()
        return response

    async def _let_another_pass(self, message: Message) -> None:
        passed = self._held.setdefault(message.sid, asyncio.Event())
        try:
            await asyncio.wait_for(passed.wait(), HELD_SECONDS)
        except TimeoutError:
            self._held.pop(message.sid, None)

    async def _call(self, message: Message, url: str, params: Mapping[str, str], status: str) -> httpx.Response | None:
        attempts, response = await self._caller.call(url, params, status)
        message.callbacks += attempts
        for attempt in attempts:
            self._account.events.publish("callback", sid=message.sid, **vars(attempt))
        return response
