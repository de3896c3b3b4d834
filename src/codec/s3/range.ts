/** Range headers as S3 reads them: one range, else none at all. RFC 9110, 14.1.2. */

export type RequestedRange = {readonly offset: number; readonly length?: number} | {readonly suffix: number};

/** Positions may have any number of digits (clients write 2^64-1 for "to the end"); what is beyond any object is all the same. */
const position = (digits: string): number => Math.min(Number(digits), Number.MAX_SAFE_INTEGER - 1);

/** Undefined: the whole object (no range, several ranges, or not a range). */
export function parseRange(header: string | undefined): RequestedRange | undefined {
  if (header === undefined || !header.startsWith('bytes=')) return undefined;
  const dash = header.indexOf('-', 6);
  if (dash < 0) return undefined;
  const first = header.slice(6, dash);
  const last = header.slice(dash + 1);
  if (!/^\d*$/.test(first) || !/^\d*$/.test(last)) return undefined;
  if (first === '') return last === '' ? undefined : {suffix: position(last)};
  const offset = position(first);
  if (last === '') return {offset};
  const end = position(last);
  return end < offset ? undefined : {offset, length: end - offset + 1};
}

/** `x-amz-copy-source-range`: exactly `bytes=a-b`; undefined for anything else. */
export function parseCopyRange(header: string): {readonly offset: number; readonly length: number} | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header);
  if (!match || Number(match[2]) < Number(match[1])) return undefined;
  return {offset: Number(match[1]), length: Number(match[2]) - Number(match[1]) + 1};
}
