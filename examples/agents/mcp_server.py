"""An MCP server with the tools of one conversation, over stdio. It needs the package `mcp`.

The program that runs the agent starts one for each message that it answers, and gives it the event:

    StdioServerParameters(command="python", args=["mcp_server.py"], env={"WHATSAPP_EVENT": json.dumps(event), …})
"""

import asyncio
import json
import os

from mcp import stdio_server
from mcp.server.lowlevel import Server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool
from whatsapp.agent_tools import AgentTools
from whatsapp.bus_events import MessageReceived
from whatsapp.consumer import read


def server_for(tools: AgentTools) -> Server:
    """A server that offers these tools."""

    async def list_tools(*_: object) -> ListToolsResult:
        return ListToolsResult(tools=[Tool(**definition) for definition in tools.definitions])

    async def call_tool(_: object, asked: CallToolRequestParams) -> CallToolResult:
        result = await asyncio.to_thread(tools.call, asked.name, asked.arguments or {})
        text = TextContent(type="text", text=json.dumps(result, ensure_ascii=False))
        return CallToolResult(content=[text], structured_content=result, is_error="error" in result)

    return Server("whatsapp", on_list_tools=list_tools, on_call_tool=call_tool)


async def main() -> None:
    """Serve until the client hangs up."""
    event = read(json.loads(os.environ["WHATSAPP_EVENT"]))
    if not isinstance(event, MessageReceived):
        raise SystemExit(f"WHATSAPP_EVENT: a message.received is answered, no {event.detail_type}")
    server = server_for(AgentTools(event))
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
