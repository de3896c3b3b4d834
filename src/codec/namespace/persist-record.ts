/**
 * Persist records: a content that is kept here and that its store is still to get (write type ASYNC_THROUGH). One for each file whose
 * content is pending; written in the transaction that makes the content visible, gone in the one that says that the store has it.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {readContent, writeContent} from '#codec/namespace/content.ts';
import type {Content, PersistState} from '#model/content.ts';

/**
 * What the store has at the key as far as is known, which an upload is conditional on: nothing, a version, or (`unknown`) whatever was there
 * before `since`; `any` when a person has said that it may be overwritten.
 */
export type StoreBase = 'absent' | 'unknown' | 'any' | {readonly fingerprint: string};

/** A content that was sent and of which nobody knows whether it has arrived: what the store has then is no change by others. */
export interface Attempt {
  readonly content: ContentId;
  readonly length: number;
  readonly etag: string;
}

export interface Persist {
  /** The file. */
  readonly id: InodeId;
  readonly content: ContentId;
  readonly mount: MountId;
  readonly state: PersistState;
  readonly base: StoreBase;
  /** Wall ms at which the content was written. */
  readonly since: number;
  /** Uploads that failed. */
  readonly failures: number;
  readonly lastError?: string;
  /** At most `attemptsMax`, the oldest first. */
  readonly attempts: readonly Attempt[];
  /** The content's bytes may still be lost with the power: then the file has this one, which lasts. */
  readonly before?: Content;
}

export const attemptsMax = 4;

const version = 1;
const conflictFlag = 1;
const errorFlag = 2;
const beforeFlag = 4;
const knownFlags = 7;
/** Numbers are stored: append only. */
const bases = ['absent', 'unknown', 'any', 'fingerprint'] as const;
const noKey = '' as ByteString;
const out = new BinaryWriter();
const reader = new BinaryReader('persist');

export function encodePersist({content, mount, state, base, since, failures, lastError, attempts, before}: Persist): Uint8Array {
  out.byte(version);
  out.byte((state === 'conflict' ? conflictFlag : 0) | (lastError === undefined ? 0 : errorFlag) | (before ? beforeFlag : 0));
  out.number(content);
  out.number(mount);
  out.byte(bases.indexOf(typeof base === 'string' ? base : 'fingerprint'));
  if (typeof base !== 'string') out.text(base.fingerprint);
  out.number(since);
  out.number(failures);
  if (lastError !== undefined) out.text(lastError);
  out.number(attempts.length);
  for (const attempt of attempts) {
    out.number(attempt.content);
    out.number(attempt.length);
    out.text(attempt.etag);
  }
  if (before) writeContent(out, before, noKey, 0n);
  return out.take();
}

/** Throws Corrupt. */
export function decodePersist(id: InodeId, record: Uint8Array): Persist {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~knownFlags) throw reader.corrupt(`unknown flags ${flags}`);
  const content = reader.number() as ContentId;
  const mount = reader.number() as MountId;
  const kind = bases[reader.byte()];
  if (kind === undefined) throw reader.corrupt('unknown base');
  const base = kind === 'fingerprint' ? {fingerprint: reader.text()} : kind;
  const since = reader.number();
  const failures = reader.number();
  const lastError = flags & errorFlag ? {lastError: reader.text()} : {};
  const count = reader.number();
  if (count > attemptsMax) throw reader.corrupt(`${count} attempts`);
  const attempts: Attempt[] = [];
  for (let i = 0; i < count; i++) attempts.push({content: reader.number() as ContentId, length: reader.number(), etag: reader.text()});
  const before = flags & beforeFlag ? {before: readContent(reader, noKey, 0n)} : {};
  reader.end();
  return {id, content, mount, state: flags & conflictFlag ? 'conflict' : 'pending', base, since, failures, ...lastError, attempts, ...before};
}
