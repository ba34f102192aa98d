// Message templates as WhatsApp's reviewer sees them, with the reviewer's buttons.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { ask } from "./api.js";
import { langOf, languageName, words } from "./format.js";
import { catalog, connection, things } from "./store.js";
import { ActionButton, Empty, html, Icon, Sheet, useAction } from "./ui.js";
import { Wording } from "./wording.js";

const ORDER = ["pending", "received", "rejected", "paused", "disabled", "unsubmitted", "approved"];
const TONE = { approved: "ok", pending: "wait", received: "wait", rejected: "bad", paused: "bad", disabled: "bad", unsubmitted: "wait" };
const CATEGORIES = ["UTILITY", "MARKETING", "AUTHENTICATION"];
const opened = signal(null);
/** What is shown: the copies at Twilio, or the files as somebody words them. */
const view = signal("copies");
/** What our own system says of each copy, by its sid. */
const versions = signal(new Map());

async function look() {
  const found = await ask("templates");
  versions.value = new Map(found.templates.map((version) => [version.content_sid, version]));
}

/** The catalog's files as they are now go to the functions, then to Twilio. */
async function sync() {
  const done = await ask("run/sync");
  catalog.value = done.catalog;
  await look();
}

/** The catalog's name of one of Twilio's copies. */
const nameOf = (template) =>
  catalog.value.find((each) => template.friendly_name.startsWith(`${each.name}_`))?.name ?? template.friendly_name;

/** What WhatsApp rejects whoever asks, told before anybody submits it. */
export function lint(body, samples = {}) {
  const found = [];
  const text = (body ?? "").trim().replace(/[^\p{L}\p{M}\p{N}{}]+/gu, " ").trim();
  if (/^\{\{/.test(text)) found.push("starts with a variable");
  if (/\}\}$/.test(text)) found.push("ends with a variable");
  if (/\}\}\s*\{\{/.test(body ?? "")) found.push("two variables stand side by side");
  const missing = [...(body ?? "").matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name).filter((name) => !samples[name]);
  if (missing.length > 0) found.push(`no sample for ${[...new Set(missing)].map((name) => `{{${name}}}`).join(", ")}`);
  return found;
}

