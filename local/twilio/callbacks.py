"""How Twilio calls us: it signs the form, obeys the connection overrides in the URL's fragment, and retries.

Sources: https://www.twilio.com/docs/usage/security (signature),
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys (signature by a shared key),
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides (`#ct=…&rt=…&tt=…&rc=…&rp=…`).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from urllib.parse import parse_qs, urldefrag

import httpx
from whatsapp.testing import sign

from local.twilio.state import CallbackAttempt, SharedKey

MEDIA_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Overrides:
    """Connection overrides, in Twilio's defaults and ranges; times are milliseconds."""

    ct: int = 5000
    rt: int = 15000
    tt: int = 15000
    rc: int = 1
    rp: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, fragment: str) -> "Overrides":
        """Read `#ct=2000&rp=ct,5xx`; what is out of range is brought into it."""
        given = {key: values[-1] for key, values in parse_qs(fragment).items()}

        def number(key: str, low: int, high: int) -> int:
            default: int = getattr(cls, key)
            value = given.get(key, "")
            return min(max(int(value), low), high) if value.isdecimal() else default

        policies = frozenset(given["rp"].split(",")) if "rp" in given else cls.rp
        return cls(
            number("ct", 100, 10_000),
            number("rt", 100, 15_000),
            number("tt", 100, 15_000),
            number("rc", 0, 5),
            policies,
        )

    def wants_retry(self, attempt: CallbackAttempt) -> bool:
        """Whether `rp` names what just happened."""
        happened = attempt.error or f"{(attempt.http_status or 0) // 100}xx"
        return happened in self.rp or ("all" in self.rp and happened in {"ct", "rt", "broken", "4xx", "5xx"})


class Caller:
    """Makes the requests of one account to the outside, webhooks signed by its token or shared key as it is now."""

    def __init__(self, signing_key: Callable[[], str | SharedKey]) -> None:
        self._signing_key = signing_key
        # No connection is kept, so that every call connects anew and can fail to.
        self._http = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=True,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def fetch(self, url: str) -> httpx.Response:
        """Fetch a medium that MediaUrl names.

        Raises:
            httpx.HTTPError: no answer, or another than 2xx.
        """
        answer = await self._http.get(url, timeout=MEDIA_TIMEOUT_SECONDS)
        return answer.raise_for_status()

    async def call(
        self, url: str, params: Mapping[str, str], status: str
    ) -> tuple[list[CallbackAttempt], httpx.Response | None]:
        """Deliver one webhook: every attempt made, and the last answer if there was one."""
        target, fragment = urldefrag(url)
        overrides = Overrides.of(fragment)
        headers = {
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "X-Home-Region": "us1",
            "I-Twilio-Idempotency-Token": token_hex(16),
            **self._signature(target, params),
        }
        deadline = time.monotonic() + overrides.tt / 1000
        attempts: list[CallbackAttempt] = []
        response = None
        for _ in range(1 + overrides.rc):
            attempt, response = await self._attempt(target, params, status, headers, overrides, deadline)
            attempts.append(attempt)
            if time.monotonic() >= deadline or not overrides.wants_retry(attempt):
                break
        return attempts, response

    def _signature(self, url: str, params: Mapping[str, str]) -> dict[str, str]:
        key = self._signing_key()
        if isinstance(key, str):
            return {"X-Twilio-Signature": sign(key, url, params)}
        return {
            "X-Twilio-Signature": sign(key.secret, url, params, "sha256"),
            "X-Twilio-Webhooks-Signature-Settings": f"key={key.id},algorithm=HMAC_SHA256",
        }

    async def _attempt(
        self,
        url: str,
        params: Mapping[str, str],
        status: str,
        headers: dict[str, str],
        overrides: Overrides,
        deadline: float,
    ) -> tuple[CallbackAttempt, httpx.Response | None]:
        left = max(deadline - time.monotonic(), 0.05)
        timeout = httpx.Timeout(min(overrides.rt / 1000, left), connect=min(overrides.ct / 1000, left))
        start = time.perf_counter()
        response, error = None, None
        try:
            async with asyncio.timeout(left):
                response = await self._http.post(url, data=dict(params), headers=headers, timeout=timeout)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            error = "ct"
        except (httpx.TimeoutException, TimeoutError):
            error = "rt"
        except (httpx.HTTPError, httpx.InvalidURL):
            error = "broken"
        ms = round((time.perf_counter() - start) * 1000)
        attempt = CallbackAttempt(
            url=url,
            status=status,
            form=dict(params),
            signature=headers["X-Twilio-Signature"],
            http_status=response.status_code if response is not None else None,
            answer=response.text if response is not None else None,
            error=error,
            ms=ms,
        )
        return attempt, response
