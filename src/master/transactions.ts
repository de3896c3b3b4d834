/**
 * How the master speaks to its metastore: synchronous functions, run at once, answered when what they read or wrote is
 * durable, or safe for callers who are content with that. Repeated request ids get the result that was stored with the first.
 */
import {decodeResult, encodeResult} from '#codec/namespace/request-result.ts';
import type {CallContext} from '#contracts/context.ts';
import type {ChangeFeed} from '#master/change-feed.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {IdAllocator} from '#master/namespace/ids.ts';
import type {EventSink, Operation} from '#master/namespace/operation.ts';
import {checkExpected} from '#master/namespace/locate.ts';
import type {Commit, Metastore, Reader, ResultCodec, TransactOptions, Transaction} from '#metastore/metastore.ts';
import type {Clock} from '#runtime/clock.ts';

const safely: TransactOptions = {unhurried: true, awaited: true};
const durably: TransactOptions = {};
const rolledBack = new Error('this transaction was only tried');

export class Transactions {
  readonly ids = new IdAllocator();
  readonly metastore: Metastore;
  /** Where changes tell what happens to objects; undefined while nobody listens. */
  events: EventSink | undefined;
  #rehearsing = false;
  readonly #clock: Clock;
  readonly #feed: ChangeFeed;
  #onCommit: () => void = () => undefined;
  #watch: <T>(tx: Transaction, change: (tx: Transaction) => T) => T = (tx, change) => change(tx);

  constructor(metastore: Metastore, clock: Clock, feed: ChangeFeed) {
    this.metastore = metastore;
    this.#clock = clock;
    this.#feed = feed;
  }

  /** Wall ms, steady (Clock.steadyMs): what is known of stores is compared by it. */
  now(): number {
    return this.#clock.steadyMs();
  }

  /** A moment long enough that what is asked after it is later than what happened before it. */
  async pause(): Promise<void> {
    await this.#clock.sleep(1);
  }

  /** Called after every change; must not throw or wait. */
  onCommit(fn: () => void): void {
    this.#onCommit = fn;
  }

  /** Every change runs within `fn`, which may add to it in the same transaction; who comes later stands around who came before. */
  watch(fn: <T>(tx: Transaction, change: (tx: Transaction) => T) => T): void {
    const inner = this.#watch;
    this.#watch = (tx, change) => fn(tx, watched => inner(watched, change));
  }

  /** What runs now is only tried. */
  get rehearsing(): boolean {
    return this.#rehearsing;
  }

  /** Runs `fn` for the caller and commits at once; the answer comes when it is as lasting as the caller wants it. */
  async change<T>(context: CallContext, fn: (tx: Transaction, op: Operation) => T): Promise<T> {
    const commit = this.changeNow(context, fn);
    await lasting(commit, context);
    return commit.result;
  }

  /** Resolves when everything that was changed before is durable. */
  async sync(): Promise<void> {
    await this.metastore.sync();
  }

  /** The same within a second: before what nothing refers to any more is destroyed, which power loss could make referred to again. */
  async eventually(): Promise<void> {
    await this.metastore.eventually();
  }

