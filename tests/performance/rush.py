"""Run in a sandbox: so many reminders are due at once, and one sweep goes over them. Prints what it took, as JSON."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from whatsapp import bootstrap
from whatsapp.domain.ports import Deadline
from whatsapp.domain.sending.lifecycle import Status
from whatsapp.domain.sending.message import Message, message_id_of


def reminder(number: int, now: int) -> Message:
    """A reminder to somebody of their own, which has waited for the morning."""
    return Message(
        message_id=message_id_of(f"rush-{number}-{now}"),
        contact_id=f"{number:08x}".ljust(32, "0"),
        to=f"+9196{number:08}",
        request_hash="hash",
        created_at=now,
        status=Status.DEFERRED,
        status_at=now,
        template="session_reminder",
        variables={"patient_name": "Asha", "session_time": "5:30 pm", "therapist_name": "Dr. Rao"},
        text="Hello Asha, this is a reminder of your session with Dr. Rao today at 5:30 pm.",
        due_at=now,
        due_shard=f"send#{number % 4}",
    )


if __name__ == "__main__":
    app = bootstrap.app()
    now = app.clock.now()
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda n: app.messages.put_new(reminder(n, now)), range(int(sys.argv[1]))))
    start, cpu = time.perf_counter(), time.process_time()
    swept = app.sweep_due(Deadline(app.clock.now() + 30_000))
    seconds = time.perf_counter() - start
    print(json.dumps({"acted": swept["acted"], "seconds": seconds, "cpu": time.process_time() - cpu}))
