"""`python -m tools.typescript`: the types of the API and the bus for TypeScript, compiled. It needs node and npm.

openapi-typescript makes `examples/typescript/whatsapp.d.ts`, tsc compiles it with the example beside it, and AsyncAPI's
own parser reads `asyncapi.json`. `make test` only sees to it that the types are those of the schemas.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from whatsapp.domain.events import EVENTS

from local.artifacts import ROOT
from tools.schemas import DIRECTORY, documents

FILE = ROOT / "examples" / "typescript" / "whatsapp.d.ts"
PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3", "@asyncapi/parser@3.6.6")
"""openapi-typescript 7 makes its types with TypeScript 5."""
_PARSE = """
const { Parser, fromFile } = require("@asyncapi/parser");
fromFile(new Parser(), process.argv[1]).parse().then(({ diagnostics }) => {
  const errors = diagnostics.filter((one) => one.severity === 0);
  errors.forEach((one) => console.error(one.path.join("/"), one.message));
  process.exit(errors.length ? 1 : 0);
});
"""


def is_current() -> bool:
    """Whether the file was made from the schemas as they are."""
    return FILE.read_text().startswith(_head())


def _joined() -> dict[str, Any]:
    """The OpenAPI document with the events among its schemas, and `BusEvent`: any of them as the bus brings it."""
    files = documents()
    document: dict[str, Any] = json.loads(json.dumps(files["openapi.json"]))
    schemas = document["components"]["schemas"]
    brought = []
    for event in EVENTS:
        detail = json.loads(json.dumps(files[f"{event.detail_type}.json"]).replace("#/$defs/", "#/components/schemas/"))
        schemas |= detail.pop("$defs", {})
        name = detail["title"]
        schemas[name] = detail
        constants = {"source": {"const": "whatsapp"}, "detail-type": {"const": event.detail_type}}
        properties = {**constants, "detail": {"$ref": f"#/components/schemas/{name}"}}
        brought.append({"type": "object", "required": list(properties), "properties": properties})
    schemas["BusEvent"] = {"description": "An event as the bus brings it.", "anyOf": brought}
    return document


def _head() -> str:
    made_from = hashlib.sha256(json.dumps(_joined(), sort_keys=True).encode()).hexdigest()[:16]
    return f"// Made by `python -m tools.typescript` from events/schemas ({made_from}).\n"


def main() -> int:
    """Make, compile and parse; its exit status."""
    if not shutil.which("npm"):
        print("npm is missing: install Node.js (Debian: apt-get install nodejs npm)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        joined = Path(scratch, "joined.json")
        joined.write_text(json.dumps(_joined()))
        program = Path(scratch, "node_modules", ".bin")
        types = ["--default-non-nullable=false"]  # a request may leave out what has a default
        strict = ["--noEmit", "--strict", "--target", "es2022", "--moduleResolution", "bundler", "--module", "es2022"]
        commands: tuple[list[str | Path], ...] = (
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", scratch, *PACKAGES],
            [program / "openapi-typescript", joined, *types, "-o", FILE],
            [program / "tsc", *strict, "--typeRoots", DIRECTORY, FILE.parent / "orchestrator.ts", FILE],
            ["node", "-e", _PARSE, DIRECTORY / "asyncapi.json"],
        )
        for command in commands:
            if subprocess.run(command, cwd=scratch, check=False).returncode:
                print(f"{Path(command[0]).name} failed", file=sys.stderr)
                return 1
    FILE.write_text(_head() + FILE.read_text())
    print(f"{FILE.relative_to(ROOT)}: made and compiled; asyncapi.json: parsed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
