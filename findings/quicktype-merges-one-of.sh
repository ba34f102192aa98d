#!/bin/sh
# quicktype makes one type of all branches of a oneOf, with everything optional.
#
# quicktype-core 26.0.0, TypeScript from JSON Schema. Two object branches, each with its own required properties and
# additionalProperties: false, become one interface in which all are optional: a message without text and without
# template compiles. json-schema-to-typescript 16.0.0 keeps a union for the same schema.
#
# Seen:
#   quicktype: text?: string; template?: string;
#   json-schema-to-typescript: { text: string; } | { template: string; }
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund quicktype-core@26.0.0 json-schema-to-typescript@16.0.0
cat >program.mjs <<'PROGRAM'
import { compile } from "json-schema-to-typescript";
import { FetchingJSONSchemaStore, InputData, JSONSchemaInput, quicktype } from "quicktype-core";

const branch = (name) => ({
  type: "object",
  required: [name],
  additionalProperties: false,
  properties: { [name]: { type: "string" } },
});
const schema = {
  type: "object",
  required: ["content"],
  properties: { content: { oneOf: [branch("text"), branch("template")] } },
};
const input = new JSONSchemaInput(new FetchingJSONSchemaStore());
await input.addSource({ name: "Message", schema: JSON.stringify(schema) });
const inputData = new InputData();
inputData.addInput(input);
const made = await quicktype({ inputData, lang: "typescript", rendererOptions: { "just-types": "true" } });
const byQuicktype = made.lines.join(" ").replace(/\s+/g, " ");
const byOther = (await compile(schema, "Message", { bannerComment: "" })).replace(/\s+/g, " ");
const merged = byQuicktype.match(/text\?: string; template\?: string;/);
const union = byOther.match(/\{ text: string; \} \| \{ template: string; \}/);
if (!merged || !union) throw new Error(`changed: ${byQuicktype} / ${byOther}`);
console.log(`quicktype: ${merged[0]}`);
console.log(`json-schema-to-typescript: ${union[0]}`);
PROGRAM
node program.mjs
