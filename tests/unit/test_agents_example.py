"""The tools of a conversation through MCP's own client and through LangChain."""

import asyncio
import json
from typing import Any

import pytest
from langchain_core.messages import ToolCall
from mcp import Client
from whatsapp.agent_tools import AgentTools

from examples.agents.langchain_tools import langchain_tools
from examples.agents.mcp_server import server_for
from tests.unit.client_kit import Aws
from tests.unit.test_agent_tools import SENT, TEMPLATES, answering


@pytest.fixture
def tools(aws: Aws) -> AgentTools:
    return AgentTools(answering(agent="mood"), templates=TEMPLATES, function_name="send")


def test_mcp_client_lists_and_calls_them(tools: AgentTools, aws: Aws) -> None:
    aws.answers = [SENT]

    async def play() -> tuple[Any, Any, Any]:
        async with Client(server_for(tools)) as client:
            listed = await client.list_tools()
            sent = await client.call_tool("answer_patient", {"text": "See you"})
            wrong = await client.call_tool("answer_patient", {"text": "See you", "part": 9})
            return listed, sent, wrong

    listed, sent, wrong = asyncio.run(play())
    assert [(one.name, one.input_schema) for one in listed.tools] == [
        (one["name"], one["input_schema"]) for one in tools.definitions
    ]
    assert (sent.is_error, sent.structured_content) == (False, {"message_id": "m", "status": "sent"})
    assert json.loads(sent.content[0].text) == sent.structured_content
    assert (wrong.is_error, wrong.structured_content["error"]["code"]) == (True, "invalid_arguments")
    assert [asked["request"]["idempotency_key"] for asked in aws.asked] == ["answer-1-e1"]


def test_langchain_calls_them_as_a_model_asked(tools: AgentTools, aws: Aws) -> None:
    aws.answers = [SENT]
    by_name = {one.name: one for one in langchain_tools(tools)}
    assert by_name.keys() == {one["name"] for one in tools.definitions}
    assert by_name["send_template"].args["template"]["enum"] == ["session_reminder"]
    asked = ToolCall(name="answer_patient", args={"text": "See you", "part": 2}, id="call-1", type="tool_call")
    told = by_name["answer_patient"].invoke(asked)
    assert json.loads(told.content) == {"message_id": "m", "status": "sent"}
    assert aws.asked[0]["request"]["idempotency_key"] == "answer-2-e1"
