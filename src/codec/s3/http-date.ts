/** Dates of HTTP headers (RFC 9110, 5.6.7): whole seconds, GMT. */

/** `Sat, 21 Nov 2026 10:38:05 GMT`. */
export function httpDate(ns: bigint): string {
  return new Date(Number(ns / 1_000_000_000n) * 1000).toUTCString();
}

/** ISO 8601 with milliseconds, whole seconds like the header beside it: `2026-11-21T10:38:05.000Z`. */
export function xmlDate(ns: bigint): string {
  return `${new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19)}.000Z`;
}

/** Milliseconds since 1970, for all three forms that HTTP knows and ISO 8601; undefined when it is no date. */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 64) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
