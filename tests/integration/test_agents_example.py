"""An agent answers a patient with the tools of a conversation: a real MCP client, its server, the real stack."""

import asyncio
import json
import sys
from typing import Any

from mcp import Client, StdioServerParameters, stdio_client

from local.artifacts import ROOT
from local.aws import server_environment
from tests.product import Product, eventually


def test_agent_answers_over_stdio(product: Product, patient: str) -> None:
    sid = product.write(patient, "Can I come an hour later?")["message_sid"]
    (event,) = eventually(lambda: product.events(event_id=sid))
    environment = server_environment(
        AWS_ENDPOINT_URL=product.stack.aws_endpoint,
        WHATSAPP_SEND_FUNCTION=product.stack.outputs["SendFunctionName"],
        WHATSAPP_EVENT=json.dumps(event),
    )
    server = StdioServerParameters(
        command=sys.executable, args=[str(ROOT / "examples" / "agents" / "mcp_server.py")], env=environment
    )

    async def play() -> list[dict[str, Any]]:
        async with Client(stdio_client(server)) as client:
            calls: list[tuple[str, dict[str, Any]]] = [
                ("read_conversation", {}),
                ("answer_patient", {"text": "Yes, 6:30 pm is free. Shall I move it?"}),
                ("answer_patient", {"text": "Yes! 6:30 pm is free."}),  # the turn again, worded anew
            ]
            return [(await client.call_tool(name, given)).structured_content or {} for name, given in calls]

    shown, first, again = asyncio.run(play())
    assert [message["text"] for message in shown["messages"]] == ["Can I come an hour later?"]
    assert first["status"] == "sent"
    assert again["message_id"] == first["message_id"]
    assert [message["body"] for message in product.ledger(patient)] == ["Yes, 6:30 pm is free. Shall I move it?"]
