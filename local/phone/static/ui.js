// Small parts that every panel uses.

import { h } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import htm from "htm";
import { notice } from "./store.js";

export const html = htm.bind(h);

// 24 × 24, stroked.
const ICONS = {
  alert: "M12 4 2.5 20h19zM12 10v4M12 17h.01",
  attach: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  bus: "M4 12h16M4 12l4-4M4 12l4 4M20 12l-4-4M20 12l-4 4",
  check: "M5 12l5 5 9-10",
  checks: "M2 12l5 5 8-10M11 16l1 1 9-10",
  clock: "M12 3a9 9 0 1 0 .01 0M12 7v5l3 2",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  cross: "M7 7l10 10M17 7 7 17",
  doc: "M6 3h8l4 4v14H6zM14 3v4h4",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 .01 0",
  fault: "M13 2 5 13h6l-1 9 9-12h-7z",
  filter: "M4 5h16l-6 8v6l-4-2v-4z",
  inside: "M4 6h10M4 12h16M8 18h10",
  key: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM6 11a6 6 0 0 0 12 0M12 17v4",
  moon: "M20 14A8 8 0 1 1 10 4a6.5 6.5 0 0 0 10 10z",
  more: "M12 5h.01M12 12h.01M12 19h.01",
  phone: "M7 2h10v20H7zM11 18h2",
  picture: "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 6M15 9h.01",
  pin: "M12 21s-7-6.5-7-11a7 7 0 0 1 14 0c0 4.5-7 11-7 11zM12 8a2.5 2.5 0 1 0 .01 0",
  queue: "M4 7h16M4 12h16M4 17h9",
  reply: "M9 7 4 12l5 5M4 12h10a6 6 0 0 1 6 6",
  run: "M7 4l12 8-12 8z",
  send: "M3 11 21 3l-8 18-2-8z",
  sun: "M12 8a4 4 0 1 0 .01 0M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M19 5l-1.5 1.5M6.5 17.5 5 19",
  template: "M4 4h16v16H4zM4 9h16M9 9v11",
  auto: "M12 3a9 9 0 1 0 .01 0M12 3v18M12 7h5M12 12h8M12 17h5",
};

export const Icon = ({ name, size = 18 }) =>
  html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;

export const IconButton = ({ icon, label, size, ...more }) =>
  html`<button type="button" class="icon-button" aria-label=${label} title=${label} ...${more}><${Icon} name=${icon} size=${size} /></button>`;

/** Copies a text and says so. */
export function Copy({ text, label = "Copy", ...more }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
    setDone(true);
    setTimeout(() => setDone(false), 1200);
  };
  return html`<button type="button" class="quiet" onClick=${copy} ...${more}>
    <${Icon} name=${done ? "check" : "copy"} size=${15} /> ${done ? "Copied" : label}
  </button>`;
}

/** JSON as it is, coloured by what its parts are. Text stays text. */
export function Json({ value, label }) {
  const text = JSON.stringify(value, null, 2) ?? "null";
  const parts = text.split(/("(?:\\.|[^"\\])*"\s*:?|\b(?:true|false|null)\b|-?\d+\.?\d*)/g);
  const kind = (part) => (part.endsWith(":") ? "key" : part.startsWith('"') ? "text" : "value");
  return html`<pre class="code" tabindex="0" aria-label=${label}>${parts.map((part, n) => (n % 2 ? html`<span class=${kind(part)}>${part}</span>` : part))}</pre>`;
}

export const Empty = ({ icon, title, children }) =>
  html`<div class="empty"><${Icon} name=${icon} size=${32} /><h3>${title}</h3><div>${children}</div></div>`;

/** Runs an action, shows that it runs, and says why if it was refused. */
export function useAction(act) {
  const [busy, setBusy] = useState(false);
  const run = async (...given) => {
    setBusy(true);
    try {
      return await act(...given);
    } catch (error) {
      notice.value = error.message;
    } finally {
      setBusy(false);
    }
  };
  return [run, busy];
}

export function ActionButton({ act, children, disabled = false, ...more }) {
  const [run, busy] = useAction(act);
  return html`<button type="button" onClick=${run} disabled=${busy || disabled} ...${more}>${children}</button>`;
}

/** Width of an element in px, as it changes. */
export function useWidth() {
  const element = useRef(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    watch.observe(element.current);
    return () => watch.disconnect();
  }, []);
  return [element, width];
}

/** A dialog that traps the focus, closes on Esc and gives the focus back. */
export function Sheet({ title, onClose, children, class: name = "" }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const before = document.activeElement, shown = dialog.current;
    shown.showModal();
    return () => {
      shown.close(); // while it is open, nothing behind it takes the focus
      before?.focus?.();
    };
  }, []);
  const outside = (event) => event.target === dialog.current && onClose();
  // The browser tells of a close later; a key that comes before it would find the sheet gone and yet open.
  const escaped = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} class="sheet ${name}" aria-label=${title} onCancel=${escaped} onClose=${() => dialog.current && onClose()} onClick=${outside}>
    <header><h2>${title}</h2><${IconButton} icon="close" label="Close" onClick=${onClose} /></header>
    ${children}
  </dialog>`;
}
