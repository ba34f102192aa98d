// Writing as the patient: text, a picture, a voice note, a location; and an answer to one message.

import { signal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { ask } from "./api.js";
import { langOf } from "./format.js";
import { snippet } from "./patients.js";
import { connection, things } from "./store.js";
import { html, Icon, IconButton, useAction } from "./ui.js";

/** The sid of the message that the next one answers. */
export const answering = signal(null);
const ANSWERS = { mood: "3", sleep: "5 hours", what_helps: ["walking", "music"] };
const CLINIC = { latitude: 12.9716, longitude: 77.5946, label: "MG Road Metro Station", address: "Mahatma Gandhi Road, Bengaluru" };

export function Composer({ patient }) {
  const [text, setText] = useState("");
  const [menu, setMenu] = useState(false);
  const input = useRef(null);
  const off = connection.value !== "live";
  const quoted = things.message.all.get(answering.value);
  const [write] = useAction(async (message) => {
    setMenu(false);
    const reply = quoted?.patient === patient.address ? { reply_to: quoted.sid } : {};
    answering.value = null;
    await ask("inbound", { from: patient.address, ...reply, ...message });
  });
  const submit = (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    write({ body: text });
    setText("");
    input.current.focus();
  };
  const keys = (event) => {
    if (event.key !== "Escape" || !menu) return;
    event.stopPropagation(); // it closes the menu, and nothing behind it
    setMenu(false);
    event.currentTarget.querySelector("[aria-expanded]").focus();
  };
  return html`<form class="composer" onSubmit=${submit} onKeyDown=${keys} aria-label="Write as the patient">
    ${quoted?.patient === patient.address && html`<div class="answering"><span lang=${langOf(snippet(quoted))}>${snippet(quoted)}</span><${IconButton} icon="close" size=${15} label="Do not answer this message" onClick=${() => (answering.value = null)} /></div>`}
    <div class="composer-row">
      <${IconButton} icon="attach" label="Attach" aria-expanded=${menu} onClick=${() => setMenu(!menu)} disabled=${off} />
      <input id="as-patient" ref=${input} value=${text} onInput=${(event) => setText(event.target.value)} disabled=${off} maxlength="4096"
        placeholder=${off ? "Reconnecting …" : `Message, as ${patient.profile_name || "the patient"}`} aria-label="Message, as the patient" autocomplete="off" dir="auto" />
      <button class="send" aria-label="Send as the patient" disabled=${off || !text.trim()}><${Icon} name="send" /></button>
    </div>
    ${menu && html`<div class="attach-menu">
      <button type="button" onClick=${() => write({ sample: "picture" })}><${Icon} name="picture" /> Picture</button>
      <button type="button" onClick=${() => write({ sample: "voice" })}><${Icon} name="mic" /> Voice note</button>
      <button type="button" onClick=${() => write({ location: CLINIC })}><${Icon} name="pin" /> Location</button>
      <button type="button" onClick=${() => write({ contact: { name: "Meera (sister)", phone: "+919800011122" } })}><${Icon} name="doc" /> Contact</button>
      <button type="button" onClick=${() => write({ flow: ANSWERS })}><${Icon} name="list" /> Filled form</button>
      ${quoted?.patient === patient.address && html`<button type="button" onClick=${() => write({ reaction: "👍" })}><${Icon} name="reply" /> Reaction 👍</button>`}
    </div>`}
  </form>`;
}
