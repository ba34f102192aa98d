// The list of patients: who is there, what is unread, how long their window stays open; and their switches.

import { computed, effect } from "@preact/signals";
import { useState } from "preact/hooks";
import { ask } from "./api.js";
import { clock, DAY, hueOf, initials, length } from "./format.js";
import { at, connection, messageOf, notice, patientOf, seenAt, status, things, whatsappNow } from "./store.js";
import { ActionButton, html, Icon, IconButton, Sheet, useAction } from "./ui.js";

/** When each patient's window with our sender closes, in epoch ms of WhatsApp's clock. */
const closing = computed(() =>
  new Map((status("windows")?.open ?? []).map((window) => [window.address, Date.parse(window.closes_at)])));

const latest = computed(() => {
  const found = new Map();
  for (const message of things.message.all.values()) {
    const before = found.get(message.patient);
    if (!before || before.accepted_at <= message.accepted_at) found.set(message.patient, message);
  }
  return found;
});

export const patients = computed(() =>
  things.patient.list.slice().sort((a, b) =>
    (latest.value.get(b.address)?.accepted_at ?? 0) - (latest.value.get(a.address)?.accepted_at ?? 0)));

/** Somebody of whom Twilio has not heard yet is an ordinary WhatsApp user. */
const ORDINARY = { profile_name: "", phone_on: true, read_receipts: true, on_whatsapp: true, blocked: false };

export const current = computed(() => {
  const address = at.patient.value || patientOf(at.message.value);
  return address ? things.patient.all.get(address) ?? { address, ...ORDINARY } : patients.value[0];
});

// From then on the phone is theirs: whoever gets a message next must not take it out of the hands of who writes.
effect(() => {
  if (!at.patient.value && current.value) at.patient.value = current.value.address;
});

/** When a patient asked for silence, as our own system knows it; null while they may be written to. */
export const optedOutAt = (address) => things.contact.all.get(address)?.opted_out_at ?? null;

/** What is left of a patient's window, in ms; 0 when it is closed. */
export const windowLeft = (address) => Math.max(0, (closing.value.get(address) ?? 0) - whatsappNow.value);

export const reachedPhone = (message) => message.direction === "inbound" || ["delivered", "read"].includes(message.status);

/** When a message of ours came to the phone. */
export const arrivedAt = (message) =>
  message.history.find(({ status: reached }) => reached === "delivered" || reached === "read")?.at ?? message.accepted_at;

const unread = computed(() => {
  const counts = new Map();
  for (const message of things.message.all.values()) {
    if (message.direction === "inbound" || !reachedPhone(message)) continue;
    if (arrivedAt(message) > (seenAt.value[message.patient] ?? 0)) {
      counts.set(message.patient, (counts.get(message.patient) ?? 0) + 1);
    }
  }
  return counts;
});

export function choose(address) {
  at.patient.value = address;
  if (messageOf(at.message.value)?.patient !== address) at.message.value = "";
}

export function Patients() {
  const [adding, setAdding] = useState(false);
  return html`<nav class="patients" aria-label="Patients" data-region>
    <header><h2>Patients</h2><${IconButton} icon="attach" label="New patient" onClick=${() => setAdding(true)} /></header>
    <ul>${patients.value.map((patient) => html`<li key=${patient.address}><${Row} patient=${patient} /></li>`)}</ul>
    ${adding && html`<${NewPatient} onClose=${() => setAdding(false)} />`}
  </nav>`;
}

function Row({ patient }) {
  const chosen = patient.address === current.value?.address;
  const count = chosen ? 0 : unread.value.get(patient.address) ?? 0;
  const last = latest.value.get(patient.address);
  const left = windowLeft(patient.address);
  const stopped = optedOutAt(patient.address);
  const window = `${stopped ? "opted out with STOP, " : ""}${left ? `window open for ${length(left)}` : "window closed"}`;
  return html`<button type="button" class="patient" title=${`${patient.profile_name || patient.address}, ${window}`} aria-current=${chosen ? "true" : null} onClick=${() => choose(patient.address)}>
    <${Avatar} patient=${patient} left=${left} />
    <span class="patient-text">
      <span class="patient-name">${patient.profile_name || patient.address}</span>
      ${stopped && html`<span class="tag bad stop" aria-hidden="true">STOP</span>`}
      <span class="patient-last">${last ? snippet(last) : patient.address}</span>
    </span>
    <span class="patient-side">
      <span class="patient-time">${last ? clock(last.accepted_at) : ""}</span>
      <span class="hidden">, ${window}</span>
      ${count ? html`<span class="badge">${count}<span class="hidden"> unread</span></span>` : html`<span class="window-left">${left ? length(left) : ""}</span>`}
    </span>
  </button>`;
}

