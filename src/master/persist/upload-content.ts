/**
 * One attempt to bring a pending content to its store. The upload is conditional on what the store had at the key when the content was
 * written; where the store has no conditions, it is looked at before. What stands there against expectation is no conflict when it is ours
 * (sent by an attempt whose answer was lost), when it has the same bytes, or when it was there before the content was written and nobody
 * had looked. Everything else is left as it is: ContentConflict.
 *
 * Of a content over another version (Content.over) the store makes what was not changed from that version, which it must still have; where it
 * does not, and the cache has not all of it, the content cannot be had any more: a conflict too, which keeps what was written.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {Attempt, Persist, StoreBase} from '#codec/namespace/persist-record.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import {stepBytes} from '#master/persist/giving-way.ts';
import type {Content, ContentBase, ReadableContent} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';
import {decodeRuns, piecesOf} from '#model/own-pages.ts';
import {changedParts} from '#understore/parts/changed-parts.ts';
import {type PartToSend, takesParts, uploadParts} from '#understore/parts/upload-parts.ts';
import type {StoreObject, StoreWrite, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

/** The bytes of a pending content, all or a range, from the cache that has them. */
export type PendingBytes = (content: ReadableContent, signal: AbortSignal, range?: ByteRange) => AsyncIterable<Uint8Array>;

/** The file of this host that has all bytes of such a content, where one has. */
export type PendingLease = (content: ReadableContent) => Promise<FileLease | undefined>;

export interface UploadContent {
  readonly store: UnderStore;
  readonly content: Content;
  readonly persist: Pick<Persist, 'base' | 'attempts' | 'since'>;
  readonly bytes: PendingBytes;
  readonly file: PendingLease;
  /** Of a content that was made of parts: how long each is. */
  readonly parts?: readonly number[] | undefined;
  /** Of the store's calls: not aborted any more after `finishing`. */
  readonly signal: AbortSignal;
  /** Called before the store could make the object visible; may throw. */
  readonly finishing: () => void;
  readonly sent: (bytes: number) => void;
  /** Awaited before each step of a large content; answers how many bytes it may have. */
  readonly turn?: () => Promise<number>;
  /** Notes for the next attempt, durably, what the store will call the object. */
  readonly expected: (etag: string) => Promise<void>;
}

/** The store has something that nobody here knew of, and keeps it. */
export class ContentConflict extends WeirError {
  constructor(message: string) {
    super('Conflict', message);
  }
}

/** Smaller contents cost less by way of memory. */
const fileBytesMin = MiB;
/** Times that an attempt learns what the store has and goes on from there. */
const roundsMax = 4;

export async function uploadContent(work: UploadContent): Promise<StoreObject> {
  let {base} = work.persist;
  let {content} = work;
  for (let round = 1; ; round++) {
    try {
      return await send({...work, content}, base);
    } catch (error) {
      const baseless = content.over !== undefined && isKind(error, 'ContentChanged', 'NotFound');
      if (!baseless && !isKind(error, 'PreconditionFailed')) throw error;
      if (round === roundsMax) throw baseless ? withoutBase(content) : error;
    }
    const judged = await judge({...work, content}, base);
    if ('object' in judged) return judged.object;
    base = judged.base;
    // What was sent before it has arrived: it is over that, too.
    if (judged.over && content.over) content = {...content, over: {own: content.over.own, ...judged.over}};
  }
}

function withoutBase({length}: Content): ContentConflict {
  return new ContentConflict(`the version that the file was made of is gone from the store, and with it what was not changed of its ${length} bytes; what was written is kept here`);
}

/** What the store is to have. */
export function conditionOf(base: StoreBase): StoreWriteRequest['condition'] {
  return base === 'any' ? undefined : typeof base === 'string' ? {ifAbsent: true} : {ifFingerprint: base.fingerprint};
}

async function send(work: UploadContent, base: StoreBase): Promise<StoreObject> {
  const {store, content, signal, finishing, sent} = work;
  const key = content.storeKey;
  let condition = conditionOf(base);
  if (condition && !store.capabilities.conditionalWrite) {
    const there = await statOf(store, key, signal);
    const met = 'ifAbsent' in condition ? !there : there?.fingerprint === condition.ifFingerprint;
    if (!met) throw new WeirError('PreconditionFailed', 'the store has another version');
    condition = undefined;
  }
  const request = {key, metadata: content.metadata, length: content.length, ...(condition ? {condition} : {})};
  const bytes = (range: ByteRange, either: AbortSignal) => work.bytes(content, either, range);
  if (work.parts && takesParts(store, content, work.parts)) return await uploadParts({...work, bytes, request, parts: work.parts.map((length) => ({length}))});
  const changed = content.over && (base === 'any' || (typeof base === 'object' && base.fingerprint === content.over.fingerprint)) ? changedOf(store, content, content.over) : undefined;
  if (changed) {
    try {
      return await uploadParts({...work, bytes, request, parts: changed, source: {key, fingerprint: content.over!.fingerprint}});
    } catch (error) {
      if (!isKind(error, 'Unsupported')) throw error;
      // It says that it can, and cannot: then it gets all of it.
    }
  }
  const write = await store.write(request, {signal});
  try {
    let heldBack: Uint8Array | undefined;
    let length = write.writeFile ? await sendFile(work, write.writeFile) : 0;
    for await (const chunk of work.bytes(content, signal, {offset: length, length: content.length - length})) {
      if (heldBack) await write.write(heldBack);
      heldBack = chunk;
      length += chunk.length;
      sent(length);
    }
    if (length !== content.length) throw new WeirError('Corrupt', `the cache gave ${length} of the ${content.length} bytes that the store is to get`);
    finishing();
    if (heldBack) await write.write(heldBack);
    const object = await write.finish();
    if (object.length !== content.length) throw new WeirError('Io', `the store keeps ${object.length} of ${content.length} bytes that it was given`);
    return object;
  } catch (error) {
    await write.abort().catch(() => undefined);
    throw error;
  }
}