export function Templates() {
  const sorted = things.template.list.slice().sort((a, b) =>
    ORDER.indexOf(a.approval.status) - ORDER.indexOf(b.approval.status) || a.friendly_name.localeCompare(b.friendly_name));
  useEffect(() => void look().catch(() => {}), []);
  const counts = ORDER.map((state) => [state, sorted.filter((each) => each.approval.status === state).length]).filter(([, n]) => n);
  return html`<section class="templates" aria-label="Templates">
    <header class="panel-head">
      <div class="segmented" role="group" aria-label="Templates shown">${[["copies", "At Twilio"], ["files", "Our files"]].map(([name, label]) =>
        html`<button type="button" aria-pressed=${view.value === name} onClick=${() => (view.value = name)}>${label}</button>`)}</div>
      <p>${counts.map(([state, n]) => html`<span class="tag ${TONE[state]}">${n} ${state}</span>`)}</p>
      <${ActionButton} class="quiet" act=${sync} disabled=${connection.value !== "live"}><${Icon} name="run" size=${15} /> Sync the catalog<//>
    </header>
    ${view.value === "files" ? html`<${Wording} />` : sorted.length === 0
      ? html`<${Empty} icon="template" title="Twilio has no templates"><p>“Sync the catalog” submits ours. They stay pending until you decide here, as WhatsApp's reviewer.</p><//>`
      : html`<ul>${sorted.map((template) => html`<${Row} key=${template.sid} template=${template} />`)}</ul>`}
  </section>`;
}

function Row({ template }) {
  const { status, rejection_reason: reason, category } = template.approval;
  const isOpen = opened.value === template.sid;
  const body = Object.values(template.types)[0]?.body ?? "";
  const warnings = lint(body, template.variables);
  return html`<li class="template ${isOpen ? "open" : ""}">
    <button type="button" class="template-row" aria-expanded=${isOpen} onClick=${() => (opened.value = isOpen ? null : template.sid)}>
      <span class="template-name">${words(nameOf(template))}</span>
      <span class="dim">${languageName(template.language)} · ${category?.toLowerCase() || "no category"}</span>
      ${warnings.length > 0 && html`<span class="tag bad"><${Icon} name="alert" size=${12} /> ${warnings.join(", ")}</span>`}
      ${versions.value.get(template.sid)?.serves && html`<span class="tag ok">goes out</span>`}
      <span class="tag ${TONE[status]}">${status}</span>
    </button>
    ${reason && html`<p class="reason">${reason}</p>`}
    ${isOpen && html`<${Review} template=${template} body=${body} />`}
  </li>`;
}

function Review({ template, body }) {
  const [rejecting, setRejecting] = useState(false);
  const actions = Object.values(template.types)[0]?.actions ?? [];
  const decide = async (status, reason = "") => {
    await ask(`templates/${template.sid}/review`, { status, reason });
    await look();
  };
  const version = versions.value.get(template.sid);
  const now = template.approval.status;
  const [recategorise, busy] = useAction((category) => ask(`templates/${template.sid}/review`, { status: now, reason: template.approval.rejection_reason, category }));
  const verdict = (status, label) => html`<${ActionButton} class="quiet" disabled=${now === status || connection.value !== "live"} act=${() => decide(status)}>${label}<//>`;
  return html`<div class="review">
    <div class="bubble in" lang=${langOf(body)}><p class="text">${numbered(body, template.variables)}</p>
      ${actions.length > 0 && html`<div class="bubble-buttons">${actions.map((action) => html`<span class="bubble-button">${action.title}</span>`)}</div>`}</div>
    <div class="verdicts" role="group" aria-label="The reviewer's verdict">
      ${now === "unsubmitted"
        ? html`<p class="dim">Not submitted yet.</p>`
        : html`${verdict("approved", "Approve")}
          <button type="button" class="quiet danger" disabled=${now === "rejected" || connection.value !== "live"} onClick=${() => setRejecting(true)}>Reject …</button>
          ${verdict("paused", "Pause")}${verdict("disabled", "Disable")}
          <label>Category <select value=${template.approval.category} disabled=${busy || connection.value !== "live"} onChange=${(event) => recategorise(event.target.value)}>
            ${CATEGORIES.map((category) => html`<option value=${category}>${category.toLowerCase()}</option>`)}</select></label>`}
      ${version && html`<p class="dim">${version.next} ${version.problem ?? ""}</p>`}
      <small class="dim sid">${template.friendly_name} · ${template.sid}</small>
    </div>
    ${rejecting && html`<${Reject} decide=${decide} onClose=${() => setRejecting(false)} />`}
  </div>`;
}

/** The body with its variables marked; pointing at one shows its sample. */
function numbered(body, samples) {
  return body.split(/(\{\{\w+\}\})/).map((part, n) =>
    n % 2 ? html`<mark title=${samples[part.slice(2, -2)] ?? "no sample"}>${part}</mark>` : part);
}

function Reject({ decide, onClose }) {
  const [reason, setReason] = useState("");
  const [run, busy] = useAction(async (event) => {
    event.preventDefault();
    await decide("rejected", reason.trim());
    onClose();
  });
  return html`<${Sheet} title="Reject this template" onClose=${onClose}>
    <form class="form" onSubmit=${run}>
      <label>Reason, as WhatsApp gives it <input value=${reason} onInput=${(event) => setReason(event.target.value)} required maxlength="200" placeholder="INVALID_FORMAT" /></label>
      <p class="hint">A rejection needs its reason. Our sync sees it at once: an earlier approved wording goes out, else sends are refused.</p>
      <footer><button class="primary" disabled=${busy || !reason.trim()}>Reject</button></footer>
    </form>
  <//>`;
}
