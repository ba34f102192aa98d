#!/bin/sh
# AsyncAPI's parser refuses a payload that pydantic wrote: $defs are looked up at the document's root.
#
# @asyncapi/parser 3.6.6, a document of 3.1.0. A JSON Schema generator puts shared models into the schema's own $defs and
# points to them with "#/$defs/…". Inlined as a message's payload, the pointer starts at the AsyncAPI document, where no
# $defs are. Move them to components/schemas and rewrite the pointers.
#
# Seen:
#   inlined: invalid-ref
#   moved to components: no error
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund @asyncapi/parser@3.6.6
cat >program.mjs <<'PROGRAM'
import { Parser } from "@asyncapi/parser";

const text = { type: "string" };
const inlined = { type: "object", properties: { a: { $ref: "#/$defs/Text" } }, $defs: { Text: text } };
const moved = { type: "object", properties: { a: { $ref: "#/components/schemas/Text" } } };

async function errors(payload, more) {
  const { diagnostics } = await new Parser().parse({
    asyncapi: "3.1.0",
    info: { title: "Events", version: "1" },
    channels: { bus: { address: "bus", messages: { event: { payload } } } },
    operations: { publish: { action: "send", channel: { $ref: "#/channels/bus" } } },
    ...more,
  });
  return diagnostics.filter(({ severity }) => severity === 0).map(({ code }) => code).join() || "no error";
}

const first = await errors(inlined);
const second = await errors(moved, { components: { schemas: { Text: text } } });
console.log(`inlined: ${first}\nmoved to components: ${second}`);
if (first !== "invalid-ref" || second !== "no error") throw new Error("changed");
PROGRAM
node program.mjs
