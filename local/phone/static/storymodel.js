// A message's story as numbers: its steps by lane, and an axis on which idle time is a break of fixed width.
// Nothing is drawn here.

import { words } from "./format.js";

export const LANES = [
  ["command", "Caller"], ["queue", "Queue"], ["lambda", "Lambda"], ["twilio", "Twilio"], ["phone", "Phone"], ["bus", "Event bus"],
];
export const LANE_NAMES = Object.fromEntries(LANES);

const BREAK_PX = 76;
const LEAST_BREAK_MS = 1000;
const LEAST_CLUSTER_PX = 34;

/** The steps of one message. */
export function stepsOf(steps, messageId, sid) {
  const own = steps.filter((step) => (messageId && step.message_id === messageId) || (sid && step.sid === sid));
  return own.sort((a, b) => a.at - b.at || (a.end ?? Infinity) - (b.end ?? Infinity));
}

/** Stretches of time in which somebody worked on it; waiting is not work. */
function busyStretches(steps, now) {
  const spans = steps
    .filter((step) => step.state !== "wait" || step.lane !== "queue")
    .map((step) => [step.at, step.end ?? now])
    .sort((a, b) => a[0] - b[0]);
  const merged = [];
  for (const [from, to] of spans) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/**
 * The axis: a function from time to px, and the breaks in it.
 *
 * Only the axis is compressed, never a length: a break says how long it stands for. With `linear` there are none.
 */
export function axisOf(steps, now, width, linear = false) {
  const from = Math.min(...steps.map((step) => step.at));
  const to = Math.max(from + 1, ...steps.map((step) => step.end ?? now));
  const straight = { x: (at) => ((at - from) / (to - from)) * width, breaks: [], from, to };
  if (linear || width <= 0) return straight;
  const stretches = busyStretches(steps, now);
  if (stretches.at(-1)[1] < to) stretches.push([to, to]); // it waits still
  const worked = stretches.reduce((sum, [start, end]) => sum + end - start, 0);
  const least = Math.max(LEAST_BREAK_MS, worked * 0.6);
  const clusters = [];
  for (const [start, end] of stretches) {
    const last = clusters.at(-1);
    if (last && start - last.to <= least) last.to = end;
    else clusters.push({ from: start, to: end });
  }
  if (clusters.length === 1 && clusters[0].from === from) return straight;
  return broken(clusters, from, to, width);
}

function broken(clusters, from, to, width) {
  const breakPx = Math.min(BREAK_PX, Math.max(64, width / (clusters.length * 2)));
  const free = Math.max(clusters.length * LEAST_CLUSTER_PX, width - breakPx * (clusters.length - 1));
  const spare = free - clusters.length * LEAST_CLUSTER_PX;
  const total = clusters.reduce((sum, cluster) => sum + cluster.to - cluster.from, 0) || 1;
  let x = 0;
  const breaks = [];
  clusters.forEach((cluster, n) => {
    cluster.x = x;
    cluster.px = LEAST_CLUSTER_PX + (spare * (cluster.to - cluster.from)) / total;
    x += cluster.px;
    if (n < clusters.length - 1) {
      breaks.push({ x, px: breakPx, ms: clusters[n + 1].from - cluster.to });
      x += breakPx;
    }
  });
  const place = (at) => {
    const next = clusters.findIndex((cluster) => at <= cluster.to);
    const cluster = clusters[next === -1 ? clusters.length - 1 : next];
    if (at >= cluster.from) return cluster.x + (cluster.px * Math.min(1, (at - cluster.from) / Math.max(1, cluster.to - cluster.from)));
    const before = clusters[next - 1]; // inside a break
    if (!before) return 0;
    const end = before.x + before.px;
    return end + ((at - before.to) / (cluster.from - before.to)) * (cluster.x - end);
  };
  return { x: place, breaks, from, to };
}

/** Steps of a lane side by side: each goes to the first row where it does not cover another. */
export function rowsOf(bars) {
  const rows = [];
  for (const bar of bars) {
    let row = rows.findIndex((end) => end <= bar.x);
    if (row === -1) row = rows.push(0) - 1;
    rows[row] = bar.x + bar.px + 2;
    bar.row = row;
  }
  return Math.max(1, rows.length);
}

/** The whole story in one sentence. */
export function headlineOf({ message, record, steps, name, length, clock }) {
  const what = record?.template ?? (message?.direction === "inbound" ? null : "message");
  if (message?.direction === "inbound") return inboundHeadline(message, steps, name, length);
  const reached = new Map((message?.history ?? []).map((entry) => [entry.status, entry.at]));
  const began = steps[0]?.at ?? message?.accepted_at ?? record?.created_at;
  const attempts = record?.attempts ?? 1;
  const parts = [];
  const status = record?.status ?? message?.status;
  if (reached.has("delivered")) parts.push(`delivered in ${length(reached.get("delivered") - began)}`);
  if (attempts > 1) parts.push(`${attempts} attempts`);
  if (reached.has("read")) parts.push(`read after ${length(reached.get("read") - (reached.get("delivered") ?? began))}`);
  if (parts.length === (attempts > 1 ? 1 : 0)) parts.unshift(stillAt(status, record, clock));
  return `${words(what)} to ${name}: ${parts.join(", ")}.`;
}

function stillAt(status, record, clock) {
  const error = record?.error;
  const code = error?.twilio_code ?? error?.code;
  if (status === "deferred") return `deferred until ${clock(record.scheduled_for ?? record.due_at)}`;
  if (status === "retrying") return `to be tried again (${code ?? "no answer"})`;
  if (status === "failed" || status === "undelivered") return `${status} with ${code ?? "no code"}`;
  if (status === "unknown" || status === "unknown_final") return "perhaps sent: nobody can tell yet";
  if (status === "sent") return "accepted by Twilio, not on the phone yet";
  return status ?? "on its way";
}

function did({ params, body }) {
  if (params?.ButtonText) return `tapped “${params.ButtonText}”`;
  if (params?.ListTitle) return `chose “${params.ListTitle}”`;
  if (params?.FlowData) return "filled in a form";
  return params?.MessageType === "reaction" && body ? `reacted ${body}` : "wrote";
}

function inboundHeadline(message, steps, name, length) {
  const heard = steps.find((step) => step.lane === "bus" && step.id.startsWith("bus:"));
  const failed = steps.find((step) => step.lane === "lambda" && step.state === "bad");
  const what = did(message);
  if (heard) return `${name} ${what}: on the event bus in ${length(heard.at - message.accepted_at)}.`;
  return `${name} ${what}: ${failed ? `our webhook failed (${failed.code})` : "not on the event bus yet"}.`;
}
