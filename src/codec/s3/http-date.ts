/** Dates of HTTP headers (RFC 9110, 5.6.7): whole seconds, GMT. */

const secondsOfDay = 86_400;
/** `Sat, 21 Nov 2026`, by days since 1970: Date's own way to text takes longer than all the rest of an answer's head. */
const days = new Map<number, string>();
const daysMax = 10_000;
const twoDigits = Array.from({length: 60}, (_, number) => String(number).padStart(2, '0'));

/** `Sat, 21 Nov 2026 10:38:05 GMT`. */
export function httpDate(ns: bigint): string {
  const seconds = Number(ns / 1_000_000_000n);
  const day = Math.floor(seconds / secondsOfDay);
  let text = days.get(day);
  if (text === undefined) {
    if (days.size >= daysMax) days.clear();
    text = new Date(day * secondsOfDay * 1000).toUTCString().slice(0, -13);
    days.set(day, text);
  }
  const left = seconds - day * secondsOfDay;
  return `${text} ${twoDigits[Math.floor(left / 3600)]}:${twoDigits[Math.floor(left / 60) % 60]}:${twoDigits[left % 60]} GMT`;
}

/** ISO 8601 with milliseconds, whole seconds like the header beside it: `2026-11-21T10:38:05.000Z`. */
export function xmlDate(ns: bigint): string {
  // Keys of a listing were mostly made in the same seconds: to compare costs less than to divide.
  if (ns < secondFrom || ns >= secondTo) {
    const second = ns / 1_000_000_000n;
    lastText = `${new Date(Number(second) * 1000).toISOString().slice(0, 19)}.000Z`;
    secondFrom = second * 1_000_000_000n;
    secondTo = secondFrom + 1_000_000_000n;
  }
  return lastText;
}

/** The second of `lastText`, in ns. */
let secondFrom = 0n;
let secondTo = 0n;
let lastText = '';

/** Milliseconds since 1970, for all three forms that HTTP knows and ISO 8601; undefined when it is no date. */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 64) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
