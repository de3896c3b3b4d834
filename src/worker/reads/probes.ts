/**
 * First reads of objects of which nothing is known: one ranged request brings metadata and bytes. The answer waits, its body
 * unread, until the master has given the object a content and the read comes back for the bytes; who never comes back has it
 * broken off. Readers that want the same part of one unknown object share a probe.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import {KiB} from '#base/units.ts';
import {pageBytes} from '#blockstore/block-store.ts';
import type {CallContext} from '#contracts/context.ts';
import type {Observation} from '#contracts/master-api.ts';
import type {Probe, ProbeRange} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import type {StoreProvider} from '#understore/store-provider.ts';
import type {StoreObject, StoreRead, StoreReadRequest, UnderStore} from '#understore/under-store.ts';
import type {FlightSource} from '#worker/fills/flight.ts';
import type {LinkEstimate} from '#worker/fills/link-estimate.ts';

/** Answers that wait for their read; the oldest is broken off for a new one. */
const waitingMax = 256;
/** How long an answer waits. */
const claimMs = 10_000;
/** The least that a probe asks of an object's end. */
const suffixBytesMin = 64 * KiB;

interface Entry {
  readonly id: number;
  readonly mount: MountId;
  readonly storeKey: ByteString;
  readonly request: StoreReadRequest;
  readonly abort: AbortController;
  /** Wall ms. */
  readonly startedAt: number;
  readonly answer: Promise<Observation>;
  source?: StoreRead;
  waiters: number;
  answered: boolean;
  expiry?: Disposable;
}

export class Probes {
  readonly #stores: StoreProvider;
  readonly #clock: Clock;
  readonly #link: (mount: MountId) => LinkEstimate;
  readonly #entries = new Map<number, Entry>();
  #lastId = 0;

  constructor(stores: StoreProvider, clock: Clock, link: (mount: MountId) => LinkEstimate) {
    this.#stores = stores;
    this.#clock = clock;
    this.#link = link;
  }

  /** `ageMsMax`: how long ago a probe may have begun that is shared. One that the store is slow to answer may tell of a version that has been replaced since. */
  async probe(mount: MountId, storeKey: ByteString, range: ProbeRange, ageMsMax: number, context: CallContext): Promise<Probe> {
    const entry = this.#shared(mount, storeKey, range, this.#clock.steadyMs() - ageMsMax) ?? this.#start(mount, storeKey, range);
    entry.waiters++;
    const onAbort = Promise.withResolvers<never>();
    const abort = () => onAbort.reject(new WeirError('Cancelled', 'the reader went away', {cause: context.signal.reason}));
    if (context.signal.aborted) abort();
    context.signal.addEventListener('abort', abort, {once: true});
    try {
      return {observation: await Promise.race([entry.answer, onAbort.promise]), probeId: entry.id};
    } finally {
      context.signal.removeEventListener('abort', abort);
      entry.waiters--;
      if (entry.waiters === 0 && !entry.answered) this.#drop(entry);
    }
  }

  /** The waiting answer, if it is of this content. Whoever claims first gets it; it is gone for all others. */
  claim(probeId: number, content: ReadableContent): FlightSource | undefined {
    const entry = this.#entries.get(probeId);
    if (!entry?.source) return undefined;
    if (entry.mount !== content.mount || entry.storeKey !== content.storeKey || entry.source.object.fingerprint !== content.fingerprint) {
      this.#drop(entry);
      return undefined;
    }
    this.#entries.delete(probeId);
    entry.expiry?.[Symbol.dispose]();
    return {read: entry.source, abort: entry.abort};
  }

  get waiting(): number {
    return this.#entries.size;
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#drop(entry);
  }

  /** A probe under way, begun at `since` (Clock.steadyMs) or later, whose bytes include where this read starts. */
  #shared(mount: MountId, storeKey: ByteString, range: ProbeRange, since: number): Entry | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.mount !== mount || entry.storeKey !== storeKey || entry.answered || entry.startedAt < since) continue;
      const start = entry.request.offset ?? 0;
      if ('suffix' in range ? start < 0 && -start >= range.suffix : start >= 0 && range.offset >= start && range.offset < start + (entry.request.length ?? 0)) return entry;
    }
    return undefined;
  }

  #start(mount: MountId, storeKey: ByteString, range: ProbeRange): Entry {
    const store = this.#stores.get(mount);
    if (this.#entries.size >= waitingMax) this.#drop(this.#entries.values().next().value!);
    const request = requestFor(range, this.#link(mount).pieceBytes);
    const abort = new AbortController();
    const answer = Promise.withResolvers<Observation>();
    const entry: Entry = {id: ++this.#lastId, mount, storeKey, request, abort, startedAt: this.#clock.steadyMs(), answer: answer.promise, waiters: 0, answered: false};
    this.#entries.set(entry.id, entry);
    // A probe that all have left has nobody to tell of its failure.
    answer.promise.catch(() => {});
    void this.#ask(store, entry).then(answer.resolve, answer.reject);
    return entry;
  }

  async #ask(store: UnderStore, entry: Entry): Promise<Observation> {
    const {startedAt} = entry;
    try {
      const object = store.capabilities.localFile ? await store.stat(entry.storeKey, {signal: entry.abort.signal}) : await this.#read(store, entry);
      return object === undefined || object.kind !== 'file' ? {startedAt} : {startedAt, object: describe(object)};
    } catch (error) {
      this.#drop(entry);
      throw error;
    } finally {
      entry.answered = true;
      entry.expiry = this.#clock.after(claimMs, () => this.#drop(entry));
      if (!entry.source) this.#drop(entry);
    }
  }

  async #read(store: UnderStore, entry: Entry): Promise<StoreObject | undefined> {
    const sentAt = this.#clock.monotonicMs();
    try {
      entry.source = await store.read(entry.storeKey, entry.request, {signal: entry.abort.signal});
      this.#link(entry.mount).firstByte(this.#clock.monotonicMs() - sentAt);
      if (entry.abort.signal.aborted) this.#drop(entry);
      return entry.source.object;
    } catch (error) {
      if (isKind(error, 'NotFound')) return undefined;
      // The object is shorter than the range, perhaps empty: it is there all the same.
      if (isKind(error, 'RangeNotSatisfiable')) return await store.stat(entry.storeKey, {signal: entry.abort.signal});
      throw error;
    }
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.id);
    entry.expiry?.[Symbol.dispose]();
    entry.abort.abort(new WeirError('Cancelled', 'nobody came for the answer of this probe'));
    const source = entry.source;
    if (!source) return;
    delete entry.source;
    void source.body[Symbol.asyncIterator]().return?.().catch(() => {});
  }
}

function requestFor(range: ProbeRange, pieceBytes: number): StoreReadRequest {
  if ('suffix' in range) return {offset: -Math.min(pieceBytes, Math.max(range.suffix, suffixBytesMin))};
  const offset = Math.floor(range.offset / pageBytes) * pageBytes;
  const wanted = range.length === undefined ? pieceBytes : Math.ceil((range.offset + range.length - offset) / pageBytes) * pageBytes;
  return {offset, length: Math.max(pageBytes, Math.min(wanted, pieceBytes))};
}

function describe(object: StoreObject): NonNullable<Observation['object']> {
  const {length, fingerprint, etag, checksums, modified, mode, uid, gid} = object;
  return {
    length, fingerprint, etag, checksums, modified, metadata: object.metadata ?? {},
    ...(mode === undefined ? {} : {mode}), ...(uid === undefined ? {} : {uid}), ...(gid === undefined ? {} : {gid}),
  };
}
