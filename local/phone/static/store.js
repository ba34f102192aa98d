// What the server tells, kept by kind and key; and what the page itself remembers, kept in the URL.

import { batch, computed, effect, signal } from "@preact/signals";

const KEPT = { step: 2000, message: 2000, record: 2000 };

/** Things of one kind: a map that counts its changes, so that whoever reads it is drawn again. */
class Things {
  #map = new Map();
  #version = signal(0);
  get all() {
    this.#version.value;
    return this.#map;
  }
  get list() {
    return [...this.all.values()];
  }
  put(key, value) {
    if (value === null) this.#map.delete(key);
    else this.#map.set(key, value);
  }
  changed(limit = Infinity) {
    for (const key of this.#map.keys()) {
      if (this.#map.size <= limit) break;
      this.#map.delete(key);
    }
    this.#version.value++;
  }
  clear() {
    this.#map.clear();
  }
}

export const things = Object.fromEntries(
  ["patient", "message", "record", "contact", "step", "invocation", "template", "alert", "dead", "status"]
    .map((kind) => [kind, new Things()]),
);
export const catalog = signal([]);
export const codes = signal({});
export const now = signal(Date.now());
/** The stream: `opening`, `live` or `lost`; and when the last word came. */
const stream = signal("opening");
export const heardAt = signal(Date.now());
export const notice = signal("");

export const status = (name) => things.status.all.get(name);
/** What of the stack has ended, by name, while the page's own server still answers. */
export const down = computed(() => status("pulse")?.down ?? []);
/** The stream's state; `dead` when it lives and the stack behind it does not. */
export const connection = computed(() => (stream.value === "live" && down.value.length > 0 ? "dead" : stream.value));
export const faults = computed(() => status("faults")?.active ?? []);
export const stack = computed(() => status("stack") ?? {});
/** WhatsApp's clock, which can be moved ahead of ours. */
export const whatsappNow = computed(() => {
  const told = status("clock");
  return told ? now.value + Date.parse(told.whatsapp_now) - Math.floor(told.at / 1000) * 1000 : now.value;
});

// --- the stream --------------------------------------------------------------------------------------------------

let waiting = [];
let source = null;
let boot = null;
/** The last change that was told; the stream goes on from there. */
let lastId = null;
/** Counts the calls of `connect`: what an earlier one still waits for no longer matters. */
let calls = 0;

function apply(changes) {
  const touched = new Set();
  batch(() => {
    for (const { kind, key, value } of changes) {
      things[kind].put(key, value);
      touched.add(kind);
    }
    for (const kind of touched) things[kind].changed(KEPT[kind]);
  });
}

/** Changes are gathered and drawn once a frame, however many come. */
function take(changes) {
  if (waiting.length === 0) setTimeout(() => apply(waiting.splice(0)), 16);
  waiting.push(...changes);
}

function lost() {
  stream.value = "lost";
}

async function read() {
  const answer = await fetch("/api/state");
  if (!answer.ok) throw new Error(`state: ${answer.status}`);
  return answer.json();
}

function show(state) {
  if (boot && boot !== state.boot) {
    notice.value = "The server was started again: this is its new state.";
  }
  boot = state.boot;
  lastId = state.last_id;
  waiting = [];
  batch(() => {
    catalog.value = state.catalog;
    codes.value = state.codes;
    for (const [kind, found] of Object.entries(state.things)) {
      things[kind].clear();
      for (const [key, value] of Object.entries(found)) things[kind].put(key, value);
      things[kind].changed();
    }
    heardAt.value = Date.now();
  });
}

/**
 * Follow the stream from where the page was, or read the whole state first if it was nowhere yet.
 *
 * One stream a tab, none while it is hidden: browsers allow six to a host.
 */
export async function connect() {
  source?.close();
  const call = ++calls;
  const again = () => call === calls && connect();
  if (document.hidden) return;
  try {
    const state = lastId === null ? await read() : null;
    if (call !== calls) return;
    if (state) show(state);
    follow(again);
  } catch {
    if (call === calls) lost();
    setTimeout(again, 700);
  }
}

function follow(again) {
  source = new EventSource(`/api/stream?last_id=${encodeURIComponent(lastId)}`);
  const mine = source;
  mine.addEventListener("hello", () => {
    stream.value = "live";
    heardAt.value = Date.now();
  });
  mine.addEventListener("reset", () => {
    lastId = null;
    again();
  });
  mine.onmessage = (event) => {
    heardAt.value = Date.now();
    lastId = event.lastEventId;
    take(JSON.parse(event.data));
  };
  mine.onerror = () => {
    if (mine !== source) return;
    lost();
    mine.close();
    setTimeout(again, 700);
  };
}

export const hidden = signal(document.hidden);

export function followVisibility() {
  document.addEventListener("visibilitychange", () => {
    hidden.value = document.hidden;
    connect();
  });
  setInterval(() => (now.value = Date.now()), 1000);
}

// --- what the page remembers -------------------------------------------------------------------------------------

const REMEMBERED = ["patient", "message", "tab", "q", "step"];
const given = new URLSearchParams(location.search);
export const at = Object.fromEntries(REMEMBERED.map((name) => [name, signal(given.get(name) ?? "")]));
at.tab.value ||= "story";

export function rememberInUrl() {
  effect(() => {
    const query = new URLSearchParams();
    for (const name of REMEMBERED) if (at[name].value) query.set(name, at[name].value);
    if (onPhone.value) query.set("place", "phone");
    history.replaceState(null, "", `?${query}`);
  });
}

/** On a narrow page one place is shown at a time: the phone, or one of the tabs. */
export const onPhone = signal(given.get("place") === "phone" || !given.has("tab"));

/** Open a message: its patient on the phone, its story on the right. With `stay`, a narrow page stays where it is. */
export function open(messageId, { stay = false } = {}) {
  batch(() => {
    if (!stay) onPhone.value = false;
    const patient = patientOf(messageId);
    if (patient) at.patient.value = patient;
    at.message.value = messageId ?? "";
    at.step.value = "";
    at.tab.value = "story";
  });
}

export function patientOf(messageId) {
  const record = things.record.all.get(messageId);
  return messageOf(messageId)?.patient ?? (record?.direction === "inbound" ? record.address : record?.to);
}

/** Twilio's view of a message, by our id of it. */
const byMessageId = computed(() => new Map(things.message.list.map((message) => [idOf(message), message])));
export const messageOf = (messageId) => byMessageId.value.get(messageId);
export const idOf = (message) => message.message_id ?? message.sid;

// --- themes and seen messages, per browser -----------------------------------------------------------------------

export const theme = signal(localStorage.getItem("theme") ?? "auto");
export function rememberTheme() {
  effect(() => {
    localStorage.setItem("theme", theme.value);
    document.documentElement.dataset.theme = theme.value;
  });
}

/** When the newest message that was shown arrived, by patient. */
export const seenAt = signal(JSON.parse(localStorage.getItem("seen") ?? "{}"));
export function look(address, newest) {
  if (newest <= (seenAt.value[address] ?? 0)) return;
  seenAt.value = { ...seenAt.value, [address]: newest };
  localStorage.setItem("seen", JSON.stringify(seenAt.value));
}
