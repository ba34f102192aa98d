"""Run in a sandbox: ten queue messages as one batch, and another ten one after the other.

Prints both times, and the batch's CPU time, as JSON.
"""

import json
import sys
import time
from typing import Any

from whatsapp import bootstrap
from whatsapp.domain.ports import Deadline

from functions.send.handler import _batch as work_batch


def records(first: int) -> list[dict[str, Any]]:
    """Ten requests, each to somebody else."""
    variables = {"patient_name": "Asha", "therapist_name": "Dr. Rao"}
    bodies = ({"to": f"+9197{first + n}", "template": "mood_checkin", "variables": variables} for n in range(10))
    attributes = {"SentTimestamp": str(bootstrap.app().clock.now())}
    return [
        {
            "messageId": f"bench-{first + n}",
            "receiptHandle": "none",
            "body": json.dumps(body),
            "attributes": attributes,
        }
        for n, body in enumerate(bodies)
    ]


def seconds(*batches: list[dict[str, Any]]) -> float:
    """How long these batches take, one after the other."""
    start = time.perf_counter()
    for batch in batches:
        answer = work_batch(batch, Deadline(bootstrap.app().clock.now() + 60_000))
        if answer["batchItemFailures"]:
            raise SystemExit(f"not sent: {answer}")
    return time.perf_counter() - start


if __name__ == "__main__":
    base = int(sys.argv[1])
    seconds(records(base))  # warm: connections, templates
    cpu = time.process_time()
    at_once = seconds(records(base + 10))
    cpu = time.process_time() - cpu
    in_turn = seconds(*([record] for record in records(base + 20)))
    print(json.dumps({"at_once": at_once, "in_turn": in_turn, "cpu": cpu}))
