/**
 * The segment files of the change log: made, found, and read back after a crash.
 *
 * Files: `NNNNNNNNNNNNNNNN.log`, sixteen hexadecimal digits of the first sequence; format in codec/journal/record.ts. A torn end of the last one
 * is mended; zeros behind the last record are room that a life has left; whatever else is damaged is Corrupt.
 */
import {WeirError} from '#base/errors.ts';
import {decodeRecord, decodeSegmentHeader, encodeSegmentHeader, recordHeaderBytes, segmentHeaderBytes} from '#codec/journal/record.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface Segment {
  readonly firstSequence: number;
  readonly path: string;
}

type SegmentMachine = Pick<Runtime, 'disk' | 'crashPoint' | 'log'>;

const segmentName = (firstSequence: number) => `${firstSequence.toString(16).padStart(16, '0')}.log`;

/** Those in the directory, in order. */
export async function listSegments(disk: Disk, directory: string): Promise<Segment[]> {
  const names = (await disk.readDirectory(directory)).filter((name) => /^[0-9a-f]{16}[.]log$/.test(name)).sort();
  return names.map((name) => ({firstSequence: Number.parseInt(name.slice(0, 16), 16), path: `${directory}/${name}`}));
}

/** A new segment, with its header and its name synced. */
export async function makeSegment(machine: SegmentMachine, directory: string, firstSequence: number): Promise<{segment: Segment; file: DiskFile}> {
  const {disk, crashPoint} = machine;
  const path = `${directory}/${segmentName(firstSequence)}`;
  crashPoint('journal.beforeMake');
  const file = await disk.open(path, {mode: 'exclusive'});
  try {
    await file.write([encodeSegmentHeader(firstSequence)], 0);
    await file.datasync();
    await disk.syncDirectory(directory);
  } catch (error) {
    await file.close();
    throw error;
  }
  crashPoint('journal.afterMake');
  return {segment: {firstSequence, path}, file};
}

/** Reads one segment, mends its torn end if it is the last, and says where its records end, how long it is, and which record comes next. Zeros behind the last record are room for more. */
export async function readSegment(
  machine: SegmentMachine,
  segment: Segment,
  last: boolean,
  onRecord: (sequence: number, payload: Buffer) => void,
): Promise<{bytes: number; size: number; nextSequence: number}> {
  await using file = await machine.disk.open(segment.path, {mode: last ? 'write' : 'read'});
  const {size} = await file.stat();
  const bytes = Buffer.allocUnsafe(size);
  await file.read(bytes, 0);
  const first = decodeSegmentHeader(bytes);
  if (first === undefined || first !== segment.firstSequence) {
    // The header is synced before the first record is written: only the last segment, with nothing in it, may lack one.
    if (last && size <= segmentHeaderBytes) return {bytes: 0, size, nextSequence: segment.firstSequence};
    throw new WeirError('Corrupt', `${segment.path} does not begin as a segment of the change log`);
  }
  let at = segmentHeaderBytes;
  let next = first;
  while (at < size) {
    const record = decodeRecord(bytes, at);
    if (record === undefined || record === 'short' || record.sequence !== next) break;
    onRecord(record.sequence, record.payload);
    next = record.sequence + 1;
    at = record.end;
  }
  if (isZero(bytes, at)) return {bytes: at, size, nextSequence: next};
  if (!last || isCalledDurable(bytes, at, next)) {
    throw new WeirError('Corrupt', `${segment.path} is damaged at byte ${at}: record ${next} was durable and cannot be read`);
  }
  machine.log.warn('the change log had a torn end', {file: segment.path, bytes: size - at, nextSequence: next});
  await file.truncate(at);
  return {bytes: at, size: at, nextSequence: next};
}

const zeros = Buffer.alloc(4096);

function isZero(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at += zeros.length) {
    const end = Math.min(bytes.length, at + zeros.length);
    if (bytes.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

/** Whether a valid record behind the damage says that record `sequence` had been synced. */
function isCalledDurable(bytes: Buffer, damage: number, sequence: number): boolean {
  for (let at = damage + 1; at + recordHeaderBytes <= bytes.length; at++) {
    // Cheap tests first: a plausible number, near the one that is missing.
    if (bytes.readUInt32LE(at + 12) > 0x1f_ffff) continue;
    const candidate = bytes.readUInt32LE(at + 8) + bytes.readUInt32LE(at + 12) * 0x1_0000_0000;
    if (candidate <= sequence || candidate > sequence + bytes.length) continue;
    const record = decodeRecord(bytes, at);
    if (record !== undefined && record !== 'short' && record.durable >= sequence) return true;
  }
  return false;
}
