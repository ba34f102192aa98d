// Times, lengths and names as people read them. Patients and clinic are in India: times are Asia/Kolkata.

const ZONE = { timeZone: "Asia/Kolkata" };
const clockFormat = new Intl.DateTimeFormat("en-IN", { ...ZONE, hour: "2-digit", minute: "2-digit", hour12: false });
const exactFormat = new Intl.DateTimeFormat("en-IN", {
  ...ZONE, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false,
});
const dayFormat = new Intl.DateTimeFormat("en-IN", { ...ZONE, day: "numeric", month: "long", year: "numeric" });
const shortDay = new Intl.DateTimeFormat("en-IN", { ...ZONE, weekday: "short", day: "numeric", month: "short" });

export const DAY = 86_400_000;
export const clock = (ms) => clockFormat.format(ms);
export const exactClock = (ms) => exactFormat.format(ms);
export const dayOf = (ms) => dayFormat.format(ms);

/** The text of a date line: Today, Yesterday, or the day. */
export function dateLine(ms, now) {
  const day = dayOf(ms);
  if (day === dayOf(now)) return "Today";
  return day === dayOf(now - DAY) ? "Yesterday" : day;
}

/** `15:42`, with the day before it unless it is today. */
export function when(ms, now) {
  return dayOf(ms) === dayOf(now) ? clock(ms) : `${shortDay.format(ms)}, ${clock(ms)}`;
}

/** A length of time, in the two largest units: `149 ms`, `9.2 s`, `3 h 45 m`. */
export function length(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const total = Math.round(seconds);
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => total >= size);
  const [name, size] = units[first];
  const [nextName, nextSize] = units[first + 1];
  const rest = Math.floor((total % size) / nextSize);
  return `${Math.floor(total / size)} ${name}${rest ? ` ${rest} ${nextName}` : ""}`;
}

const SCRIPTS = [[/\p{Script=Devanagari}/u, "hi"], [/\p{Script=Tamil}/u, "ta"], [/\p{Script=Bengali}/u, "bn"]];

/** The language of a text, by its script, for fonts and screen readers; English otherwise. */
export const langOf = (text) => SCRIPTS.find(([script]) => script.test(text ?? ""))?.[1] ?? "en";

const LANGUAGES = { en: "English", hi: "Hindi", ta: "Tamil", bn: "Bengali" };

/** `bn` -> `Bengali`. */
export const languageName = (language) => LANGUAGES[language] ?? language;

/** `session_reminder` -> `Session reminder`. */
export function words(name) {
  const text = String(name ?? "").replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const firstName = (patient) => (patient?.profile_name || patient?.address || "").split(" ")[0];

export const initials = (patient) =>
  (patient.profile_name || patient.address.slice(-2)).split(" ").slice(0, 2).map((part) => [...part][0]).join("");

/** A stable colour per patient: one of eight hues. */
export function hueOf(address) {
  let sum = 0;
  for (const letter of address) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return sum % 8;
}
