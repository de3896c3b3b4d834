/**
 * Tells those who remember answers (mounts, whose kernel does) what has changed. Costs nothing while nobody listens. A change is answered to
 * its caller when every listener has taken it in (`told`), so that what somebody was told is seen everywhere; a listener that takes too
 * long is told that it has lost something, and is not waited for until it asks again.
 */
import {WeirError} from '#base/errors.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {decodeEntry} from '#codec/namespace/entry-record.ts';
import {idOfKey, nameOfEntryKey} from '#codec/namespace/keys.ts';
import type {CallContext} from '#contracts/context.ts';
import type {ChangedRange, Changes, NameChange} from '#contracts/master-api.ts';
import type {Transaction} from '#metastore/metastore.ts';
import {WatchedTransaction} from '#metastore/watched-transaction.ts';
import type {Clock} from '#runtime/clock.ts';

/** Changes that wait for one listener. */
const pendingMax = 20_000;
/** How long a change is held back for a listener. */
const patienceMs = 1_000;
const none = Number.POSITIVE_INFINITY;
const entryLetter = 0x65;
const inodeLetter = 0x69;

interface Listener {
  readonly origin: string;
  inodes: Set<InodeId>;
  names: Map<ByteString, NameChange>;
  written: Map<InodeId, ChangedRange>;
  lost: boolean;
  /** Numbers of the first change that waits, and of the first that it has been handed and not taken in; `none` without. */
  waiting: number;
  inHand: number;
  /** Not waited for, until it has taken in that it lost something. */
  lagging: boolean;
  wake: () => void;
}

