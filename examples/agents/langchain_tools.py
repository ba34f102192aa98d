"""The tools of one conversation for LangChain. It needs the package `langchain-core`."""

from typing import Any

from langchain_core.tools import StructuredTool
from whatsapp.agent_tools import AgentTools


def langchain_tools(tools: AgentTools) -> list[StructuredTool]:
    """What `model.bind_tools` and agents take."""

    def one(definition: dict[str, Any]) -> StructuredTool:
        name = definition["name"]
        return StructuredTool(
            name=name,
            description=definition["description"],
            args_schema=definition["input_schema"],
            func=lambda **arguments: tools.call(name, arguments),
        )

    return [one(definition) for definition in tools.definitions]
