#!/bin/sh
# MCP's Python SDK hands a tool arguments that its published schema forbids.
#
# mcp 2.3.0, low-level Server and Client. A tool's input_schema is what the model is told; the call is not checked
# against it (1.x did). A string for an integer and a property that is not allowed arrive at the handler, and the
# answer is no error. Check the arguments in the handler.
#
# Seen:
#   is_error False, the tool got {'n': 'many', 'extra': 1}
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check mcp==2.3.0
cd "$dir"
venv/bin/python - <<'PROGRAM'
import asyncio

from mcp import Client, types
from mcp.server.lowlevel import Server

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
got = []


async def tools(_context, _params):
    return types.ListToolsResult(tools=[types.Tool(name="count", input_schema=SCHEMA)])


async def call(_context, params):
    got.append(params.arguments)
    return types.CallToolResult(content=[types.TextContent(type="text", text="done")])


async def main():
    async with Client(Server("example", on_list_tools=tools, on_call_tool=call)) as client:
        await client.list_tools()
        return await client.call_tool("count", {"n": "many", "extra": 1})


answer = asyncio.run(main())
print(f"is_error {answer.is_error}, the tool got {got[0]}")
assert not answer.is_error
assert got == [{"n": "many", "extra": 1}]
PROGRAM