export class ChangeFeed {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #listeners = new Set<Listener>();
  readonly #waiting = new Set<() => void>();
  /** Counts what was published. */
  #last = 0;

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /**
   * Runs a change, and remembers what it changed until `publish`. Inodes from the id `upcoming` on are made by it: nobody can remember anything
   * of them, and an answer about one that was just found in a store need not be taken back.
   */
  noting<T>(tx: Transaction, origin: string | undefined, change: (tx: Transaction) => T, upcoming: number): {readonly result: T; readonly publish: () => void} {
    if (!this.#isHeard(origin)) return {result: change(tx), publish: nothing};
    const noted = new NotedTransaction(tx, upcoming);
    const result = change(noted);
    return {result, publish: () => this.#publish(noted, origin)};
  }

  /** By anybody but who makes the change. */
  #isHeard(origin: string | undefined): boolean {
    for (const listener of this.#listeners) if (listener.origin !== origin) return true;
    return false;
  }

  /** When what was published up to now has been taken in; `except`: by all but that one. */
  async told(except?: string): Promise<void> {
    if (this.#listeners.size === 0) return;
    const last = this.#last;
    const open = (): boolean => [...this.#listeners].some(({origin, waiting, inHand, lagging}) => origin !== except && !lagging && Math.min(waiting, inHand) <= last);
    if (!open()) return;
    const {promise, resolve} = Promise.withResolvers<void>();
    const check = (): void => void (open() || resolve());
    this.#waiting.add(check);
    using _patience = this.#clock.after(patienceMs, () => {
      for (const listener of this.#listeners) if (listener.origin !== except && Math.min(listener.waiting, listener.inHand) <= last) this.#lose(listener);
      resolve();
    });
    await promise;
    this.#waiting.delete(check);
  }

  /** MasterApi.watch. Asking for the next item says that the one before was taken in. */
  async *watch(origin: string, {signal}: CallContext): AsyncGenerator<Changes> {
    const listener: Listener = {origin, inodes: new Set(), names: new Map(), written: new Map(), lost: false, waiting: none, inHand: none, lagging: false, wake: nothing};
    const onAbort = (): void => listener.wake();
    signal.addEventListener('abort', onAbort);
    this.#listeners.add(listener);
    try {
      // So that the listener knows from when on it is told.
      yield {inodes: [], names: []};
      for (;;) {
        listener.inHand = none;
        listener.lagging &&= listener.lost;
        for (const check of this.#waiting) check();
        while (listener.waiting === none && !signal.aborted) {
          const {promise, resolve} = Promise.withResolvers<void>();
          listener.wake = resolve;
          await promise;
        }
        if (signal.aborted) throw new WeirError('Cancelled', 'the listener has gone');
        const {inodes, names, written, lost, waiting} = listener;
        Object.assign(listener, {inodes: new Set(), names: new Map(), written: new Map(), lost: false, waiting: none, inHand: waiting});
        const ranges = written.size > 0 ? {written: Array.from(written, ([inode, range]) => ({inode, ...range}))} : {};
        yield {inodes: [...inodes], names: [...names.values()], ...ranges, ...(lost ? {lost} : {})};
      }
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener('abort', onAbort);
      for (const check of this.#waiting) check();
    }
  }

  /** Changes.written, to those listeners. */
  written(inode: InodeId, range: ChangedRange, to: readonly string[]): void {
    this.#last++;
    for (const listener of this.#listeners) {
      if (!to.includes(listener.origin)) continue;
      listener.waiting = Math.min(listener.waiting, this.#last);
      const before = listener.written.get(inode);
      listener.written.set(inode, before ? {from: Math.min(before.from, range.from), to: Math.max(before.to, range.to)} : range);
      if (listener.written.size > pendingMax) this.#lose(listener);
      listener.wake();
    }
  }

  /** Everything may be different from what was answered. */
  lose(): void {
    this.#last++;
    for (const listener of this.#listeners) this.#lose(listener);
  }

  hears(origin: string): boolean {
    return [...this.#listeners].some(listener => listener.origin === origin);
  }

  get count(): number {
    return this.#listeners.size;
  }

  #publish({inodes, names}: NotedTransaction, origin: string | undefined): void {
    if (inodes.size === 0 && names.size === 0) return;
    this.#last++;
    for (const listener of this.#listeners) {
      if (listener.origin === origin) continue;
      listener.waiting = Math.min(listener.waiting, this.#last);
      if (listener.inodes.size + listener.names.size + inodes.size + names.size > pendingMax) this.#lose(listener);
      else {
        for (const id of inodes) listener.inodes.add(id);
        // Of several changes to one name, what it led to at first is what the listener may remember.
        for (const [key, change] of names) if (!listener.names.has(key)) listener.names.set(key, change);
      }
      listener.wake();
    }
  }

  #lose(listener: Listener): void {
    listener.lost = true;
    listener.lagging = true;
    listener.waiting = Math.min(listener.waiting, this.#last);
    listener.inodes = new Set();
    listener.names = new Map();
    listener.written = new Map();
    listener.wake();
  }
}

class NotedTransaction extends WatchedTransaction {
  readonly inodes = new Set<InodeId>();
  readonly names = new Map<ByteString, NameChange>();
  readonly #upcoming: number;

  constructor(tx: Transaction, upcoming: number) {
    super(tx);
    this.#upcoming = upcoming;
  }

  protected override changing(key: ByteString): void {
    const table = key.charCodeAt(0);
    if (table === inodeLetter) {
      const id = idOfKey(key) as InodeId;
      if (id < this.#upcoming) this.inodes.add(id);
    } else if (table === entryLetter && !this.names.has(key)) {
      const isDirectory = key.endsWith('/');
      const plain = (isDirectory ? key.slice(0, -1) : key) as ByteString;
      // Who looks for a name without saying which kind is shown the directory before the file.
      const before = this.tx.look(key) ?? (isDirectory ? this.tx.look(plain) : undefined);
      this.names.set(key, {directory: idOfKey(key) as InodeId, name: nameOfEntryKey(plain), ...(before ? {was: decodeEntry(before).id} : {})});
    }
  }
}

function nothing(): void {
  // Nobody listens.
}
