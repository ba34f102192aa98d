// The page: patients and phone on the left, what happens inside on the right.

import { render } from "preact";
import { computed, effect } from "@preact/signals";
import { Compose, quickSend } from "./compose.js";
import { Events } from "./events.js";
import { fontless, hideFontless } from "./fonts.js";
import { exactClock, languageName } from "./format.js";
import { Health } from "./health.js";
import { enabled, help, KEYS, listen, switchKeys } from "./keys.js";
import { Patients } from "./patients.js";
import { Phone } from "./phone.js";
import { Alerts, FaultBanner, Faults, Queue } from "./plumbing.js";
import { at, connect, connection, down, faults, followVisibility, heardAt, notice, onPhone, rememberInUrl, rememberTheme, status, theme, things } from "./store.js";
import { Story } from "./story.js";
import { Templates } from "./templates.js";
import { html, Icon, IconButton, Sheet } from "./ui.js";

const TABS = [
  ["story", "Story", Story], ["events", "Events", Events], ["templates", "Templates", Templates],
  ["queue", "Queue", Queue], ["alerts", "Alerts", Alerts], ["faults", "Faults", Faults],
];
const counts = computed(() => ({
  templates: things.template.list.filter((template) => template.approval.status === "pending").length,
  queue: status("queue")?.dead ?? 0,
  alerts: things.alert.all.size,
  faults: faults.value.length,
}));

function App() {
  const tab = TABS.some(([name]) => name === at.tab.value) ? at.tab.value : "story";
  const Panel = TABS.find(([name]) => name === tab)[2];
  const place = narrowPlace.value;
  return html`<div class="page" data-place=${place} data-connection=${connection.value}>
    <${Top} />
    <div class="banners"><${Lost} /><${Fontless} /><${FaultBanner} /></div>
    <main class="columns">
      <${Patients} />
      <${Phone} />
      <section class="inside" aria-label="Inside" data-region tabindex="-1">
        <div class="tabs" role="tablist" aria-label="Inside" onKeyDown=${tabKeys}>${TABS.map(([name, label]) => html`<button type="button" role="tab" id="tab-${name}" key=${name}
          aria-selected=${tab === name} aria-controls="panel" tabindex=${tab === name ? 0 : -1} onClick=${() => (at.tab.value = name)}>${label}${counts.value[name] ? html`<span class="count">${counts.value[name]}</span>` : ""}</button>`)}</div>
        <div id="panel" class="panel" role="tabpanel" aria-labelledby="tab-${tab}" tabindex="-1"><${Panel} /></div>
        <${Compose} />
      </section>
    </main>
    <${Bottom} />
    <div class="notice" role="status" aria-live="polite">${notice.value && html`<p>${notice.value} <${IconButton} icon="close" size=${15} label="Close" onClick=${() => (notice.value = "")} /></p>`}</div>
    ${help.value && html`<${Help} />`}
  </div>`;
}

function tabKeys(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const names = TABS.map(([name]) => name);
  at.tab.value = names[(names.indexOf(at.tab.value) + step + names.length) % names.length];
  requestAnimationFrame(() => document.getElementById(`tab-${at.tab.value}`)?.focus());
}

const THEMES = { auto: "light", light: "dark", dark: "auto" };
const THEME_ICON = { auto: "auto", light: "sun", dark: "moon" };

const CONNECTION = { opening: "Opening the stream", live: "The stream is open, and the stack answers",
  lost: "The page's server does not answer", dead: "The stack has ended" };

function Top() {
  return html`<header class="top">
    <h1><img src="/static/icon.svg" alt="" width="22" height="22" /> WhatsApp <small>local</small></h1>
    <${Health} />
    <span class="live ${connection.value}" title=${CONNECTION[connection.value]}><i />${connection.value}</span>
    <${IconButton} icon=${THEME_ICON[theme.value]} label=${`Theme: ${theme.value}`} onClick=${() => (theme.value = THEMES[theme.value])} />
    <${IconButton} icon="key" label="Keys" onClick=${() => (help.value = true)} />
  </header>`;
}

function Lost() {
  const ended = status("ended");
  if (ended) return html`<div class="banner bad" role="alert"><${Icon} name="alert" /><span><b>The stack has ended</b> · ${ended.reason} <code>make run</code> starts a new one.</span></div>`;
  if (connection.value === "dead") {
    const what = down.value.join(" and ");
    return html`<div class="banner bad" role="alert"><${Icon} name="alert" /><span><b>${what.charAt(0).toUpperCase()}${what.slice(1)} ${down.value.length > 1 ? "have" : "has"} ended</b> · at ${exactClock(status("pulse").since).slice(0, 8)}. Nothing can be sent: end <code>make run</code> with Ctrl-C, and start it again.</span></div>`;
  }
  if (connection.value !== "lost") return null;
  return html`<div class="banner bad" role="alert"><${Icon} name="alert" /><span><b>Reconnecting</b> · last event ${exactClock(heardAt.value).slice(0, 8)}. What you see is from then; sending is off.</span></div>`;
}

function Fontless() {
  if (fontless.value.length === 0) return null;
  return html`<div class="banner note" role="status"><${Icon} name="alert" /><span><b>No font for ${fontless.value.map(languageName).join(", ")}:</b> this browser draws boxes. On Debian and Ubuntu <code>apt-get install fonts-noto-core</code> brings one.</span>
    <${IconButton} icon="close" size=${15} label="Hide" onClick=${hideFontless} /></div>`;
}

const PLACES = [["phone", "Phone", "phone"], ["story", "Story", "inside"], ["events", "Events", "bus"], ["more", "More", "more"]];
const wantedPlace = computed(() => (["story", "events"].includes(at.tab.value) ? at.tab.value : "more"));
const narrowPlace = computed(() => (onPhone.value ? "phone" : wantedPlace.value));

function Bottom() {
  const go = (place) => {
    onPhone.value = place === "phone";
    if (place === "more" && wantedPlace.value !== "more") at.tab.value = "templates";
    if (place === "story" || place === "events") at.tab.value = place;
  };
  return html`<nav class="bottom" aria-label="Places">${PLACES.map(([place, label, icon]) => html`<button type="button" key=${place}
    aria-current=${narrowPlace.value === place ? "page" : null} onClick=${() => go(place)}><${Icon} name=${icon} />${label}</button>`)}</nav>`;
}

function Help() {
  return html`<${Sheet} title="Keys" onClose=${() => (help.value = false)}>
    <dl class="keys">${KEYS.map(([keys, what]) => html`<div key=${keys}><dt>${keys.split(/\s+/).map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${what}</dd></div>`)}</dl>
    <label class="switch"><input type="checkbox" role="switch" checked=${enabled.value} onChange=${(event) => switchKeys(event.target.checked)} /><span><b>Single keys</b><small>F6 works always.</small></span></label>
  <//>`;
}

document.addEventListener("quick-send", ({ detail: patient }) => quickSend(patient).catch((error) => (notice.value = error.message)));
effect(() => {
  document.title = `${things.alert.all.size ? `✕${things.alert.all.size} ` : ""}WhatsApp, local`;
});
effect(() => {
  if (!notice.value) return undefined;
  const soon = setTimeout(() => (notice.value = ""), 8000);
  return () => clearTimeout(soon);
});

rememberTheme();
rememberInUrl();
listen();
followVisibility();
connect();
const app = document.getElementById("app");
app.replaceChildren();
render(html`<${App} />`, app);
