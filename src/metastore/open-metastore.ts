/**
 * The metastore: change log, overlay and state engine together (design 4.1).
 *
 * A transaction runs on the spot, on overlay over engine; its mutations go into the log and the overlay in the same turn, so the next
 * transaction sees them. Behind, what the log calls durable is applied to the engine in synced batches, then leaves the overlay, and the
 * log is cut. The engine never holds what the log could lose.
 */
import {assert} from '#base/assert.ts';
import {type ByteString, fromNumber, fromText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {decodeTransaction, encodeTransaction, transactionBytes} from '#codec/journal/record.ts';
import {ChangeLog} from '#journal/change-log.ts';
import {carriedKey, CarriedRows} from '#metastore/carried-rows.ts';
import {Changes} from '#metastore/changes.ts';
import type {StateEngine} from '#metastore/engine.ts';
import type {Commit, KeyValue, Lasts, Metastore, MetastoreSnapshot, MetastoreStatus, RangeOptions, Reader, RecallKey, RequestId, ResultCodec, TransactOptions, Transaction} from '#metastore/metastore.ts';
import {mergeRanges, type Overlaid, Overlay} from '#metastore/overlay.ts';
import {type IsRecalled, Recollections} from '#metastore/recollections.ts';
import {readRestoreMark} from '#metastore/restore-mark.ts';
import {StoredRequests} from '#metastore/stored-requests.ts';
import {UnhurriedCommit} from '#metastore/unhurried-commit.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** Entries in memory and not yet applied; beyond this transactions are refused (Overloaded) until the engine has caught up. */
export const overlayEntriesMax = 400_000;
/** One batch of the engine; larger ones are not faster, and hold the log longer. */
const batchMutationsMax = 20_000;
/** Waiting a little before each batch makes batches larger and hot keys cheaper, and the engine's thread is woken seldom. */
const applyDelayMs = 50;
/** With so many transactions nothing is waited for: larger batches would hold up who else wants the event loop. */
const applyAtOnce = 512;
/** Results of requests: `\0r` client `\0` counter (8 bytes, big-endian). Other keys do not begin with NUL. */
const requestPrefix = '\0r';
/** So that its keys fit. */
const clientBytesMax = 200;
/** Acknowledged results that one commit forgets, so that no commit pays for a long silence. */
const forgottenPerCommitMax = 32;

export interface MetastoreOptions {
  readonly runtime: Runtime;
  /** For the log; the engine has its own place. */
  readonly directory: string;
  readonly engine: StateEngine;
  /** Rows of which is kept what was found out from them (Reader.keep); absent: of none. */
  readonly recalled?: IsRecalled;
  /** Of the log; for tests that want many. */
  readonly segmentBytes?: number;
}

const settled = Promise.resolve();

const noRequest: RequestId = {client: '', counter: 0, acknowledged: 0};

function requestKey(client: string, counter: number): ByteString {
  return `${requestPrefix}${fromText(client)}\0${fromNumber(counter)}` as ByteString;
}

const counterOf = (key: ByteString): number => Number(Buffer.from(key.slice(-8), 'latin1').readBigUInt64BE());

/** NUL ends the name within the key: with one inside, a client could answer for, and forget, the requests of another. InvalidArgument. */
function checkClient(client: string): void {
  if (client.length > 0 && client.isWellFormed() && !client.includes('\0') && Buffer.byteLength(client) <= clientBytesMax) return;
  throw new WeirError('InvalidArgument', `a client's name has 1 to ${clientBytesMax} bytes of text without NUL`);
}

/** Replays the log over the engine and is ready. Corrupt, also where a restore did not end or the log is gone. The engine stays the caller's when this fails. */
export async function openMetastore(options: MetastoreOptions): Promise<Metastore> {
  return await LoggedMetastore.open(options);
}

class LoggedMetastore implements Metastore {
  readonly #runtime: Runtime;
  readonly #engine: StateEngine;
  readonly #overlay = new Overlay();
  readonly #carried = new CarriedRows();
  readonly #requests = new StoredRequests();
  readonly #recollections: Recollections | undefined;
  #log!: ChangeLog;
  /** Transactions not yet applied, oldest first. */
  #unapplied: {readonly sequence: number; readonly mutations: readonly Overlaid[]}[] = [];
  #applying: Promise<void> | undefined;
  /** Ends the wait before the next batch, for whoever waits for that batch: the timer itself keeps no process alive. */
  #hurried = false;
  /** Ends the wait for the next batch. */
  #wake: () => void = () => undefined;
  /** Taken between two batches, so that one need not wait for the writes to stop. */
  #snapshotsWanted: {readonly target: number; readonly taken: PromiseWithResolvers<MetastoreSnapshot>}[] = [];
  #applyFailure: WeirError | undefined;
  #closed = false;
  /** While a function runs: the newest transaction that it has read of and that is not durable. */
  #observed = 0;
  #running = false;
  /** The moments of transactions that are not durable yet, for readers that depend on them. */
  readonly #moments: {readonly sequence: number; readonly safe: Promise<void>; readonly durable: Promise<void>}[] = [];

  private constructor(options: MetastoreOptions) {
    this.#runtime = options.runtime;
    this.#engine = options.engine;
    this.#recollections = options.recalled && new Recollections(options.recalled);
  }

  static async open(options: MetastoreOptions): Promise<LoggedMetastore> {
    const store = new LoggedMetastore(options);
    const {sequence} = options.engine;
    const mark = readRestoreMark(options.engine);
    if (mark && !mark.finished) throw new WeirError('Corrupt', 'the metadata was being restored from a backup and that did not end; restore again into an empty directory');
    store.#log = await ChangeLog.open(options.runtime, {
      directory: options.directory,
      ...(options.segmentBytes === undefined ? {} : {segmentBytes: options.segmentBytes}),
      after: sequence,
      beginsHere: sequence === 0 || mark?.sequence === sequence,
      onRecord: (sequence, payload) => {
        const {mutations, request} = decodeTransaction(payload);
        // The payload's memory is the segment's: values that stay must be copies.
        const kept = mutations.map(({key, value}): Overlaid => ({key, value: value && Uint8Array.from(value), sequence, waitFor: sequence}));
        if (request) kept.push({key: requestKey(request.client, request.counter), value: Uint8Array.from(request.result), sequence, waitFor: sequence});
        store.#carried.took(kept);
        store.#take(kept, sequence);
      },
    });
    store.#scheduleApply();
    return store;
  }

  transact<T>(fn: (tx: Transaction) => T, request?: {readonly id: RequestId; readonly codec: ResultCodec<T>}, options?: TransactOptions): Commit<T> {
    if (request) checkClient(request.id.client);
    this.#enter();
    try {
      if (request) {
        const stored = request.id.isNew ? undefined : this.#get(requestKey(request.id.client, request.id.counter));
        if (stored) return this.#readCommit(request.codec.decode(stored));
      }
      const changes = new Changes(this.#reader, this.#recollections);
      const result = fn(changes);
      if (changes.size === 0 && !request) return this.#readCommit(result);
      return this.#append(changes, result, request && {id: request.id, result: request.codec.encode(result)}, options);
    } finally {
      this.#running = false;
    }
  }

  read<T>(fn: (reader: Reader) => T): Commit<T> {
    this.#enter();
    try {
      return this.#readCommit(fn(this.#reader));
    } finally {
      this.#running = false;
    }
  }

  /** For the functions that run now. */
  readonly #reader: Reader = {
    get: (key) => this.#get(key), look: (key) => this.#look(key), range: (options) => this.#range(options), recall: (key) => this.#recall(key),
    keep: (key, found) => this.#recollections?.keep(key, found, this.#observed),
  };

  peek<T>(fn: (reader: Reader) => T): T {
    this.#enter();
    try {
      return fn(this.#reader);
    } finally {
      this.#running = false;
    }
  }

  get sequence(): number {
    return this.#log.sequence;
  }

  get safeSequence(): number {
    return this.#log.safeSequence;
  }

  get durableSequence(): number {
    return this.#log.durableSequence;
  }

  async sync(): Promise<void> {
    if (this.#log.failure) throw this.#log.failure;
    if (this.#log.durableSequence >= this.#log.sequence) return;
    this.#log.hurry();
    await this.#moments.at(-1)?.durable;
  }

  async eventually(): Promise<void> {
    if (this.#log.failure) throw this.#log.failure;
    if (this.#log.durableSequence < this.#log.sequence) await this.#moments.at(-1)?.durable;
  }

  async snapshot(): Promise<MetastoreSnapshot> {
    const target = this.#log.sequence;
    // With nothing left to apply no batch is under way, and the engine holds just what its sequence says.
    if (this.#engine.sequence >= target) return this.#engine.snapshot();
    if (this.#log.failure) throw this.#log.failure;
    if (this.#applyFailure) throw this.#applyFailure;
    const taken = Promise.withResolvers<MetastoreSnapshot>();
    this.#snapshotsWanted.push({target, taken});
    this.#scheduleApply();
    this.#hurry();
    return await taken.promise;
  }

  carrier(lasts: Lasts): void {
    this.#carried.carrier(lasts);
  }

  mayCarry(bytes: number): boolean {
    return this.#carried.mayTake(bytes);
  }

  status(): MetastoreStatus {
    return {
      sequence: this.#log.sequence,
      durableSequence: this.#log.durableSequence,
      appliedSequence: this.#engine.sequence,
      logBytes: this.#log.bytes,
      overlayEntries: this.#overlay.size,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Nobody has said so: what was carried is the engine's.
    this.carrier((names) => Promise.resolve(names.map(() => false)));
    try {
      while (this.#unapplied.length > 0 && !this.#applyFailure && !this.#log.failure) await this.#applyNow();
      this.#hurry();
      await this.#applying;
    } finally {
      try {
        await this.#log.close();
      } finally {
        await this.#engine.close();
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #enter(): void {
    assert(!this.#running, 'transactions do not nest');
    if (this.#closed) throw new WeirError('Unavailable', 'the metadata store is closed');
    if (this.#log.failure) throw this.#log.failure;
    if (this.#applyFailure) throw this.#applyFailure;
    if (this.#overlay.size > overlayEntriesMax) throw new WeirError('Overloaded', 'the metadata disk cannot keep up; try again');
    this.#running = true;
    this.#observed = 0;
  }

  #get(key: ByteString): Uint8Array | undefined {
    const overlaid = this.#overlay.get(key);
    return overlaid ? this.#observe(overlaid) : this.#engine.get(key);
  }

  #look(key: ByteString): Uint8Array | undefined {
    const overlaid = this.#overlay.get(key);
    return overlaid ? this.#observe(overlaid) : this.#engine.look(key);
  }

  #recall(key: RecallKey): unknown {
    const kept = this.#recollections?.get(key);
    if (kept && kept.observed > this.#observed) this.#observed = kept.observed;
    return kept?.found;
  }

  #observe(overlaid: Overlaid): Uint8Array | undefined {
    if (overlaid.waitFor > this.#observed) this.#observed = overlaid.waitFor;
    return overlaid.value ?? undefined;
  }

  #range(options: RangeOptions): Iterable<KeyValue> {
    if (this.#overlay.size === 0) return this.#engine.range(options);
    // A limit of the engine's own range would count entries that the overlay hides.
    const {limit: _limit, ...bounds} = options;
    return mergeRanges(this.#overlay.range(bounds), this.#engine.range(bounds)[Symbol.iterator](), options, (entry) => {
      if (entry.waitFor > this.#observed) this.#observed = entry.waitFor;
    });
  }

  #readCommit<T>(result: T): Commit<T> {
    const sequence = this.#observed;
    if (sequence <= this.#log.durableSequence) return {result, sequence, safe: settled, durable: settled, eventually: settled};
    const moment = this.#moments.find((candidate) => candidate.sequence >= sequence);
    assert(moment, 'what is not durable yet has its moments');
    return new UnhurriedCommit(result, sequence, moment, this.#log);
  }

  #append<T>(changes: Changes, result: T, request: {id: RequestId; result: Uint8Array} | undefined, {relearnable = false, unhurried = false, awaited = false, carried}: TransactOptions = {}): Commit<T> {
    const mutations = changes.mutations();
    this.#recollections?.written(mutations);
    const {client, counter, acknowledged} = request?.id ?? noRequest;
    const forgotten = acknowledged > 0 ? this.#forgettable(client, acknowledged) : [];
    for (const old of forgotten) mutations.push({key: requestKey(client, old), value: null, sequence: 0, waitFor: 0});
    if (carried) {
      const row = {key: carriedKey(carried.name), value: carried.bytes, sequence: 0, waitFor: 0};
      mutations.push(row);
      this.#carried.took([row]);
    }
    const record = request ? {mutations, request: {client, counter, acknowledged, result: request.result}} : {mutations};
    const {sequence, safe, durable} = this.#log.append(transactionBytes(record), (buffer, at) => encodeTransaction(record, buffer, at), !unhurried ? 'durable' : awaited ? 'safe' : 'nothing');
    if (request) {
      mutations.push({key: requestKey(client, counter), value: request.result, sequence, waitFor: sequence});
      this.#requests.committed(client, counter, forgotten);
    }
    if (relearnable) this.#takeRelearnable(mutations, sequence);
    else this.#take(mutations, sequence);
    const last = this.#moments.at(-1);
    if (last?.durable !== durable) this.#moments.push({sequence, safe, durable});
    else this.#moments[this.#moments.length - 1] = {sequence, safe, durable};
    while (this.#moments.length > 0 && this.#moments[0]!.sequence <= this.#log.durableSequence) this.#moments.shift();
    this.#scheduleApply();
    if (relearnable) return this.#readCommit(result);
    return unhurried ? new UnhurriedCommit(result, sequence, {safe, durable}, this.#log) : {result, sequence, safe, durable, eventually: durable};
  }

  /** Counters of results that the next commit forgets. */
  #forgettable(client: string, acknowledged: number): readonly number[] {
    const known = this.#requests.forgettable(client, acknowledged, forgottenPerCommitMax);
    if (known) return known;
    const stored = Array.from(this.#range({from: requestKey(client, 0), to: requestKey(client, Number.MAX_SAFE_INTEGER), limit: forgottenPerCommitMax + 1}), ({key}) => counterOf(key));
    if (stored.length <= forgottenPerCommitMax) this.#requests.know(client, stored);
    return stored.filter((counter) => counter <= acknowledged).slice(0, forgottenPerCommitMax);
  }

  #take(mutations: readonly Overlaid[], sequence: number): void {
    for (const mutation of mutations) {
      mutation.sequence = sequence;
      mutation.waitFor = sequence;
      this.#overlay.set(mutation);
    }
    this.#unapplied.push({sequence, mutations});
  }

  /** What is written over something that must last, or was made of it, may be shown no sooner than that. */
  #takeRelearnable(mutations: readonly Overlaid[], sequence: number): void {
    for (const mutation of mutations) {
      mutation.sequence = sequence;
      mutation.waitFor = Math.max(this.#observed, this.#overlay.get(mutation.key)?.waitFor ?? 0);
      this.#overlay.set(mutation);
    }
    this.#unapplied.push({sequence, mutations});
  }

  #scheduleApply(): void {
    if (this.#unapplied.length >= applyAtOnce) this.#wake();
    if (this.#applying || this.#unapplied.length === 0) return;
    this.#applying = (async () => {
      try {
        this.#hurried = false;
        do {
          await this.#delay();
          if (this.#log.failure) break;
          await this.#applyBatch();
        } while (this.#unapplied.length > 0);
      } catch (error) {
        this.#applyFailure ??= new WeirError('Io', `the metadata store cannot be written: ${error instanceof Error ? error.message : String(error)}`, {cause: error});
        this.#runtime.log.error('the metadata store failed; nothing more is accepted', {error});
      } finally {
        this.#applying = undefined;
        for (const {taken} of this.#snapshotsWanted.splice(0)) taken.reject(this.#log.failure ?? this.#applyFailure);
      }
    })();
  }

  /** Until it is time for a batch. */
  async #delay(): Promise<void> {
    if (this.#hurried || this.#unapplied.length >= applyAtOnce) return;
    const {promise, resolve} = Promise.withResolvers<void>();
    this.#wake = resolve;
    using _delay = this.#runtime.clock.after(applyDelayMs, resolve);
    await promise;
  }

  /** What is there is applied at once, and what comes until all is. */
  #hurry(): void {
    this.#hurried = true;
    this.#wake();
  }

  async #applyNow(): Promise<void> {
    if (this.#log.failure) throw this.#log.failure;
    if (this.#applyFailure) throw this.#applyFailure;
    this.#log.hurry();
    this.#scheduleApply();
    this.#hurry();
    await this.#applying;
  }

  async #applyBatch(): Promise<void> {
    // Only what power loss cannot take back may reach the engine.
    const newest = this.#unapplied[Math.min(this.#unapplied.length, batchMutationsMax) - 1]!.sequence;
    if (newest > this.#log.durableSequence) await this.#moments.find((moment) => moment.sequence >= newest)?.durable;
    const durable = this.#log.durableSequence;
    const batch: Overlaid[] = [];
    let count = 0;
    let through = 0;
    for (const {sequence, mutations} of this.#unapplied) {
      if (sequence > durable || batch.length > batchMutationsMax) break;
      for (const mutation of mutations) batch.push(mutation);
      through = sequence;
      count++;
    }
    assert(count > 0, 'there is something durable to apply');
    // Of a key that was changed often, the newest is enough, where it is part of this batch.
    const newestOnly = batch.filter((mutation) => {
      const last = this.#overlay.get(mutation.key)!;
      return last === mutation || last.sequence > through;
    });
    await this.#engine.apply(await this.#carried.rest(newestOnly), through);
    this.#carried.left(batch);
    this.#unapplied.splice(0, count);
    this.#overlay.settle(newestOnly, through);
    this.#takeSnapshots();
    await this.#log.cut(through);
  }

  #takeSnapshots(): void {
    const through = this.#engine.sequence;
    const ready = this.#snapshotsWanted.filter(({target}) => target <= through);
    this.#snapshotsWanted = this.#snapshotsWanted.filter(({target}) => target > through);
    for (const {taken} of ready) taken.resolve(this.#engine.snapshot());
  }
}