/** To a store that is on this host: the bytes need not pass through this process. Answers how many it took; the others are to be written. */
async function sendFile({content, file, signal, sent, turn}: UploadContent, writeFile: NonNullable<StoreWrite['writeFile']>): Promise<number> {
  const {length} = content;
  using lease = length < fileBytesMin ? undefined : await file(content);
  let taken = 0;
  while (lease && taken < length) {
    const most = (await turn?.()) ?? stepBytes;
    signal.throwIfAborted();
    const step = Math.min(most, length - taken);
    if (!(await writeFile(lease.file, lease.offset + taken, step))) break;
    sent((taken += step));
  }
  return taken;
}

/** Undefined where it goes as a whole. */
function changedOf({capabilities}: UnderStore, {length, storeKey: key}: Content, {own, storeKey = key}: ContentBase): readonly PartToSend[] | undefined {
  if (!capabilities.multipart || !capabilities.copyParts || storeKey !== key) return undefined;
  return changedParts(length, [...piecesOf(decodeRuns(own), 0, length)].filter((piece) => piece.own), capabilities);
}

type Judged = {readonly object: StoreObject} | {readonly base: StoreBase; /** What the store has is this, of which the content was made. */ readonly over?: Omit<ContentBase, 'own'>};

/** What stands in the way: the object itself when it is what was to be uploaded, or what to upload it over. */
async function judge(work: UploadContent, base: StoreBase): Promise<Judged> {
  const {store, content, persist: {attempts, since}, signal} = work;
  // What an earlier attempt has put there in its last moment is taken for done, and its bytes leave the cache.
  const there = await statOf(store, content.storeKey, signal, true);
  // Removed by somebody: nothing is lost by bringing the newer content.
  if (!there) return {base: 'absent'};
  if (isSame(content, there)) return {object: there};
  const sent = attempts.find((attempt) => attempt.content === content.id);
  if (sent && (isSame(sent, there) || (await hasSameBytes(work, content, there)))) return {object: there};
  const expected = {base: {fingerprint: there.fingerprint}};
  if (typeof base !== 'string' && base.fingerprint === there.fingerprint) return expected;
  for (const attempt of attempts) {
    if (attempt.content === content.id) continue;
    const {over: _, ...whole} = content;
    const over = {id: attempt.content, length: there.length, fingerprint: there.fingerprint};
    if (isSame(attempt, there) || (await hasSameBytes(work, {...whole, id: attempt.content, length: attempt.length}, there))) return {...expected, over};
  }
  if (base === 'unknown' && Number(there.modified / 1_000_000n) < since) return expected;
  throw new ContentConflict(`the store has another version (${there.length} bytes, changed ${new Date(Number(there.modified / 1_000_000n)).toISOString()}), which was not overwritten`);
}

/** By the digest that stores call their ETag, where they do: of the bytes, or of those of the parts. */
function isSame({length, etag}: Pick<Attempt, 'length' | 'etag'>, there: StoreObject): boolean {
  return there.length === length && there.etag === etag && /^[0-9a-f]{32}(-\d{1,5})?$/.test(etag);
}

/** Of a content over another version: its own, if it has any. Not the same when the cache has not got them. */
async function hasSameBytes(work: UploadContent, content: ReadableContent, there: StoreObject): Promise<boolean> {
  if (there.length !== content.length) return false;
  if (!content.over) return content.length === 0 || (await isSameRange(work, content, there, {offset: 0, length: content.length}));
  const own = [...piecesOf(decodeRuns(content.over.own), 0, content.length)].filter((piece) => piece.own);
  for (const piece of own) if (!(await isSameRange(work, content, there, piece))) return false;
  return own.length > 0;
}

async function isSameRange({store, bytes, signal}: UploadContent, content: ReadableContent, there: StoreObject, {offset, length}: ByteRange): Promise<boolean> {
  const read = await store.read(content.storeKey, {offset, length, ifFingerprint: there.fingerprint}, {signal});
  const ours = bytes(content, signal, {offset, length})[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let isAbsent = false;
  const next = () => ours.next().catch((error: unknown) => {
    isAbsent = isKind(error, 'ContentChanged');
    throw error;
  });
  try {
    for await (const theirs of read.body) {
      for (let at = 0; at < theirs.length; ) {
        if (rest.length === 0) {
          const more = await next();
          if (more.done === true) return false;
          rest = more.value;
        }
        const count = Math.min(rest.length, theirs.length - at);
        if (Buffer.compare(rest.subarray(0, count), theirs.subarray(at, at + count)) !== 0) return false;
        rest = rest.subarray(count);
        at += count;
      }
    }
    return rest.length === 0;
  } catch (error) {
    // Of a content that was made of a version which is gone.
    if (isAbsent) return false;
    throw error;
  } finally {
    await ours.return?.();
  }
}

export async function statOf(store: UnderStore, key: ByteString, signal: AbortSignal, lasting?: true): Promise<StoreObject | undefined> {
  try {
    const found = await store.stat(key, {signal, ...(lasting ? {lasting} : {})});
    return found?.kind === 'directory' ? undefined : found;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}
