// What an orchestrator in TypeScript gets from the types: requests and events that the compiler checks.
import type { components } from "./whatsapp";

type BusEvent = components["schemas"]["BusEvent"];
type SendRequest = components["schemas"]["SendRequest"];

/** The answer to an event: a request for the send function or the send queue; null: none. */
export function answerTo(event: BusEvent): SendRequest | null {
  if (event["detail-type"] !== "message.received") return null;
  const { detail } = event;
  if (detail.kind === "reaction" || !detail.address) return null;
  const payload = detail.button?.payload ?? detail.choice?.id ?? "";
  return {
    to: detail.address,
    text: payload.endsWith(":confirm") ? "Thank you, your appointment is confirmed." : "Someone will write to you.",
    in_reply_to: detail.message_id,
    idempotency_key: `answer-${detail.event_id}`,
    agent: detail.agent,
    user_id: detail.user_id,
  };
}

export function needsACall(event: BusEvent): boolean {
  return event["detail-type"] === "message.status_changed" && event.detail.status === "failed";
}

// @ts-expect-error a misspelt field
export const misspelt: SendRequest = { to: "+919812345678", texts: "Hello" };
// @ts-expect-error no such status
export const never = (event: components["schemas"]["MessageStatusChanged"]) => event.status === "delivred";
