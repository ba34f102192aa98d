// The mission's numbers, each with its last five minutes.

import { status } from "./store.js";
import { html } from "./ui.js";

const NUMBERS = [
  ["sent", "Sent", "", "Messages of ours that Twilio accepted"],
  ["delivered", "Delivered", "%", "Of those sent, how many reached the phone"],
  ["read", "Read", "%", "Of those sent, how many were read. A patient without read receipts never counts"],
  ["replied", "Replied", "%", "Of those that start contact, how many the patient answered before the next one. Our own answers do not count"],
  ["deferred", "Deferred", "", "Messages that wait now: for the hour to pass, for the morning, for their time"],
  ["violations", "Violations", "", "Two messages that start contact, to one patient, within the rate limit. Must stay 0", (n) => n > 0],
  ["webhook_ms", "Webhook p95", "ms", "95 of the last 100 webhooks were answered within this time. Twilio gives up after 15 s", (n) => n > 5000],
  ["queue", "Queue", "", "Messages on the send queue, delayed ones too"],
  ["dead", "Dead letters", "", "Messages that were given up, or could not be read: a person looks at them under Queue", (n) => n > 0],
];

export function Health() {
  const health = status("health");
  return html`<dl class="health" aria-label="Health" data-region tabindex="0">${NUMBERS.map(([name, label, unit, meaning, isBad]) => {
    const value = health?.numbers[name] ?? null;
    return html`<div key=${name} class=${isBad?.(value) ? "bad" : ""} title=${meaning}><dt>${label}</dt>
      <dd>${value === null ? "–" : shorten(value)}${value !== null && unit && html`<small>${unit === "%" ? "%" : ` ${unit}`}</small>`}</dd>
      <dd class="spark"><${Sparkline} points=${health?.charts[name] ?? []} /></dd></div>`;
  })}</dl>`;
}

const shorten = (value) => (Number.isInteger(value) ? value.toLocaleString("en-IN") : value.toFixed(value >= 10 ? 0 : 1));

/** The points there are, over the whole width: up to five minutes. */
function Sparkline({ points }) {
  const width = 100, height = 18;
  const low = Math.min(...points), high = Math.max(...points);
  const y = (value) => (high === low ? height - 2 : height - 2 - ((value - low) / (high - low)) * (height - 4));
  const line = points.map((value, n) => `${((n / (points.length - 1)) * width).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return html`<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">${points.length > 1 && html`<polyline points=${line} />`}</svg>`;
}
