// The catalog's files while somebody words them: every language as a bubble, what is wrong beside it. Saving redraws it.

import { styled } from "./bubble.js";
import { languageName, langOf, words } from "./format.js";
import { status } from "./store.js";
import { Empty, html, Icon } from "./ui.js";

export function Wording() {
  const found = status("wording");
  if (!found) return html`<${Empty} icon="template" title="Reading the catalog …"><//>`;
  return html`<p class="dim wording-where">The files in <code>${found.directory}</code>, as they are saved now. Twilio hears of them with “Sync the catalog”.</p>
    ${found.files.map((file) => html`<section class="wording" key=${file.name} aria-label=${words(file.name)}>
      <h3>${words(file.name)} <small class="dim">${file.file}</small>
        <span class="tag ${file.problems.length ? "bad" : "ok"}">${file.problems.length || "no"} ${file.problems.length === 1 ? "problem" : "problems"}</span></h3>
      <div class="wording-languages">
        ${file.problems.length > 0 && html`<ul class="wording-problems">${file.problems.map((each) => html`<li key=${`${each.line} ${each.rule}`}>
          <${Icon} name="alert" size=${15} /> <span><b>Line ${each.line}:</b> ${each.rule}. ${each.remedy}.</span></li>`)}</ul>`}
        ${Object.entries(file.wordings).map(([language, wording]) => html`<figure key=${language}>
          <figcaption class="dim">${languageName(language)}</figcaption>
          <div class="bubble in"><p class="text" lang=${langOf(wording.text)} dir="auto">${styled(wording.text)}</p>
            ${wording.buttons.length > 0 && html`<div class="bubble-buttons">${wording.buttons.map((title) => html`<span class="bubble-button"><${Icon} name="reply" size=${15} /> ${title}</span>`)}</div>`}</div>
        </figure>`)}
      </div>
    </section>`)}`;
}
