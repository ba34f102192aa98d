// Everything that happened, newest first: filtered by the words in the URL, a few hundred rows at a time.

import { computed, effect, signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { exactClock, words } from "./format.js";
import { at, messageOf, open, things } from "./store.js";
import { endOf } from "./story.js";
import { LANE_NAMES, LANES } from "./storymodel.js";
import { Empty, html, Icon, Json } from "./ui.js";

const ROWS = 300;
export const paused = signal(false);
/** Somebody asked for the filter's field with a key. */
export const filterWanted = signal(false);
/** Somebody reads further down. */
const reading = signal(false);
const held = signal({ query: "", steps: [] });

const FIELDS = {
  to: (step, wanted) => (step.to ?? "").includes(wanted) || nameOf(step).includes(wanted),
  status: (step, wanted) => statusOf(step).includes(wanted),
  template: (step, wanted) => (templateOf(step) ?? "").includes(wanted),
  id: (step, wanted) => (step.message_id ?? "").startsWith(wanted) || (step.sid ?? "").toLowerCase().startsWith(wanted),
  lane: (step, wanted) => step.lane.startsWith(wanted) || LANE_NAMES[step.lane].toLowerCase().startsWith(wanted),
  code: (step, wanted) => (step.code ?? "").toLowerCase().includes(wanted),
};

const nameOf = (step) => (things.patient.all.get(step.to)?.profile_name ?? "").toLowerCase();
const templateOf = (step) => step.template ?? things.record.all.get(step.message_id)?.template;
const statusOf = (step) => `${step.state} ${messageOf(step.message_id)?.status ?? ""} ${things.record.all.get(step.message_id)?.status ?? ""}`;

/** `to:asha status:failed lane:bus text` as one test of a step. */
export function filterOf(query) {
  const tests = query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
    const [, field, wanted] = word.match(/^(\w+):(.*)$/) ?? [];
    if (Object.hasOwn(FIELDS, field)) return (step) => FIELDS[field](step, wanted);
    return (step) => `${step.title} ${step.code ?? ""} ${step.id}`.toLowerCase().includes(word);
  });
  return (step) => tests.every((test) => test(step));
}

const found = computed(() => things.step.list.filter(filterOf(at.q.value)).sort((a, b) => b.at - a.at));

// While somebody reads further down, or has paused, rows stand still and the news are counted.
// Another filter is another list: it begins at its top, as it is now.
effect(() => {
  const asked = held.peek().query !== at.q.value;
  if (asked || (!reading.value && !paused.value)) held.value = { query: at.q.value, steps: found.value };
});
const news = computed(() => {
  const known = held.value.steps[0]?.at ?? 0;
  return held.value.steps === found.value ? 0 : found.value.filter((step) => step.at > known).length;
});

function thaw(box) {
  reading.value = false;
  paused.value = false;
  box.scrollTo({ top: 0 });
}

export function Events() {
  const box = useRef(null);
  useEffect(() => () => (reading.value = false), []);
  useEffect(() => box.current.scrollTo({ top: 0 }), [at.q.value]);
  const scrolled = ({ target }) => (reading.value = target.scrollTop > 60);
  const steps = held.value.steps.slice(0, ROWS);
  return html`<section class="events" aria-label="Events">
    <${Filter} />
    ${news.value > 0 && html`<button type="button" class="pill news" onClick=${() => thaw(box.current)}>${news.value} new ↑</button>`}
    <div class="event-rows" ref=${box} onScroll=${scrolled} tabindex="0" role="region" aria-label="Events, newest first">
      ${steps.length === 0 ? html`<${NoEvents} />` : html`<ol class="event-list">${steps.map((step) => html`<${Row} key=${step.id} step=${step} />`)}</ol>`}
      ${held.value.steps.length > ROWS && html`<p class="dim end">The newest ${ROWS} of ${held.value.steps.length}: filter to see others.</p>`}
    </div>
  </section>`;
}

function Filter() {
  const field = useRef(null);
  // Before the next key: what one types at once belongs in the field.
  useLayoutEffect(() => {
    if (!filterWanted.value) return;
    filterWanted.value = false;
    field.current.focus();
  }, [filterWanted.value]);
  const chip = (lane) => {
    const rest = at.q.value.split(/\s+/).filter((word) => word && !word.startsWith("lane:"));
    const on = at.q.value.includes(`lane:${lane}`);
    at.q.value = on ? rest.join(" ") : [...rest, `lane:${lane}`].join(" ");
  };
  return html`<div class="filter" role="search">
    <label class="search"><${Icon} name="filter" size=${16} /><input id="filter" ref=${field} type="search" value=${at.q.value} aria-label="Filter events"
      onInput=${(event) => (at.q.value = event.target.value)} placeholder="to:asha  status:failed  template:  id:  lane:  code:" spellcheck="false" /></label>
    <div class="chips">${LANES.map(([lane, name]) => html`<button type="button" class="chip" key=${lane} aria-pressed=${at.q.value.includes(`lane:${lane}`)} onClick=${() => chip(lane)}><i data-lane=${lane} />${name}</button>`)}
      <button type="button" class="chip" aria-pressed=${paused.value} onClick=${() => (paused.value = !paused.value)}>${paused.value ? "Paused" : "Pause"}</button></div>
  </div>`;
}

function NoEvents() {
  if (at.q.value && things.step.all.size > 0) {
    return html`<${Empty} icon="filter" title=${`Nothing fits “${at.q.value}”`}><button type="button" class="quiet" onClick=${() => (at.q.value = "")}>Show all ${things.step.all.size}</button><//>`;
  }
  return html`<${Empty} icon="bus" title="Nothing has happened yet"><p>Send a message with <kbd>n</kbd>, or write as the patient.</p><//>`;
}

const opened = signal(null);

function Row({ step }) {
  const isOpen = opened.value === step.id;
  const who = things.patient.all.get(step.to);
  const template = templateOf(step);
  return html`<li class="event ${isOpen ? "open" : ""}">
    <button type="button" class="event-row" aria-expanded=${isOpen} onClick=${() => (opened.value = isOpen ? null : step.id)}>
      <span class="event-at">${exactClock(step.at)}</span>
      <span class="step-lane" data-lane=${step.lane}>${LANE_NAMES[step.lane]}</span>
      <span class="event-title">${step.title}</span>
      <span class="event-who">${[template && words(template), who?.profile_name || step.to].filter(Boolean).join(" · ")}</span>
      <span class="step-end ${step.state}">${endOf(step)}</span>
    </button>
    ${isOpen && html`<div class="event-detail">
      ${step.message_id && html`<button type="button" class="quiet" onClick=${() => open(step.message_id)}><${Icon} name="inside" size=${15} /> Its story</button>`}
      <${Json} value=${step.detail} label="Details" /></div>`}
  </li>`;
}
