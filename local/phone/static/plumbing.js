// The queue and its dead-letter queue, the alerts, and the faults that one can turn on.

import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { ask } from "./api.js";
import { clock, length, when, words } from "./format.js";
import { codes, connection, faults, now, notice, open, status, things } from "./store.js";
import { patients } from "./patients.js";
import { ActionButton, Empty, html, Icon, useAction } from "./ui.js";

/** What the last redrive said. */
const told = signal("");
const off = () => connection.value !== "live";

export function Queue() {
  const queue = status("queue") ?? { waiting: 0, in_flight: 0, delayed: 0, dead: 0, since: null };
  const letters = things.dead.list.slice().sort((a, b) => b.at - a.at);
  const waiting = things.record.list.filter((record) => ["pending", "deferred", "retrying"].includes(record.status));
  const redrive = async () => (told.value = (await ask("redrive")).told);
  return html`<section class="plumbing" aria-label="Queue">
    <dl class="figures">
      <div title="Messages that the send function may take now"><dt>Visible</dt><dd>${queue.waiting}</dd></div>
      <div title="Messages that the send function has taken and not yet done with"><dt>In flight</dt><dd>${queue.in_flight}</dd></div>
      <div title="Messages that SQS holds back for some seconds, such as nudges"><dt>Delayed</dt><dd>${queue.delayed}</dd></div>
      <div title="How long the queue has not been empty"><dt>Oldest</dt><dd>${queue.since ? length(now.value - queue.since) : "–"}</dd></div>
      <div class=${queue.dead ? "bad" : ""} title="Messages that were given up, or could not be read"><dt>Dead letters</dt><dd>${queue.dead}</dd></div>
    </dl>
    <h3>Waiting for their time</h3>
    ${waiting.length === 0 ? html`<p class="dim">No record waits. A second unprompted message to one patient within the limit is deferred, and waits here.</p>` : html`<ul class="rows">${waiting.map((record) => html`
      <li key=${record.message_id}><button type="button" onClick=${() => open(record.message_id)}>
        <span class="grow">${words(record.template ?? "message")} <small class="dim">to ${things.patient.all.get(record.to)?.profile_name || record.to}</small></span>
        <span class="tag wait">${record.status}</span><span class="dim">${when(record.scheduled_for ?? record.due_at ?? record.created_at, now.value)}</span></button></li>`)}</ul>`}
    <h3>Dead-letter queue <${ActionButton} class="quiet" act=${redrive} disabled=${off() || !queue.dead}><${Icon} name="run" size=${15} /> Redrive<//></h3>
    ${letters.length === 0 ? html`<p class="dim">Empty. What was given up after three counted attempts lands here, with an alert.</p>` : html`<ul class="rows">${letters.map((letter) => html`<${Letter} key=${letter.id} letter=${letter} />`)}</ul>`}
    ${told.value && html`<pre class="code wrap" tabindex="0" role="status" aria-label="What the redrive did">${told.value}</pre>`}
    <h3>Schedules</h3>
    <p class="row-buttons">${[["sweep", "Sweep what is due"], ["publish", "Publish what waits"], ["reconcile", "Ask Twilio what we missed"], ["media", "Fetch waiting media"]].map(([task, label]) =>
      html`<${ActionButton} class="quiet" key=${task} disabled=${off()} act=${async () => { await ask(`run/${task}`); notice.value = `${label}: done.`; }}><${Icon} name="run" size=${15} /> ${label}<//>`)}</p>
    <p class="dim">On AWS these run once a minute, or every five; this page runs the first two every few seconds.</p>
    <h3>Begin anew</h3>
    <${Reset} />
  </section>`;
}

/** Asks once. */
function Reset() {
  const [sure, setSure] = useState(false);
  const reset = async () => {
    setSure(false);
    await ask("reset");
    notice.value = "Reset: all is forgotten but the templates.";
  };
  return html`<p class="row-buttons">${sure
    ? html`<${ActionButton} class="quiet danger" disabled=${off()} act=${reset}>Forget everything<//><button type="button" class="quiet" onClick=${() => setSure(false)}>Keep it</button>`
    : html`<button type="button" class="quiet danger" disabled=${off()} onClick=${() => setSure(true)}>Reset …</button>`}</p>
  <p class="dim">Forgets every message, patient and file, what waits, and what this page shows. The templates stay.</p>`;
}

function Letter({ letter }) {
  const { message_id: id, error, attempts, poison } = letter.body;
  const code = error?.twilio_code ?? error?.code;
  return html`<li><button type="button" disabled=${!id} onClick=${() => open(id)}>
    <span class="grow">${poison ? "A queue message that cannot be read" : words(things.record.all.get(id)?.template ?? "message")}
      <small class="dim">${error?.detail ?? codes.value[code] ?? ""}</small></span>
    ${attempts && html`<span class="dim">${attempts} attempts</span>`}
    <span class="tag bad">✕ ${code ?? "?"}</span><span class="dim">${clock(letter.at)}</span></button></li>`;
}

export function Alerts() {
  const alerts = things.alert.list.slice().sort((a, b) => b.at - a.at);
  if (alerts.length === 0) {
    return html`<${Empty} icon="alert" title="No alerts"><p>What a person must look at comes here, as it would by mail: a send given up, one of unknown fate, an account problem.</p>
      <p>To see one, turn on the fault “Twilio refuses with a code” with 63010, and send.</p><//>`;
  }
  return html`<section class="alerts" aria-label="Alerts">
    <header class="panel-head"><p class="dim">What a person was paged for, newest first.</p><${ActionButton} class="quiet" act=${() => ask("alerts/clear")} disabled=${off()}>Clear all<//></header>
    <ul>${alerts.map((alert) => html`<li class="alert" key=${alert.id}>
    <header><${Icon} name="alert" /><h3>${alert.subject}</h3><span class="dim">${clock(alert.at)}</span>
      ${alert.message_id && html`<button type="button" class="quiet" onClick=${() => open(alert.message_id)}><${Icon} name="inside" size=${15} /> Its story</button>`}</header>
    <pre class="code wrap" tabindex="0" aria-label="The alert's text">${alert.text}</pre></li>`)}</ul></section>`;
}