  /** Like change, for who must do more in this very turn; `lasting` of the commit is the caller's to await. `carried`: see TransactOptions. */
  changeNow<T>(context: CallContext | undefined, fn: (tx: Transaction, op: Operation) => T, idsMax = 64, carried?: TransactOptions['carried']): Commit<T> {
    let publish = (): void => undefined;
    const commit = this.#commit(context, fn, idsMax, (tx, change) => {
      const noted = this.#feed.noting(tx, context?.origin, change, this.ids.upcoming);
      ({publish} = noted);
      return noted.result;
    }, carried);
    publish();
    this.#onCommit();
    return commit;
  }

  /** Whether it survives the process by now, or can be made to at once. */
  isSafe(commit: Commit<unknown>): boolean {
    // Whoever takes it makes the log write what has not been written.
    void commit.safe;
    return commit.sequence <= this.metastore.safeSequence;
  }

  /**
   * A change on Weir's own account of what is known about files, but of nothing that they show: whoever listens to changes is not told, and
   * keeps what he remembers of them.
   */
  changeUnseen<T>(fn: (tx: Transaction) => T): Commit<T> {
    const commit = this.#commit(undefined, fn, 0, (tx, change) => change(tx));
    this.#onCommit();
    return commit;
  }

  #commit<T>(context: CallContext | undefined, fn: (tx: Transaction, op: Operation) => T, idsMax: number, run: (tx: Transaction, change: (tx: Transaction) => T) => T, carried?: TransactOptions['carried']): Commit<T> {
    this.ids.ensure(this.metastore, idsMax);
    const op: Operation = {
      now: this.#clock.nowNs(), ids: this.ids, ...(context ? {principal: context.principal} : undefined), ...(context?.owner && isUnchecked(context.principal) ? {owner: context.owner} : undefined),
      ...(this.events ? {events: this.events, context} : undefined),
    };
    const request = context?.request && {id: context.request, codec: resultCodec as ResultCodec<T>};
    return this.metastore.transact(tx => {
      checkExpected(tx, context?.expects);
      const result = run(tx, inner => this.#watch(inner, watched => fn(watched, op)));
      if (this.#rehearsing) throw rolledBack;
      return result;
    }, request, carried ? {carried} : context?.moment === 'safe' ? safely : durably);
  }

  /** What a change would answer or refuse, without making it. */
  rehearse<T>({request: _, ...context}: CallContext, fn: (tx: Transaction, op: Operation) => T): T {
    let result: {readonly value: T} | undefined;
    this.#rehearsing = true;
    try {
      this.changeNow(context, (tx, op) => {
        result = {value: fn(tx, op)};
      });
    } catch (error) {
      if (error !== rolledBack) throw error;
    } finally {
      this.#rehearsing = false;
    }
    return result!.value;
  }

  /** A change on Weir's own account, durable when it resolves. `idsMax`: how many new ids it may take. */
  async changeOwn<T>(fn: (tx: Transaction, op: Operation) => T, idsMax?: number): Promise<T> {
    return await answered(this.changeNow(undefined, fn, idsMax));
  }

  /**
   * Takes in what a store said. If power loss takes it back it is asked again, so nobody waits for a disk: a cold read would pay for it. But
   * ids that could be given out twice are waited for. `startedAt`: when the store was asked, wall ms; `unseen`: as in changeUnseen.
   */
  async learn<T>(startedAt: number, fn: (tx: Transaction, op: Operation) => T, idsMax = 64, unseen = false): Promise<T> {
    this.ids.ensure(this.metastore, idsMax);
    const op: Operation = {now: this.#clock.nowNs(), ids: this.ids};
    const relearnable = this.ids.durable;
    let publish = (): void => undefined;
    const commit = this.metastore.transact(tx => {
      const change = (inner: Transaction): T => this.#watch(inner, watched => fn(watched, op));
      if (unseen) return change(tx);
      const noted = this.#feed.noting(tx, undefined, change, this.ids.upcoming);
      ({publish} = noted);
      return noted.result;
    }, undefined, {relearnable});
    publish();
    this.#onCommit();
    // Whoever asks next must ask in a later millisecond than the store was asked here: beliefs are compared by that.
    if (relearnable && this.now() <= startedAt) await this.pause();
    return await answered(commit);
  }

  /** The same where it is enough that it survives the process when it resolves: durable within a second. */
  async changeSafely(fn: (tx: Transaction) => void): Promise<void> {
    await this.metastore.transact(fn, undefined, {unhurried: true}).safe;
  }

  /** A change of rows that are nobody's but Weir's own: nobody watches them (watch, onCommit), and nobody is told. */
  async changeQuietly(fn: (tx: Transaction) => void): Promise<void> {
    await answered(this.metastore.transact(fn));
  }

  /** The same without waiting for anything: it is durable within a second, and may be lost with the power until then. */
  changeLater(fn: (tx: Transaction) => void): void {
    this.metastore.transact(fn, undefined, {unhurried: true}).eventually.catch(() => undefined);
  }

  /** The result of an earlier call with this request id; undefined when it is new. For work that asks a store before it commits. */
  async earlier<T>(context: CallContext): Promise<{readonly result: T} | undefined> {
    if (!context.request) return undefined;
    const isNew = new Error('this request is new');
    try {
      const commit = this.metastore.transact((): T => {
        throw isNew;
      }, {id: context.request, codec: resultCodec as ResultCodec<T>});
      return {result: await answered(commit)};
    } catch (error) {
      if (error === isNew) return undefined;
      throw error;
    }
  }

  /** Reads at once; for deciding, not for answering. */
  peek<T>(fn: (reader: Reader) => T): T {
    return this.metastore.peek(fn);
  }

  /** Answers when what was read is as lasting as the caller wants it. */
  async read<T>(fn: (reader: Reader) => T, context?: Pick<CallContext, 'moment'>): Promise<T> {
    const read = this.metastore.read(fn);
    await lasting(read, context ?? {});
    return read.result;
  }
}

/** Resolves when the change is as lasting as the caller wants it before he is answered. */
export function lasting(commit: Commit<unknown>, {moment}: Pick<CallContext, 'moment'>): Promise<void> {
  return moment === 'safe' ? commit.safe : commit.durable;
}

async function answered<T>(commit: Commit<T>): Promise<T> {
  await commit.durable;
  return commit.result;
}

const resultCodec: ResultCodec<unknown> = {encode: encodeResult, decode: decodeResult};
