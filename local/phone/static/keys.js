// The keyboard: single keys while nobody types, F6 from region to region. They can be switched off (WCAG 2.1.4).

import { signal } from "@preact/signals";
import { composing, command, startComposing } from "./compose.js";
import { filterWanted, paused } from "./events.js";
import { at, messageOf, notice, onPhone, open, things } from "./store.js";
import { linear, shown } from "./story.js";
import { answering } from "./composer.js";

export const help = signal(false);
export const enabled = signal(localStorage.getItem("keys") !== "off");
export const KEYS = [
  ["F6", "next region"], ["j  k", "next, previous row"], ["Enter", "open it"], ["Esc", "close, or go back"], ["/", "filter the events"],
  ["n", "send as the orchestrator"], ["r", "answer as the patient"], ["e", "next failure"], ["q", "true time in the story"], ["p", "pause the events"],
  ["y", "copy the link"], ["c", "copy the command"], ["Ctrl Enter", "send"], ["?", "these keys"],
];

export function switchKeys(on) {
  enabled.value = on;
  localStorage.setItem("keys", on ? "on" : "off");
}

const typing = (target) => target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");

function regions(backwards) {
  const all = [...document.querySelectorAll("[data-region]")].filter((element) => element.offsetParent !== null);
  const here = all.findIndex((element) => element.contains(document.activeElement));
  const next = all[(here + (backwards ? -1 : 1) + all.length) % all.length];
  const inner = next?.matches("[tabindex]") ? next : next?.querySelector("button, [tabindex], input");
  inner?.focus();
}

/** j and k move the focus along the rows of the panel it is in, or of the first that has rows. */
function move(step) {
  const inside = document.activeElement?.closest("[data-region]");
  const from = inside?.querySelector("li button") ? inside : document.querySelector(".inside");
  const rows = [...(from?.querySelectorAll("li > button, li > .bubble-place .meta-open") ?? [])];
  const here = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, here + step))]?.focus();
}

function nextFailure() {
  const bad = things.step.list.filter((step) => step.state === "bad" && step.message_id).sort((a, b) => a.at - b.at);
  const ids = [...new Set(bad.map((step) => step.message_id))];
  if (ids.length === 0) notice.value = "No failure yet.";
  else open(ids[(ids.indexOf(shown.value) + 1) % ids.length]);
}

function answer() {
  const chosen = messageOf(shown.value);
  answering.value = chosen?.direction !== "inbound" ? chosen?.sid ?? null : null;
  if (chosen) at.patient.value = chosen.patient;
  onPhone.value = true;
  const focus = () => document.getElementById("as-patient")?.focus();
  focus();
  requestAnimationFrame(focus); // on a narrow page the phone comes into view first
}

async function copy(text, what) {
  await navigator.clipboard.writeText(text);
  notice.value = `${what} copied.`;
}

function focusFilter() {
  onPhone.value = false;
  at.tab.value = "events";
  filterWanted.value = true;
}

function back() {
  if (help.value) help.value = false;
  else if (at.step.value) at.step.value = "";
  else if (composing.value) composing.value = false;
  else at.message.value = "";
}

const ACTIONS = {
  j: () => move(1), k: () => move(-1), "/": focusFilter, n: () => startComposing(), r: answer, e: nextFailure,
  q: () => (linear.value = !linear.value), p: () => (paused.value = !paused.value),
  y: () => copy(location.href, "The link"), c: () => copy(command(), "The command"), "?": () => (help.value = true), Escape: back,
};

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "F6") {
      event.preventDefault();
      regions(event.shiftKey);
      return;
    }
    if (!enabled.value || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const act = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