/** The patient's initials in a ring that shows what is left of the 24 hours. */
export function Avatar({ patient, left, size = 44 }) {
  const around = 2 * Math.PI * 20;
  return html`<span class="avatar hue-${hueOf(patient.address)}">
    <svg width=${size} height=${size} viewBox="0 0 44 44" aria-hidden="true">
      <circle class="ring" cx="22" cy="22" r="20" />
      ${left > 0 && html`<circle class="ring-left" cx="22" cy="22" r="20" stroke-dasharray="${(around * left) / DAY} ${around}" transform="rotate(-90 22 22)" />`}
    </svg>
    <span>${initials(patient)}</span>
  </span>`;
}

export function snippet(message) {
  const text = message.rendered?.body || message.body;
  if (text) return text.split("\n")[0];
  const type = message.media?.[0]?.content_type ?? "";
  if (type.startsWith("image/")) return "Photo";
  if (type.startsWith("audio/")) return "Voice message";
  if (message.params?.FlowData) return "Filled form";
  return message.params?.Latitude ? "Location" : message.media?.length ? "Document" : "";
}

function NewPatient({ onClose }) {
  const [run, busy] = useAction(async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const digits = form.get("address").replace(/[^\d+]/g, "");
    const address = digits.startsWith("+") ? digits : `+91${digits.replace(/^0/, "")}`;
    await ask("twilio/patients", { address, profile_name: form.get("name") });
    choose(address);
    onClose();
  });
  return html`<${Sheet} title="New patient" onClose=${onClose}>
    <form class="form" onSubmit=${run}>
      <label>Name <input name="name" required autocomplete="off" maxlength="40" /></label>
      <label>Number <input name="address" required inputmode="tel" autocomplete="off" placeholder="98123 45678" pattern="[+0-9 \\-]{8,18}" /></label>
      <p class="hint">An ordinary WhatsApp user, until you turn one of their switches.</p>
      <footer><button class="primary" disabled=${busy}>Add</button></footer>
    </form>
  </${Sheet}>`;
}

const SWITCHES = [
  ["phone_on", "Phone is on", "While it is off, messages stay at sent."],
  ["read_receipts", "Read receipts", "Without them, nothing is ever read."],
  ["on_whatsapp", "Is on WhatsApp", "Otherwise sends fail with 63024."],
  ["blocked", "Has blocked the clinic", "Messages stay at sent."],
];

/** What a test turns on a patient and their phone. */
export function Switches({ patient, onClose }) {
  const left = windowLeft(patient.address);
  // A switch stays as it was turned until Twilio tells of it, and goes back if it was refused.
  const [turned, setTurned] = useState({});
  const [erasing, setErasing] = useState(false);
  const contact = things.contact.all.get(patient.address);
  const erase = async () => {
    await ask(`contacts/${contact.contact_id}`, undefined, "DELETE");
    notice.value = "Erased: what the clinic still had of this patient goes now.";
    onClose();
  };
  const turn = (name, value) => act(async () => {
    setTurned((before) => ({ ...before, [name]: value }));
    try {
      await ask("twilio/patients", { address: patient.address, [name]: value });
    } catch (error) {
      setTurned(({ [name]: refused, ...others }) => others);
      throw error;
    }
  });
  return html`<${Sheet} title=${`${patient.profile_name || patient.address}: phone`} onClose=${onClose}>
    <div class="form">
      ${SWITCHES.map(([name, label, hint]) => html`<label class="switch" key=${name}>
        <input type="checkbox" role="switch" checked=${turned[name] ?? Boolean(patient[name])} onChange=${(event) => turn(name, event.target.checked)} />
        <span><b>${label}</b><small>${hint}</small></span>
      </label>`)}
      <div class="row">
        <span class="grow"><b>24-hour window</b><small>${left ? `open for ${length(left)}` : "closed: only templates reach this patient"}</small></span>
        <button type="button" class="quiet" disabled=${!left} onClick=${() => act(() => ask("twilio/window", { address: patient.address, open: false }))}>Close it</button>
      </div>
      <div class="row">
        <span class="grow"><b>Let time pass</b><small>for WhatsApp (its clock: ${clock(whatsappNow.value)}) and for us, for every patient: the limit, what waits, what expires</small></span>
        ${[1, 25].map((hours) => html`<${ActionButton} class="quiet" disabled=${connection.value !== "live"} act=${() => ask("pass", { seconds: hours * 3600 })}>${hours} h on<//>`)}
      </div>
      <div class="row">
        <span class="grow"><b>Erase</b><small>what the clinic knows of this patient: messages, contact, files. Twilio's copies too</small></span>
        ${erasing
          ? html`<button type="button" class="quiet danger" disabled=${connection.value !== "live"} onClick=${() => act(erase)}>Erase for good</button>`
          : html`<button type="button" class="quiet danger" disabled=${!contact} onClick=${() => setErasing(true)}>Erase …</button>`}
      </div>
    </div>
  </${Sheet}>`;
}

async function act(request) {
  try {
    await request();
  } catch (error) {
    notice.value = error.message;
  }
}
