// Sending as the orchestrator. Form, JSON and command are three views of one request.

import { computed, signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask } from "./api.js";
import { styled } from "./bubble.js";
import { langOf, languageName, when, words } from "./format.js";
import { current, patients, snippet } from "./patients.js";
import { at, catalog, connection, now, onPhone, open, stack, things } from "./store.js";
import { Copy, html, Icon, IconButton, Json, useAction } from "./ui.js";

export const composing = signal(false);
const door = signal("invoke");
const view = signal("form");
/** The one request; null until the catalog is there. */
const request = signal(null);
const answer = signal(null);
/** Why the JSON that somebody is writing is no request; the one that it was before must not go out in its place. */
const unreadable = signal("");

const newKey = () => `page-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;

/** Tomorrow, on the hour: an appointment's time that has not passed, whenever the page is used. */
const tomorrow = () => new Date(Math.ceil(now.value / 3.6e6 + 24) * 3.6e6).toISOString().replace(".000", "");

/** A request for a patient with a template's own samples, in the patient's name. */
export function requestFor(patient, template, language) {
  const chosen = language ?? (template.languages[langOf(patient.profile_name)] ? langOf(patient.profile_name) : template.default_language);
  const variables = { ...template.languages[chosen].samples };
  if (template.expires_with) variables[template.expires_with] = tomorrow();
  if (variables.patient_name && patient.profile_name) variables.patient_name = patient.profile_name.split(" ")[0];
  return { to: patient.address, template: template.name, language: chosen, variables, idempotency_key: newKey() };
}

/** The same for another patient, in that one's name and language; what somebody chose or typed stays. */
function readdressed(message, address) {
  const known = (each) => patients.value.find((patient) => patient.address === each) ?? { address: each };
  const { in_reply_to: _, ...kept } = { ...message, to: address };
  const template = chosen.value;
  if (!template) return kept;
  const before = requestFor(known(message.to), template), typed = requestFor(known(message.to), template, message.language).variables;
  const fresh = requestFor(known(address), template, message.language === before.language ? undefined : message.language);
  const variables = Object.fromEntries(Object.keys(fresh.variables).map((name) =>
    [name, message.variables?.[name] === typed[name] ? fresh.variables[name] : message.variables?.[name] ?? ""]));
  return { ...kept, language: fresh.language, variables };
}

export function startComposing(patient = current.value) {
  const template = catalog.value[0];
  if (!request.value || request.value.to !== patient?.address) request.value = patient && template ? requestFor(patient, template) : null;
  onPhone.value = false; // on a narrow page the composer is inside
  composing.value = true;
}

/** Send one message; its story opens. */
export async function send(message, through = "invoke") {
  const sent = await ask("send", { door: through, request: message });
  if (sent.answer.status !== "refused" && sent.message_id) {
    at.patient.value = message.to;
    open(sent.message_id, { stay: true });
  }
  return sent.answer;
}

export async function quickSend(patient) {
  const template = catalog.value.find((each) => each.name === "session_reminder") ?? catalog.value[0];
  await send(requestFor(patient, template));
}

const INDIA_MS = 5.5 * 3.6e6;
/** How many of a patient's messages one can choose from to answer. */
const MOST_ANSWERED = 20;
const chosen = computed(() => catalog.value.find((template) => template.name === request.value?.template));
const set = (changes) => (request.value = clean({ ...request.value, ...changes }));
const clean = (message) => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== "" && value !== undefined && value !== null));

export function Compose() {
  const box = useRef(null), opener = useRef(null);
  const [submit, busy] = useAction(async (event) => {
    event?.preventDefault();
    if (unreadable.value) throw new Error(`Nothing was sent: ${unreadable.value}`);
    answer.value = null;
    answer.value = await send(request.value, door.value);
    if (answer.value.status !== "refused") set({ idempotency_key: newKey() });
  });
  // Before the next key: an effect after the paint would let a quick Ctrl+Enter fall beside the form.
  useLayoutEffect(() => {
    if (!composing.value) return undefined;
    const before = document.activeElement;
    box.current.querySelector("select")?.focus();
    return () => (before.isConnected && before !== document.body ? before : opener.current)?.focus();
  }, [composing.value]);
  if (!composing.value) {
    return html`<div class="compose-bar"><button type="button" class="primary" ref=${opener} onClick=${() => startComposing()}><${Icon} name="send" size=${16} /> Send as the orchestrator</button><kbd>n</kbd></div>`;
  }
  const keys = (event) => {
    if (event.key === "Enter" && (event.metaKey || event.ctrlKey) && !busy) submit();
    if (event.key !== "Escape") return;
    event.stopPropagation(); // what lies behind the composer stays as it is
    composing.value = false;
  };
  return html`<form class="compose" ref=${box} onSubmit=${submit} onKeyDown=${keys} aria-label="Send as the orchestrator">
    <header>
      <h2>Send as the orchestrator</h2>
      <div class="segmented" role="group" aria-label="View">${[["form", "Form"], ["json", "JSON"], ["command", "Command"], ["python", "Python"]].map(([name, label]) =>
        html`<button type="button" aria-pressed=${view.value === name} onClick=${() => (view.value = name)}>${label}</button>`)}</div>
      <${IconButton} icon="close" label="Close the composer" onClick=${() => (composing.value = false)} />
    </header>
    <div class="compose-body">
      <div class="compose-edit">
        ${view.value === "form" && html`<${Form} />`}
        ${view.value === "json" && html`<${JsonView} />`}
        ${view.value === "command" && html`<${Code} key="command" label="Command" text=${command} hint="The same key again is a duplicate, not a second message." />`}
        ${view.value === "python" && html`<${Code} key="python" label="Python" text=${python} hint="Run it with PYTHONPATH=layers/shared, or with a copy of client.py." />`}
      </div>
      <${Preview} />
    </div>
    <footer>
      <label>Through <select name="through" value=${door.value} onChange=${(event) => (door.value = event.target.value)}>
        <option value="invoke">direct invoke</option><option value="http">POST /messages</option><option value="sqs">the send queue</option></select></label>
      <${Result} />
      <button class="primary" disabled=${busy || connection.value !== "live" || !request.value || unreadable.value}><${Icon} name="send" size=${16} /> ${busy ? "Sending …" : "Send"}</button>
    </footer>
  </form>`;
}

const MARKS = { ok: "✓", wait: "…", bad: "✕" };

function Result() {
  const told = answer.value;
  if (!told) return html`<span class="grow" />`;
  const tone = ["refused", "failed"].includes(told.status) ? "bad" : told.scheduled_for || told.status === "unknown" ? "wait" : "ok";
  const due = told.scheduled_for ? `, not before ${when(Date.parse(told.scheduled_for), now.value)}${told.will_expire ? ": too late, it will expire" : ""}` : "";
  const why = told.error ? ` (${told.error.code}: ${told.error.detail})` : "";
  return html`<span class="result grow ${tone}" role="status">${MARKS[tone]} ${told.queued ? "on the queue" : told.status}${told.duplicate ? ", a duplicate" : ""}${due}${why}</span>`;
}

function Form() {
  const message = request.value;
  if (!message) return html`<p class="dim">The catalog is empty.</p>`;
  const template = chosen.value;
  const patient = patients.value.find((each) => each.address === message.to);
  const written = things.message.list.filter((each) => each.direction === "inbound" && each.patient === message.to)
    .sort((a, b) => b.accepted_at - a.accepted_at).slice(0, MOST_ANSWERED);
  const another = (name) => {
    const wanted = catalog.value.find((each) => each.name === name);
    const { template: _, language, variables, text, ...kept } = message;
    request.value = wanted ? { ...requestFor(patient ?? { address: message.to }, wanted), ...kept } : { ...kept, text: text ?? "Hello" };
  };
  return html`<div class="fields">
    <label>To <select name="to" value=${message.to} onChange=${(event) => (request.value = readdressed(message, event.target.value))}>${patients.value.map((each) =>
      html`<option value=${each.address}>${each.profile_name ? `${each.profile_name}, ${each.address}` : each.address}</option>`)}
      ${!patient && html`<option value=${message.to}>${message.to}</option>`}</select></label>
    <label>Template <select name="template" value=${message.template ?? "text"} onChange=${(event) => another(event.target.value)}>${catalog.value.map((each) =>
      html`<option value=${each.name}>${words(each.name)}</option>`)}<option value="text">No template: free text</option></select></label>
    ${template && html`<label>Language <select name="language" value=${message.language} onChange=${(event) => (request.value = { ...message, ...requestFor(patient ?? { address: message.to }, template, event.target.value), idempotency_key: message.idempotency_key })}>${Object.keys(template.languages).map((language) =>
      html`<option value=${language}>${languageName(language)}</option>`)}</select></label>`}
    ${template ? template.variables.map((variable) => html`<${Variable} key=${variable.name} variable=${variable} />`)
      : html`<label class="wide">Text <textarea rows="3" value=${message.text} onInput=${(event) => set({ text: event.target.value })} /></label>`}
    <label>If the limit is reached <select value=${message.on_rate_limit ?? "defer"} onChange=${(event) => set({ on_rate_limit: event.target.value === "defer" ? "" : event.target.value })}><option value="defer">wait</option><option value="reject">refuse</option></select></label>
    <label>Answers <select name="in_reply_to" value=${message.in_reply_to ?? ""} onChange=${(event) => set({ in_reply_to: event.target.value })}><option value="">nothing: it starts contact</option>${written.map((each) =>
      html`<option value=${each.sid}>${when(each.accepted_at, now.value)}: ${snippet(each).slice(0, 40)}</option>`)}</select></label>
    <${Time} name="send_at" label="Send at" />
    <${Time} name="expires_at" label="Expires at" />
    <label>Idempotency key <input value=${message.idempotency_key ?? ""} onInput=${(event) => set({ idempotency_key: event.target.value })} spellcheck="false" /></label>
  </div>`;
}

/** A moment in Indian time, as the field of the browser has it; the request names the offset. */
function Time({ name, label }) {
  const moment = Date.parse(request.value[name]);
  const shown = Number.isNaN(moment) ? "" : new Date(moment + INDIA_MS).toISOString().slice(0, 16);
  return html`<label>${label} <input type="datetime-local" name=${name} value=${shown} onChange=${(event) => set({ [name]: event.target.value && `${event.target.value}:00+05:30` })} /></label>`;
}

/** The variable that is being edited: its value lights up in the bubble. */
const lit = signal(null);

function Variable({ variable }) {
  const value = request.value.variables?.[variable.name] ?? "";
  return html`<label title=${variable.description}><span>${words(variable.name)}${variable.name.endsWith(variable.type) ? "" : html` <small>${variable.type}</small>`}</span>
    <input value=${value} maxlength=${variable.max_length * 2} lang=${langOf(value)} onFocus=${() => (lit.value = variable.name)} onBlur=${() => (lit.value = null)}
      onInput=${(event) => set({ variables: { ...request.value.variables, [variable.name]: event.target.value } })} /></label>`;
}

function objectIn(text) {
  const value = JSON.parse(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("A request is an object: { … }");
  return value;
}

function JsonView() {
  const [text, setText] = useState(JSON.stringify(request.value, null, 2));
  useEffect(() => () => (unreadable.value = ""), []);
  const edit = (event) => {
    setText(event.target.value);
    try {
      request.value = objectIn(event.target.value);
      unreadable.value = "";
    } catch (error) {
      unreadable.value = error.message;
    }
  };
  return html`<label class="wide">The request, for direct invoke, <code>POST /messages</code> and the queue alike
    <textarea class="code" rows="12" spellcheck="false" value=${text} onInput=${edit} aria-invalid=${Boolean(unreadable.value)} /></label>
    <p class="hint ${unreadable.value ? "bad" : ""}">${unreadable.value || html`<${Copy} text=${() => JSON.stringify(request.value, null, 2)} label="Copy JSON" />`}</p>`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The shell command that does the same as the button. */
export function commandOf(message, through) {
  const { aws_endpoint: endpoint, region, outputs = {}, api_url: api } = stack.value;
  const body = quoted(JSON.stringify(message));
  const aws = "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws";
  const where = `--endpoint-url ${endpoint} --region ${region}`;
  if (through === "sqs") return `${aws} sqs send-message ${where} \\\n  --queue-url ${outputs.SendQueueUrl} \\\n  --message-body ${body}`;
  if (through === "http") {
    return `curl --aws-sigv4 aws:amz:${region}:execute-api --user test:test \\\n  -H 'Content-Type: application/json' -X POST ${api}/messages \\\n  -d ${body}`;
  }
  return `${aws} lambda invoke ${where} \\\n  --function-name ${outputs.SendFunctionName} --cli-binary-format raw-in-base64-out \\\n  --payload ${body} /dev/stdout`;
}

export const command = () => (request.value ? commandOf(request.value, door.value) : "");

/** The same as a program of an orchestrator's author: through the function, or the queue if that is chosen. */
export function pythonOf(message, through) {
  const { outputs = {}, aws_endpoint: endpoint, region } = stack.value;
  const { to, template, variables, ...options } = message;
  const where = through === "sqs" ? { queue_url: outputs.SendQueueUrl } : { function_name: outputs.SendFunctionName };
  const named = Object.entries({ ...(template ? { template, variables } : {}), ...options, ...where });
  const here = { AWS_ENDPOINT_URL: endpoint, AWS_DEFAULT_REGION: region, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
  return ["import os", "", "from whatsapp.client import send_whatsapp_message", "", "# The local stack's; leave this out on AWS.",
    `os.environ |= ${literal(here)}`, "", "answer = send_whatsapp_message(", `    ${literal(to)},`,
    ...named.map(([name, value]) => `    ${name}=${literal(value)},`), ")", "print(answer)"].join("\n");
}

/** A JSON value as Python writes it. */
function literal(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`).join(", ")}}`;
  return JSON.stringify(value);
}

const python = () => (request.value ? pythonOf(request.value, door.value) : "");

function Code({ label, text, hint }) {
  return html`<div><pre class="code wrap" tabindex="0" aria-label=${label}>${text()}</pre>
    <p class="hint"><${Copy} text=${text} label=${label === "Command" ? "Copy the command" : "Copy the program"} /> ${hint}</p></div>`;
}

function Preview() {
  const [shown, setShown] = useState({ text: "", buttons: [] });
  const message = request.value;
  const show = (answered) => setShown((last) => (answered.problem ? { ...last, problem: answered.problem } : answered));
  useEffect(() => {
    if (!message?.template) return setShown({ text: message?.text ?? "", buttons: [] });
    const soon = setTimeout(() => ask("preview", message).then(show, (error) => show({ problem: error.message })), 60);
    return () => clearTimeout(soon);
  }, [message]);
  const value = lit.value && message?.variables?.[lit.value];
  return html`<aside class="preview" aria-label="As the patient will see it">
    <div class="bubble in"><p class="text" lang=${langOf(shown.text)}>${value && shown.text.includes(value) ? marked(shown.text, value) : styled(shown.text || "…")}</p>
      ${shown.buttons?.length > 0 && html`<div class="bubble-buttons">${shown.buttons.map((title) => html`<span class="bubble-button"><${Icon} name="reply" size=${15} /> ${title}</span>`)}</div>`}</div>
    ${shown.problem && html`<p class="hint bad" role="status">${shown.problem}</p>`}
  </aside>`;
}

function marked(text, value) {
  return text.split(value).flatMap((part, n) => (n ? [html`<mark>${value}</mark>`, part] : [part]));
}
