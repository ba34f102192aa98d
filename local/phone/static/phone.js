// The patient's WhatsApp, and beside it the rail: what the clinic knows of each message, which no patient sees.

import { computed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Bubble } from "./bubble.js";
import { Composer } from "./composer.js";
import { dateLine, dayOf, length, when, words } from "./format.js";
import { arrivedAt, Avatar, current, optedOutAt, reachedPhone, Switches, windowLeft } from "./patients.js";
import { at, codes, hidden, idOf, look, now, onPhone, open, things } from "./store.js";
import { Empty, html, Icon, IconButton } from "./ui.js";

const MOST_ROWS = 300;

/** What the chat shows: messages at Twilio, and records of ours that never got there or not yet. */
const rows = computed(() => {
  const address = current.value?.address;
  const messages = things.message.list.filter((message) => message.patient === address);
  const atTwilio = new Set(messages.map(idOf));
  const waiting = things.record.list.filter(
    (record) => record.direction === "outbound" && record.to === address && !record.twilio_sid && !atTwilio.has(record.message_id));
  return [
    ...messages.map((message) => ({ id: idOf(message), at: message.accepted_at, message })),
    ...waiting.map((record) => ({ id: record.message_id, at: record.created_at, record })),
  ].sort((a, b) => a.at - b.at).slice(-MOST_ROWS);
});

export function Phone() {
  const patient = current.value;
  const [switches, setSwitches] = useState(false);
  if (!patient) return html`<section class="phone" aria-label="Phone" data-region><${Empty} icon="phone" title="No patients yet"><p>Add one with <b>+</b> above the list: an ordinary WhatsApp user.</p><//></section>`;
  const left = windowLeft(patient.address), stopped = optedOutAt(patient.address);
  return html`<section class="phone" aria-label="Phone" data-region tabindex="-1">
    <header class="phone-top">
      <${Avatar} patient=${patient} left=${left} size=${40} />
      <div class="phone-who">
        <h2>${patient.profile_name || patient.address}</h2>
        ${stopped && html`<p class="stopped">opted out with STOP, ${when(stopped, now.value)}: nothing is sent</p>`}
        <p class=${left ? "" : "closed"}>${left ? `window open: ${length(left)} left` : "window closed: templates only"}</p>
      </div>
      <${IconButton} icon="more" label="Switches of this phone" onClick=${() => setSwitches(true)} />
    </header>
    <div class="rail-top"><h2>What the clinic knows</h2></div>
    <${Chat} key=${patient.address} patient=${patient} />
    <${Composer} key=${patient.address} patient=${patient} />
    ${switches && html`<${Switches} patient=${patient} onClose=${() => setSwitches(false)} />`}
  </section>`;
}

function Chat({ patient }) {
  const box = useRef(null);
  const atEnd = useRef(true);
  const scrolledTo = useRef(0);
  const count = rows.value.length;
  const [behind, setBehind] = useState(0);
  useEffect(() => {
    if (!atEnd.current) setBehind((before) => before + 1);
  }, [count]);
  // A message that arrives, a state with a code, a turned phone: whatever changes a height, the last bubble stays whole.
  useEffect(() => {
    const shown = box.current;
    const watch = new ResizeObserver(() => atEnd.current && (shown.scrollTop = shown.scrollHeight));
    watch.observe(shown);
    watch.observe(shown.firstChild);
    return () => watch.disconnect();
  }, []);
  const newest = Math.max(0, ...rows.value.map(({ message }) => (message && message.direction !== "inbound" && reachedPhone(message) ? arrivedAt(message) : 0)));
  useEffect(() => {
    if (!hidden.value && box.current.offsetParent) look(patient.address, newest);
  }, [newest, hidden.value, onPhone.value]);
  useEffect(() => {
    const chosen = box.current.querySelector(`[data-id="${CSS.escape(at.message.value)}"]`);
    chosen?.scrollIntoView({ block: "nearest" });
  }, [at.message.value]);
  // Only a scroll upwards leaves the end: what grows between two frames looks like one, and is none.
  const scrolled = ({ target }) => {
    const isUp = target.scrollTop < scrolledTo.current;
    scrolledTo.current = target.scrollTop;
    if (target.scrollHeight - target.scrollTop - target.clientHeight < 40) atEnd.current = true;
    else if (isUp) atEnd.current = false;
    if (atEnd.current) setBehind(0);
  };
  const toEnd = () => (box.current.scrollTop = box.current.scrollHeight);
  return html`<div class="chat-box">
    <div class="chat" ref=${box} onScroll=${scrolled} role="region" aria-label=${`Messages with ${patient.profile_name || patient.address}`} tabindex="0"><ol>
      ${count === 0 && html`<${Nothing} patient=${patient} />`}
      ${rows.value.map((row, n) => html`
        ${(n === 0 || dayOf(rows.value[n - 1].at) !== dayOf(row.at)) && html`<li class="date" key=${`date ${dayOf(row.at)}`}><span>${dateLine(row.at, now.value)}</span></li>`}
        <${Row} key=${row.id} row=${row} />`)}
    </ol></div>
    ${behind > 0 && html`<button type="button" class="pill to-end" onClick=${toEnd}>${behind} new ↓</button>`}
  </div>`;
}

