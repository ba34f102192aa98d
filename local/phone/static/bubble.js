// One bubble, as WhatsApp draws it. What a person wrote is only ever text: it never becomes HTML.

import { useState } from "preact/hooks";
import { ask } from "./api.js";
import { clock, langOf } from "./format.js";
import { snippet } from "./patients.js";
import { things } from "./store.js";
import { html, Icon, Sheet, useAction } from "./ui.js";

export function Bubble({ message, onOpen }) {
  const inbound = message.direction === "inbound";
  const text = inbound ? message.body : message.rendered?.body || message.body;
  const actions = message.rendered?.actions?.filter((action) => action.title) ?? [];
  const items = message.rendered?.items ?? [];
  return html`<div class="bubble ${inbound ? "out" : "in"}" onClick=${onOpen}>
    <${Quote} message=${message} />
    ${(message.media ?? []).map((medium) => html`<${Medium} key=${medium.sid} medium=${medium} from=${inbound ? "patient" : "clinic"} />`)}
    ${message.params?.Latitude && html`<${Place} params=${message.params} />`}
    ${message.rendered?.latitude && html`<${Place} params=${{ Latitude: message.rendered.latitude, Longitude: message.rendered.longitude, Label: message.rendered.label }} />`}
    ${message.params?.FlowData && html`<${Answers} params=${message.params} />`}
    ${text && html`<p class="text" lang=${langOf(text)} dir="auto">${styled(text)}</p>`}
    <span class="meta">
      <button type="button" class="meta-open" onClick=${onOpen} aria-label=${`${inbound ? "Patient" : "Clinic"}, ${clock(message.accepted_at)}: open its story`}>${clock(message.accepted_at)}</button>
      ${inbound && html`<span class="ticks" role="img" aria-label="Delivered"><${Icon} name="checks" size=${15} /></span>`}
    </span>
    ${!inbound && actions.length > 0 && html`<${Buttons} message=${message} actions=${actions} />`}
    ${!inbound && items.length > 0 && html`<${List} message=${message} items=${items} />`}
  </div>`;
}

const MARKS = { "*": "b", _: "i", "~": "s" };

/** WhatsApp's own marks for bold, italic and struck text. */
export function styled(text) {
  const parts = text.split(/(\*[^*\n]+\*|_[^_\n]+_|~[^~\n]+~)/g);
  return parts.map((part, n) => (n % 2 ? html`<${MARKS[part[0]]}>${part.slice(1, -1)}<//>` : part));
}

/** The message that this one answers. */
function Quote({ message }) {
  const quoted = things.message.all.get(message.params?.OriginalRepliedMessageSid);
  if (!quoted) return null;
  return html`<blockquote class="quote"><b>${quoted.direction === "inbound" ? "You" : "Clinic"}</b><span lang=${langOf(snippet(quoted))}>${snippet(quoted)}</span></blockquote>`;
}

function Medium({ medium, from }) {
  const [broken, setBroken] = useState(false);
  const source = `/media/${medium.sid}`;
  const size = `${Math.max(1, Math.round(medium.size / 1024))} KB`;
  const stop = (event) => event.stopPropagation();
  if (broken) return html`<p class="broken"><${Icon} name="alert" size=${15} /> ${medium.content_type} of ${size}: it cannot be shown</p>`;
  if (medium.content_type.startsWith("image/")) {
    return html`<img class="medium" src=${source} alt=${`Picture from the ${from}`} loading="lazy" onError=${() => setBroken(true)} />`;
  }
  if (medium.content_type.startsWith("audio/")) {
    return html`<audio class="medium" controls preload="metadata" src=${source} aria-label="Voice message" onClick=${stop} onError=${() => setBroken(true)} />`;
  }
  if (medium.content_type.startsWith("video/")) {
    return html`<video class="medium" controls preload="metadata" src=${source} aria-label="Video" onClick=${stop} onError=${() => setBroken(true)} />`;
  }
  return html`<a class="file" href=${source} download onClick=${stop}><${Icon} name="doc" /> <span>${medium.content_type}<small>${size}</small></span></a>`;
}

/** A place: a small drawing, no map service. */
function Place({ params }) {
  const { Latitude, Longitude, Label, Address } = params;
  return html`<div class="place">
    <svg viewBox="0 0 240 96" aria-hidden="true"><path class="land" d="M0 0h240v96H0z" /><path class="street" d="M-5 70 90 40l60 30 100-40M60-5l20 110M170-5l-15 110" /><path class="pin" d="M120 62s-14-13-14-23a14 14 0 0 1 28 0c0 10-14 23-14 23z" /><circle class="hole" cx="120" cy="39" r="5" /></svg>
    <b>${Label || "Location"}</b>${Address && html`<span>${Address}</span>`}<small>${Number(Latitude).toFixed(4)}, ${Number(Longitude).toFixed(4)}</small>
  </div>`;
}

/** What the patient filled into a WhatsApp Flow. */
function Answers({ params }) {
  return Object.entries(JSON.parse(params.FlowData)).map(([name, answer]) =>
    html`<p key=${name} class="text"><b>${name}</b>: ${[answer].flat().join(", ")}</p>`);
}

/** Which of a message's buttons or list items the patient chose, if any. */
function chosenOf(message) {
  const answer = things.message.list.find(
    (other) => other.params?.OriginalRepliedMessageSid === message.sid && (other.params.ButtonText || other.params.ListTitle));
  return answer?.params.ButtonText ?? answer?.params.ListTitle;
}

function Buttons({ message, actions }) {
  const chosen = chosenOf(message);
  const [tap, busy] = useAction((action) =>
    ask("inbound", { from: message.patient, button: { text: action.title, payload: action.id }, reply_to: message.sid }));
  return html`<div class="bubble-buttons">${actions.map((action) =>
    action.type && action.type !== "QUICK_REPLY"
      ? html`<span class="bubble-button"><${Icon} name="link" size=${15} /> ${action.title}</span>`
      : html`<button type="button" class="bubble-button" lang=${langOf(action.title)} disabled=${busy || Boolean(chosen)}
          onClick=${(event) => { event.stopPropagation(); tap(action); }}>
          <${Icon} name=${chosen === action.title ? "check" : "reply"} size=${15} /> ${action.title}
        </button>`)}</div>`;
}

function List({ message, items }) {
  const [shown, setShown] = useState(false);
  const chosen = chosenOf(message);
  const [choose, busy] = useAction(async (item) => {
    setShown(false);
    await ask("inbound", {
      from: message.patient, reply_to: message.sid,
      list_item: { id: item.id, title: item.item, description: item.description ?? "" },
    });
  });
  return html`<div class="bubble-buttons" onClick=${(event) => event.stopPropagation()}>
    <button type="button" class="bubble-button" disabled=${busy || Boolean(chosen)} onClick=${() => setShown(true)}>
      <${Icon} name=${chosen ? "check" : "list"} size=${15} /> ${chosen ?? message.rendered.button}
    </button>
    ${shown && html`<${Sheet} title=${message.rendered.button} class="list-sheet" onClose=${() => setShown(false)}>
      <ul>${items.map((item) => html`<li key=${item.id}><button type="button" onClick=${() => choose(item)}>
        <b>${item.item}</b>${item.description && html`<small>${item.description}</small>`}</button></li>`)}</ul>
    </${Sheet}>`}
  </div>`;
}
