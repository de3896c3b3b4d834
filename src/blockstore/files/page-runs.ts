/** Runs of pages: of buffers, of what is present, and as records of the log. */
import {blockPages, type LargeContent} from '#blockstore/files/large-content.ts';
import {type LogRecord, recordPagesMax} from '#codec/block/log-record.ts';

/** `length` bytes from `start` of what the buffers hold one after the other. */
export function slice(buffers: readonly Uint8Array[], start: number, length: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let [skip, rest] = [start, length];
  for (const buffer of buffers) {
    const part = buffer.subarray(skip, skip + rest);
    skip = Math.max(0, skip - buffer.length);
    if (part.length > 0) found.push(part);
    rest -= part.length;
    if (rest === 0) break;
  }
  return found;
}

/** Runs of present (or absent) pages within [first, last]. */
export function runs(content: Pick<LargeContent, 'has'>, first: number, last: number, present: boolean): [first: number, count: number][] {
  const found: [number, number][] = [];
  for (let page = first; page <= last; page++) {
    if (content.has(page) !== present) continue;
    const run = found.at(-1);
    if (run && run[0] + run[1] === page) run[1]++;
    else found.push([page, 1]);
  }
  return found;
}

/** Of a block as it is on the disk, leaving or not. */
export function* blockRecords(content: LargeContent, number: number): Generator<LogRecord> {
  const block = content.blocks[number];
  if (!block || block.bytes === 0) return;
  const present = {has: (page: number) => block.present[page % blockPages] === 1};
  const first = number * blockPages;
  for (const [start, count] of runs(present, first, first + block.present.length - 1, true)) yield* pagesRecords(content, start, start + count - 1);
}

export function* pagesRecords(content: LargeContent, first: number, last: number): Generator<LogRecord> {
  for (let start = first; start <= last; start += recordPagesMax) {
    const count = Math.min(recordPagesMax, last - start + 1);
    const checksums = Uint32Array.from({length: count}, (_, i) => content.blockOf(start + i)!.checksums[(start + i) % blockPages]!);
    yield {kind: 'pages', id: content.id, length: content.length, file: content.number, first: start, checksums};
  }
}
