// Whether the browser can draw the catalog's scripts: without a font each letter is the same box.

import { signal } from "@preact/signals";

// A word of letters of quite different widths.
const LETTERS = { hi: "इकगझण", ta: "அஇகடண", bn: "অইকঙণ" };

function drawable(letters) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `40px ${getComputedStyle(document.documentElement).fontFamily}`;
  return new Set([...letters].map((letter) => ruler.measureText(letter).width)).size > 1;
}

const HIDDEN = "fontless-hidden";

/** The languages that this browser shows as boxes, until somebody hides that. */
export const fontless = signal(
  localStorage.getItem(HIDDEN) ? [] : Object.keys(LETTERS).filter((language) => !drawable(LETTERS[language])));

export function hideFontless() {
  fontless.value = [];
  localStorage.setItem(HIDDEN, "yes");
}
