// Requests to the page's own server. A refusal is an Error whose message is fit to show.

import { connection } from "./store.js";

export async function ask(path, body = {}, method = "POST") {
  // Whoever acts must see what comes of it.
  if (connection.value === "lost") throw new Error("The stream is lost: sending is off until it is back.");
  if (connection.value === "dead") throw new Error("The stack has ended: start it again with `make run`.");
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {
      method,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("The page's server does not answer. Is `make run` still running?");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.error ?? `The server answered ${answer.status}.`);
  return found;
}
