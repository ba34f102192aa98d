"""What a million of each operation costs on AWS: `python -m tests.performance.cost` writes it into docs/scale.md.

Prices are ap-south-1's list prices of 2026 as quoted in public price lists, on demand, without free tiers or taxes.
"""

import json
import re
from collections.abc import Iterator

from local.artifacts import ROOT
from tests.performance.counts import COUNTS

PAGE = ROOT / "docs" / "scale.md"
USD_A_MILLION = {
    "HTTP API request": 1.05,
    "Lambda request": 0.20,
    "GB-second of arm64": 13.33,
    "write request unit": 0.71,
    "read request unit": 0.1425,
    "event": 1.00,
    "SQS request": 0.40,
}
USD_A_GB_OF_LOG = 0.67
INR_A_USD = 88
"""Rounded; check the day's."""
TWILIO_USD = 0.005
"""Twilio's fee for one WhatsApp message, either direction."""
META_PAISE = {"utility template": 11.5, "marketing template": 86.31, "free-form reply": 11.5}
"""India. The last is the rate after the free ones."""
MEMORY_GB = 0.5
BATCH_WAITS_MS, SEND_CPU_MS, BATCH = 130, 4.4, 10
"""A batch's six calls of AWS's one after the other at 5 ms and Twilio's 100 ms, and what one message of it computes."""
BILLED_MS = {"send": 28, "callback sent": 18, "callback delivered": 50, "callback read": 45, "inbound": 32}
"""Assumed: 5 ms a call of AWS's and the CPU time at 29 % of a processor; a send is a tenth of its batch."""
SANDBOXES = 5
"""`SendConcurrency`, unless it is set."""


def parts(operation: str) -> dict[str, float]:
    """What a million of one operation costs (USD), by service."""
    counts = json.loads(COUNTS.read_text())["operations"][operation]
    usd = USD_A_MILLION
    is_send = operation == "send"
    return {
        # A batch of ten shares one receive, one delete and one invocation.
        "API Gateway": 0 if is_send else usd["HTTP API request"],
        "SQS": 1.2 * usd["SQS request"] if is_send else 0,
        "Lambda": usd["Lambda request"] / (10 if is_send else 1)
        + BILLED_MS[operation] / 1000 * MEMORY_GB * usd["GB-second of arm64"],
        "DynamoDB writes": counts["write_units"] * usd["write request unit"],
        "DynamoDB reads": counts["read_units"] * usd["read request unit"],
        "EventBridge": counts["calls"].get("PutEvents", 0) * usd["event"],
        "Logs": counts["log_bytes"] / 1000 * USD_A_GB_OF_LOG,
    }


def table() -> Iterator[str]:
    """The lines of the table: USD a million, and rupees for one."""
    operations = list(BILLED_MS)
    columns = {name: parts(name) for name in operations}
    columns["a message with its callbacks"] = {
        part: sum(columns[name][part] for name in operations if name != "inbound") for part in columns["send"]
    }
    yield f"| USD a million | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for part in columns["send"]:
        yield f"| {part} | " + " | ".join(f"{one[part]:.2f}" for one in columns.values()) + " |"
    totals = {name: sum(one.values()) for name, one in columns.items()}
    yield "| **all** | " + " | ".join(f"**{total:.2f}**" for total in totals.values()) + " |"
    yield "| rupees a million | " + " | ".join(f"{total * INR_A_USD:,.0f}" for total in totals.values()) + " |"
    yield "| paise for one | " + " | ".join(f"{total / 1e6 * INR_A_USD * 100:.2f}" for total in totals.values()) + " |"


def message_table() -> Iterator[str]:
    """What one message costs with all who are paid for it, in paise; and a million, in rupees."""
    ours = {name: sum(parts(name).values()) / 1e6 * INR_A_USD * 100 for name in BILLED_MS}
    outgoing, twilio = sum(ours.values()) - ours["inbound"], TWILIO_USD * INR_A_USD * 100
    rows = {f"a {name}": (outgoing, meta) for name, meta in META_PAISE.items()}
    rows["a free-form reply, of the first 1,000 a month"] = outgoing, 0
    rows["a patient's message"] = ours["inbound"], 0
    yield "| paise for one | AWS | Twilio | Meta | all | a million, rupees |"
    yield "|---|---|---|---|---|---|"
    for name, (aws, meta) in rows.items():
        whole = aws + twilio + meta
        yield f"| {name} | {aws:.2f} | {twilio:.1f} | {meta:.1f} | {whole:.1f} | {whole * 1e4:,.0f} |"


def memory_table() -> Iterator[str]:
    """What a memory size costs: more memory is more processor. An inbound message, and a batch of ten sends."""
    usd, waits_ms, cpu_ms, first_cpu_ms = USD_A_MILLION, 20, 2.5, 7.6
    yield (
        "| MB | inbound, ms | the first after INIT, ms | USD a million inbound "
        f"| batch of ten, ms | {SANDBOXES} sandboxes send a second | USD a million sent |"
    )
    yield "|---|---|---|---|---|---|---|"
    for size in (128, 256, 512, 1024, 1769):
        share = size / 1769
        warm, first = (waits_ms + cpu / share for cpu in (cpu_ms, first_cpu_ms))
        batch = BATCH_WAITS_MS + BATCH * SEND_CPU_MS / share
        inbound, sent = (
            (usd["Lambda request"] + ms / 1000 * size / 1024 * usd["GB-second of arm64"]) / messages
            for ms, messages in ((warm, 1), (batch, BATCH))
        )
        in_all = SANDBOXES * BATCH / batch * 1000
        yield f"| {size} | {warm:.0f} | {first:.0f} | {inbound:.2f} | {batch:.0f} | {in_all:.0f} | {sent:.2f} |"


def current(page: str) -> str:
    """The page with its tables as they are now."""
    for name, lines in (("cost", table()), ("message", message_table()), ("memory", memory_table())):
        between = "\n".join((f"<!-- {name} -->", "", *lines, "", f"<!-- /{name} -->"))
        page = re.sub(f"<!-- {name} -->.*<!-- /{name} -->", between, page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text()))
