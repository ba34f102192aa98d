#!/bin/sh
# LangChain: a StructuredTool whose args_schema is a JSON Schema checks nothing.
#
# langchain-core 1.8.3. With a pydantic model as args_schema wrong arguments raise; with the same schema as a dict, which
# is as well documented, they reach the function: a wrong type, a property that is not allowed, and a missing one.
#
# Seen:
#   model: ValidationError
#   dict: {'n': 'many', 'extra': 1}
#   dict, required one missing: {}
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check langchain-core==1.8.3 pydantic==2.13.5
cd "$dir"
venv/bin/python - <<'PROGRAM'
from langchain_core.tools import StructuredTool
from pydantic import BaseModel, ConfigDict, ValidationError


class Count(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int


def tool(schema):
    return StructuredTool.from_function(func=lambda **given: given, name="count", description="x", args_schema=schema)


try:
    by_model = tool(Count).invoke({"n": "many", "extra": 1})
except ValidationError as error:
    by_model = type(error).__name__
by_dict = tool(Count.model_json_schema()).invoke({"n": "many", "extra": 1})
missing = tool(Count.model_json_schema()).invoke({})
print(f"model: {by_model}\ndict: {by_dict}\ndict, required one missing: {missing}")
assert by_model == "ValidationError"
assert by_dict == {"n": "many", "extra": 1}
assert missing == {}
PROGRAM
