/**
 * What the engine says of a restore, under a key that backups leave out: that one has begun and not ended (then nothing in the engine is
 * to be believed), or with which transaction a restored state begins (then, and only until the next batch, it needs no change log).
 */
import type {ByteString} from '#base/byte-string.ts';
import type {Mutation} from '#codec/journal/record.ts';
import type {StateEngine} from '#metastore/engine.ts';

const markKey = '\0b' as ByteString;
const markBytes = 9;

export interface RestoreMark {
  readonly finished: boolean;
  /** Of the restored state. */
  readonly sequence: number;
}

export function restoreMark({finished, sequence}: RestoreMark): Mutation {
  const value = Buffer.alloc(markBytes);
  value[0] = finished ? 1 : 0;
  value.writeBigUInt64LE(BigInt(sequence), 1);
  return {key: markKey, value};
}

export function readRestoreMark(engine: Pick<StateEngine, 'get'>): RestoreMark | undefined {
  const bytes = engine.get(markKey);
  if (!bytes) return undefined;
  const value = Buffer.from(bytes);
  // A mark that cannot be read vouches for nothing.
  if (value.length !== markBytes) return {finished: false, sequence: 0};
  return {finished: value[0] === 1, sequence: Number(value.readBigUInt64LE(1))};
}