function Row({ row }) {
  const chosen = at.message.value === row.id;
  const inbound = row.message?.direction === "inbound";
  const shown = row.message && reachedPhone(row.message);
  return html`<li class="chat-row ${inbound ? "mine" : "theirs"} ${chosen ? "chosen" : ""}" data-id=${row.id}>
    <div class="bubble-place">
      ${shown ? html`<${Bubble} message=${row.message} onOpen=${() => open(row.id)} />` : html`<${NotThere} row=${row} />`}
    </div>
    ${inbound ? html`<span class="rail"></span>` : html`<${Rail} row=${row} chosen=${chosen} />`}
  </li>`;
}

/** A message of ours that the phone does not show: the patient knows nothing of it. */
function NotThere({ row }) {
  const what = row.record?.template ?? things.record.all.get(row.id)?.template;
  return html`<p class="not-there">${what ? words(what) : "Message"} <span>not on the phone</span></p>`;
}

const STAGES = ["queued", "sent", "delivered", "read"];
const ICON = { delivered: "checks", read: "eye", sent: "check", failed: "cross", undelivered: "cross", deferred: "clock",
  retrying: "clock", unknown: "alert", expired: "cross", canceled: "cross" };

/** How far the clinic's message has come, as its own system knows it. */
function Rail({ row, chosen }) {
  const { state, code, tone, at: since } = stateOf(row);
  const stage = STAGES.indexOf(state);
  const label = `${words(state)}${code ? ` ${code}` : ""}`;
  return html`<button type="button" class="rail state ${tone}" aria-pressed=${chosen} onClick=${() => open(row.id)}
      title=${codes.value[code] ?? label}>
    <span class="state-word"><${Icon} name=${ICON[state] ?? "clock"} size=${15} /> ${words(state)}</span>
    ${code && html`<span class="state-code">${code.replaceAll("_", " ")}</span>`}
    <span class="state-time">${since ? when(since, now.value) : ""}</span>
    <span class="hidden">Open its story</span>
    ${stage >= 0 && html`<span class="stages" aria-hidden="true">${STAGES.map((_, n) => html`<i class=${n <= stage ? "on" : ""} />`)}</span>`}
  </button>`;
}


/** Our record decides; Twilio's own view fills in what has not reached us yet only while we have no record. */
export function stateOf({ message, record, id }) {
  const ours = record ?? things.record.all.get(id);
  let state = ours?.status ?? message?.status ?? "queued";
  if (state === "pending" || state === "accepted" || state === "scheduled") state = "queued";
  if (state === "claimed") state = "sending";
  if (state === "unknown_final") state = "unknown";
  const error = ours?.error ?? {};
  const bad = ["failed", "undelivered", "expired"].includes(state);
  const waits = ["deferred", "retrying", "unknown", "queued", "sending"].includes(state);
  const code = bad || state === "unknown" || state === "retrying" ? error.twilio_code ?? error.code ?? message?.error_code : null;
  const since = state === "deferred" ? ours.scheduled_for ?? ours.due_at : ours?.status_at ?? message?.accepted_at;
  return { state, code: code ? String(code) : null, tone: bad ? "bad" : waits ? "wait" : "ok", at: since };
}

function Nothing({ patient }) {
  return html`<li class="nothing">
    <p>No messages with ${patient.profile_name || patient.address} yet.</p>
    <button type="button" class="primary" onClick=${() => document.dispatchEvent(new CustomEvent("quick-send", { detail: patient }))}>
      Send ${(patient.profile_name || "them").split(" ")[0]} a reminder
    </button>
    <p class="small">or write something below, as the patient</p>
  </li>`;
}