const FAULTS = [
  ["Twilio's answer", [
    ["http_503", "answers 503"], ["http_429", "answers 429: too fast"], ["http_500", "answers 500"], ["refuse", "resets the connection"],
    ["accept_then_500", "accepts, then answers 500"], ["accept_then_hang", "accepts, then hangs"], ["hang", "hangs"],
    ["accept_late", "accepts after an error"], ["truncate", "cuts its answer short"], ["error", "refuses with a code"],
  ]],
  ["Afterwards", [
    ["status_failed", "fails the message later, with a code"], ["callbacks_drop", "drops a status callback"], ["callbacks_double", "sends a callback twice"],
    ["callbacks_reorder", "sends callbacks out of order"], ["callbacks_delay", "sends a callback late"], ["list_lag", "has a message list that lags"],
  ]],
];
const WITH_CODE = { error: "21211", status_failed: "63016" };
const LABELS = Object.fromEntries(FAULTS.flatMap(([, kinds]) => kinds));
const times = signal(1);

export function Faults() {
  const [code, setCode] = useState({ ...WITH_CODE });
  const [to, setTo] = useState("");
  const [turnOn, busy] = useAction((kind) =>
    ask("twilio/faults", {
      kind, ...(times.value ? { times: times.value } : { times: null }), ...(to ? { match: { to } } : {}),
      ...(WITH_CODE[kind] ? { code: Number(code[kind]) } : {}), ...(kind === "list_lag" ? { seconds: 60 } : {}),
    }));
  return html`<section class="faults" aria-label="Faults">
    <div class="panel-head">
      <label>Strikes <select value=${times.value ?? ""} onChange=${(event) => (times.value = Number(event.target.value) || null)}>
        <option value="1">once</option><option value="2">twice</option><option value="3">three times</option><option value="">until turned off</option></select></label>
      <label>Whom <select value=${to} onChange=${(event) => setTo(event.target.value)}><option value="">anybody</option>
        ${patients.value.map((patient) => html`<option value=${patient.address}>${patient.profile_name || patient.address}</option>`)}</select></label>
    </div>
    ${FAULTS.map(([title, kinds]) => html`<h3>${title}</h3><ul class="fault-list">${kinds.map(([kind, label]) => {
      const active = faults.value.filter((fault) => fault.kind === kind);
      return html`<li key=${kind} class=${active.length ? "on" : ""}>
        <span class="grow">Twilio ${label}</span>
        ${WITH_CODE[kind] && html`<input class="code-input" inputmode="numeric" pattern="\\d{5}" aria-label="Code" value=${code[kind]} onInput=${(event) => setCode({ ...code, [kind]: event.target.value })} />`}
        ${active.length > 0 && html`<span class="tag bad">${active.map((fault) => fault.times ?? "on").join(", ")}</span>`}
        <button type="button" class="quiet" disabled=${busy || off()} onClick=${() => turnOn(kind)} aria-label=${`Turn on: Twilio ${label}`}>Turn on</button></li>`;
    })}</ul>`)}
  </section>`;
}

export function FaultBanner() {
  if (faults.value.length === 0) return null;
  const named = faults.value.map((fault) => (LABELS[fault.kind] ?? fault.kind).replace(/,? with a code$/, ` with ${fault.code}`));
  return html`<div class="banner wait" role="status"><${Icon} name="fault" /><span><b>Twilio misbehaves:</b> ${[...new Set(named)].join("; ")}</span>
    <${ActionButton} class="quiet" act=${() => ask("twilio/faults", {}, "DELETE")}>Turn all off<//></div>`;
}
