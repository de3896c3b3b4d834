/** Records of timers: when a task is due, and, where one takes long, how far it has got, so that the next life goes on from there. */
import type {ByteString} from '#base/byte-string.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface Timer {
  /** Wall ms. */
  readonly dueMs: number;
  /** Of a task that has begun. */
  readonly progress?: {
    /** Wall ms: the moment that it speaks of, however long it takes. */
    readonly startedAt: number;
    /** Everything up to this key is done. */
    readonly after?: ByteString;
  };
}

const version = 1;
const startedFlag = 1;
const afterFlag = 2;
const knownFlags = 3;

const out = new BinaryWriter();
const reader = new BinaryReader('timer');

export function encodeTimer({dueMs, progress}: Timer): Uint8Array {
  out.byte(version);
  out.byte((progress ? startedFlag : 0) | (progress?.after === undefined ? 0 : afterFlag));
  out.number(dueMs);
  if (progress) out.number(progress.startedAt);
  if (progress?.after !== undefined) out.byteString(progress.after);
  return out.take();
}

/** Throws Corrupt. */
export function decodeTimer(record: Uint8Array): Timer {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~knownFlags || flags === afterFlag) throw reader.corrupt(`unknown flags ${flags}`);
  const dueMs = reader.number();
  const startedAt = flags & startedFlag ? reader.number() : undefined;
  const after = flags & afterFlag ? reader.byteString() : undefined;
  reader.end();
  return startedAt === undefined ? {dueMs} : {dueMs, progress: {startedAt, ...(after === undefined ? {} : {after})}};
}
