// The story of the selected message: one sentence, then who held it when, and on a click what was said.

import { computed, signal } from "@preact/signals";
import { ask } from "./api.js";
import { clock, exactClock, firstName, langOf, length, words } from "./format.js";
import { current } from "./patients.js";
import { at, codes, connection, idOf, messageOf, notice, now, open, patientOf, things } from "./store.js";
import { axisOf, headlineOf, LANE_NAMES, LANES, rowsOf, stepsOf } from "./storymodel.js";
import { ActionButton, Copy, Empty, html, Icon, Json, useWidth } from "./ui.js";

/** True time, without breaks. */
export const linear = signal(false);

/** The message whose story is shown: the chosen one, else the newest of the patient on the phone. */
export const shown = computed(() => {
  if (at.message.value) return at.message.value;
  const address = current.value?.address;
  const all = [
    ...things.message.list.filter((message) => message.patient === address).map((message) => [message.accepted_at, idOf(message)]),
    ...things.record.list.filter((record) => record.to === address).map((record) => [record.created_at ?? 0, record.message_id]),
  ];
  return all.reduce((newest, each) => (each[0] >= newest[0] ? each : newest), [0, ""])[1];
});

const story = computed(() => {
  const id = shown.value;
  const message = messageOf(id);
  const record = things.record.all.get(id);
  const steps = stepsOf(things.step.list, id, message?.sid);
  return { id, message, record, steps, patient: things.patient.all.get(patientOf(id)) };
});

export function Story() {
  const { id, message, record, steps, patient } = story.value;
  if (steps.length === 0) {
    return html`<${Empty} icon="inside" title=${id ? "Nothing is known of this message" : "No message yet"}>
      <p>${id ? "It may be older than what this page keeps." : html`Send one with <kbd>n</kbd>, or write as the patient on the left: its way through the system is drawn here, live.`}</p>
    <//>`;
  }
  const chosen = steps.find((step) => step.id === at.step.value);
  const headline = headlineOf({ message, record, steps, name: firstName(patient) || "the patient", length, clock });
  const failure = [...steps].reverse().find((step) => step.code && codes.value[step.code]);
  return html`<article class="story" aria-labelledby="headline">
    <header class="story-head">
      <h2 id="headline" lang=${langOf(headline)}>${headline}</h2>
      <div class="story-tools">
        <label class="toggle"><input type="checkbox" checked=${linear.value} onChange=${() => (linear.value = !linear.value)} /> true time</label>
        <${Copy} label="Link" text=${() => location.href} />
        <${Copy} label="Story" text=${() => asText(headline, steps)} />
      </div>
    </header>
    ${failure && html`<p class="plain-words"><${Icon} name="alert" size=${16} /> <span><b>${failure.code}</b> ${codes.value[failure.code]}.</span></p>`}
    <${Links} record=${record} />
    ${WAITING.includes(record?.status) && html`<p class="story-links"><${ActionButton} class="quiet danger" disabled=${connection.value !== "live"} act=${() => ask(`messages/${record.message_id}`, undefined, "DELETE")}><${Icon} name="cross" size=${15} /> Cancel it<//></p>`}
    <${Lanes} steps=${steps} chosen=${chosen} />
    <${StepList} steps=${steps} chosen=${chosen} />
  </article>`;
}

/** Until a worker posts it, a message can be called off. */
const WAITING = ["pending", "deferred", "retrying"];

/** One record stands for at most one message: what comes before or after it is another story. */
function Links({ record }) {
  const links = [["continues", "continues an earlier one"], ["continued_as", "continued as another one"], ["in_reply_to", "answers this message"]]
    .filter(([name]) => record?.[name]);
  return links.length > 0 && html`<p class="story-links">${links.map(([name, label]) => html`
    <button type="button" class="quiet" onClick=${() => open(record[name])}><${Icon} name="link" size=${15} /> ${label}</button>`)}</p>`;
}

const BAR_PX = 22;

function Lanes({ steps, chosen }) {
  const [element, width] = useWidth();
  const until = now.value;
  const axis = axisOf(steps, Math.max(until, steps.at(-1).at), width, linear.value);
  const lanes = LANES.map(([lane, name]) => {
    const bars = steps.filter((step) => step.lane === lane).map((step) => {
      const x = axis.x(step.at);
      const px = Math.max(step.state === "bad" ? 14 : 6, axis.x(step.end ?? Math.max(until, step.at)) - x);
      return { step, x: Math.min(x, Math.max(0, width - px)), px };
    });
    return { lane, name, bars, rows: rowsOf(bars) };
  });
  return html`<div class="lanes" role="group" aria-label="Who held it, over time">
    ${lanes.map(({ lane, name, bars, rows }) => html`<div class="lane ${bars.length ? "" : "unused"}" key=${lane}>
      <span class="lane-name">${name}</span>
      <div class="lane-track" ref=${lane === "command" ? element : null} style=${{ height: `${rows * BAR_PX + 10}px` }}>
        ${axis.breaks.map((pause) => html`<i class="break" style=${{ left: `${pause.x}px`, width: `${pause.px}px` }} />`)}
        ${bars.map((bar) => html`<${Bar} key=${bar.step.id} ...${bar} chosen=${chosen} />`)}
      </div>
    </div>`)}
    <div class="lane axis">
      <span class="lane-name">${length(axis.to - axis.from)}</span>
      <div class="lane-track">
        ${(axis.breaks[0]?.x ?? width) > 80 && html`<span class="axis-from">${exactClock(axis.from)}</span>`}
        ${axis.breaks.map((pause) => html`<span class="break-label" data-ms=${pause.ms} style=${{ left: `${pause.x}px`, width: `${pause.px}px` }}>
          <svg width="14" height="12" viewBox="0 0 14 12" aria-hidden="true"><path d="M2 11 6 1M8 11l4-10" /></svg>${length(pause.ms)}</span>`)}
      </div>
    </div>
  </div>`;
}

export const lengthOf = (step) => (step.end === null ? "still" : step.end > step.at ? length(step.end - step.at) : "");
export const endOf = (step) => (step.code ? `${step.state === "bad" ? "✕" : "?"} ${step.code}` : lengthOf(step));
const choose = (step) => (at.step.value = at.step.value === step.id ? "" : step.id);

function Bar({ step, x, px, row, chosen }) {
  const label = [LANE_NAMES[step.lane], step.title, lengthOf(step), step.code && `✕ ${step.code}`].filter(Boolean).join(", ");
  return html`<button type="button" tabindex="-1" class="bar ${step.state} ${step.end === null ? "still" : ""}" data-lane=${step.lane} title=${label} aria-label=${label}
      aria-pressed=${chosen?.id === step.id} data-step=${step.id} data-ms=${(step.end ?? 0) - step.at}
      style=${{ left: `${x}px`, width: `${px}px`, top: `${row * BAR_PX + 5}px` }} onClick=${() => choose(step)}>
    ${step.state === "bad" && html`<${Icon} name="cross" size=${12} />`}
    <span>${px > 56 ? (step.state === "bad" ? step.code : step.title) : ""}</span>
  </button>`;
}

/** The same steps as words: what a bar is too small for, and what the keyboard and screen readers use. */
function StepList({ steps, chosen }) {
  const first = steps[0].at;
  return html`<ol class="steps">${steps.map((step) => html`<li key=${step.id} class=${step === chosen ? "open" : ""}>
    <button type="button" aria-expanded=${step === chosen} onClick=${() => choose(step)}>
      <span class="step-at">${step.at === first ? exactClock(first) : `+ ${length(step.at - first)}`}</span>
      <span class="step-lane" data-lane=${step.lane}>${LANE_NAMES[step.lane]}</span>
      <span class="step-title">${step.title}</span>
      <span class="step-end ${step.state}">${endOf(step)}</span>
    </button>
    ${step === chosen && html`<${Detail} step=${step} />`}</li>`)}</ol>`;
}

function Detail({ step }) {
  const { request, answer, event, alert, form, ...rest } = step.detail;
  const logs = logsOf(step);
  const signature = request?.["X-Twilio-Signature"];
  const replayed = event ? { event } : signature ? { url: request.url, signature, form } : null;
  const parts = [["Request", request], ["Form", form], ["Answer", answer], ["Event", event], ["More", Object.values(rest).some(Boolean) ? rest : null]]
    .filter(([, value]) => value);
  return html`<section class="detail" aria-label=${step.title}>
    ${step.code && html`<p class="plain-words ${step.state}"><${Icon} name="alert" size=${16} /> <span><b>${step.code}</b> ${codes.value[step.code] ?? (step.detail.error ?? step.detail.answer?.error)?.detail ?? ""}</span></p>`}
    ${replayed && html`<p><${ActionButton} class="quiet" disabled=${connection.value !== "live"} act=${async () => (notice.value = (await ask("replay", replayed)).told)}><${Icon} name="run" size=${15} /> ${event ? "Publish it again" : "Send it again"}<//></p>`}
    ${alert && html`<pre class="code wrap" tabindex="0" aria-label="Alert">${alert}</pre>`}
    ${parts.map(([name, value]) => html`<div class="part" key=${name}><h4>${name}<${Copy} text=${JSON.stringify(value, null, 2)} /></h4><${Json} value=${value} label=${name} /></div>`)}
    ${logs.length > 0 && html`<div class="part"><h4>Log <small>${logs[0].function}</small><${Copy} text=${logs.flatMap((each) => each.lines).join("\n")} /></h4>
      <pre class="code log" tabindex="0" aria-label="Log">${logs.flatMap((each) => each.lines).map(pretty).join("\n")}</pre></div>`}
    ${parts.length === 0 && !alert && logs.length === 0 && html`<p class="dim">Nothing more is known of this step.</p>`}
  </section>`;
}

/**
 * The logs of the invocations that worked on this step: they ran just then, and name the message or none. A busy
 * machine writes its log late: then it is the nearest that names the message.
 */
function logsOf(step) {
  if (step.lane !== "lambda" && step.lane !== "command") return [];
  const name = step.id.includes(":callback:") ? "webhook" : "send";
  const end = step.end ?? Date.now();
  const apart = ({ at: from, end: to }) => Math.max(0, from - end, step.at - to);
  const found = things.invocation.list.filter((invocation) => invocation.function.endsWith(name) &&
    (invocation.message_ids.includes(step.message_id) ? apart(invocation) < 3000 : invocation.message_ids.length === 0 && apart(invocation) <= 30));
  const nearest = Math.min(...found.map(apart));
  return found.filter((invocation) => apart(invocation) <= Math.max(30, nearest));
}

function pretty(line) {
  try {
    const { level, message, timestamp, location, service, function_name, function_memory_size, function_arn, function_request_id, ...rest } = JSON.parse(line);
    const fields = Object.entries(rest).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
    return `${level.padEnd(7)} ${message}  ${fields.join(" ")}`;
  } catch {
    return line;
  }
}

/** The story as a paragraph to paste somewhere. */
function asText(headline, steps) {
  const told = steps.map((step) => `${exactClock(step.at)} ${LANE_NAMES[step.lane]}: ${words(step.title)}${lengthOf(step) ? ` (${lengthOf(step)})` : ""}${step.code ? ` ✕ ${step.code}` : ""}`);
  return `${headline}\n${told.join("\n")}\n${location.href}`;
}
