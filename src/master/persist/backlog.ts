/** What is pending, counted: its bound, and who waits for it to shrink or for one file of it. */
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {ContentBase} from '#model/content.ts';
import {decodeRuns, ownBytes} from '#model/own-pages.ts';
import type {Clock} from '#runtime/clock.ts';

export interface BacklogEntry {
  readonly id: InodeId;
  readonly mount: MountId;
  readonly content: ContentId;
  readonly length: number;
  /** Its cache has only what is its own, and needs that version, too. */
  readonly over?: ContentBase | undefined;
  /** Wall ms. */
  readonly since: number;
  /** Contents of this key that were sent and of which it is not known whether the store has got them. */
  readonly sent: Set<ContentId>;
  /** Somebody waits for it. */
  isAwaited: boolean;
  failures: number;
  lastError?: string;
  conflict: boolean;
  /** Of the upload under way. */
  sentBytes: number;
}

export interface BacklogLimits {
  readonly filesMax: number;
  readonly bytesMax: number;
  /** How long a writer waits for room. */
  readonly waitMs: number;
}

export class Backlog {
  readonly #clock: Clock;
  readonly #limits: BacklogLimits;
  readonly #unsent: (content: ContentId) => void;
  readonly #entries = new Map<InodeId, BacklogEntry>();
  readonly #perMount = new Map<MountId, number>();
  readonly #sent = new Set<ContentId>();
  /** Versions that contents are over: of how many. */
  readonly #bases = new Map<ContentId, number>();
  #waiters = new Set<() => void>();
  readonly #watchers = new Map<BacklogEntry, Set<() => void>>();
  bytes = 0;

  /** `unsent`: hears of contents that are not among those sent, or that others are over, any more. */
  constructor(clock: Clock, limits: BacklogLimits, unsent: (content: ContentId) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#unsent = unsent;
  }

  get files(): number {
    return this.#entries.size;
  }

  get ids(): Iterable<InodeId> {
    return this.#entries.keys();
  }

  get conflicts(): number {
    let count = 0;
    for (const {conflict} of this.#entries.values()) if (conflict) count++;
    return count;
  }

  /** Wall ms. Entries stand in the order in which they became pending. */
  get oldestMs(): number | undefined {
    for (const {since} of this.#entries.values()) return since;
    return undefined;
  }

  get(id: InodeId): BacklogEntry | undefined {
    return this.#entries.get(id);
  }

  countOf(mount: MountId): number {
    return this.#perMount.get(mount) ?? 0;
  }

  hasSent(content: ContentId): boolean {
    return this.#sent.has(content);
  }

  /** Whether a content that is pending is over this one. */
  isBase(content: ContentId): boolean {
    return this.#bases.has(content);
  }

  noteSent(entry: BacklogEntry, content: ContentId): void {
    entry.sent.add(content);
    this.#sent.add(content);
  }

  forgetSent(entry: BacklogEntry | undefined, content: ContentId): void {
    entry?.sent.delete(content);
    this.#sent.delete(content);
    this.#unsent(content);
  }

  add(entry: BacklogEntry): void {
    this.#entries.set(entry.id, entry);
    this.#perMount.set(entry.mount, this.countOf(entry.mount) + 1);
    this.bytes += bytesOf(entry);
    if (entry.over) this.#bases.set(entry.over.id, (this.#bases.get(entry.over.id) ?? 0) + 1);
    for (const content of entry.sent) this.#sent.add(content);
  }

  /** `replaced`: another entry has taken over what it had sent. */
  remove(entry: BacklogEntry, replaced: boolean): void {
    if (this.#entries.get(entry.id) !== entry) return;
    this.#entries.delete(entry.id);
    this.#perMount.set(entry.mount, this.countOf(entry.mount) - 1);
    this.bytes -= bytesOf(entry);
    this.#letGo(entry.over?.id);
    if (!replaced) for (const content of entry.sent) this.forgetSent(undefined, content);
    this.tell(entry);
    if (this.#waiters.size === 0 || this.isFull) return;
    const waiters = this.#waiters;
    this.#waiters = new Set();
    for (const go of waiters) go();
  }

  /** Something has happened to it. */
  tell(entry: BacklogEntry): void {
    const watchers = this.#watchers.get(entry);
    this.#watchers.delete(entry);
    for (const go of watchers ?? []) go();
  }

  conflict(entry: BacklogEntry): void {
    entry.conflict = true;
    this.tell(entry);
  }

  get isHalfFull(): boolean {
    return this.#entries.size >= this.#limits.filesMax / 2 || this.bytes >= this.#limits.bytesMax / 2;
  }

  get isFull(): boolean {
    return this.#entries.size >= this.#limits.filesMax || this.bytes >= this.#limits.bytesMax;
  }

  /** Overloaded. */
  async room(signal: AbortSignal): Promise<void> {
    const late = this.#clock.monotonicMs() + this.#limits.waitMs;
    while (this.isFull) {
      const left = late - this.#clock.monotonicMs();
      if (left <= 0) throw new WeirError('Overloaded', `${this.#entries.size} files with ${this.bytes} bytes wait to be persisted, and their stores take no more; weir persist lists them`);
      await this.#wait((go) => {
        this.#waiters.add(go);
        return () => this.#waiters.delete(go);
      }, left, signal);
    }
  }

  /** Resolves when something has happened to the entry, or so much time has passed. */
  async changed(entry: BacklogEntry, ms: number, signal: AbortSignal): Promise<void> {
    await this.#wait((go) => {
      const watchers = this.#watchers.get(entry) ?? new Set();
      this.#watchers.set(entry, watchers.add(go));
      return () => watchers.delete(go);
    }, ms, signal);
  }

  close(): void {
    for (const entry of this.#entries.values()) this.tell(entry);
    for (const go of this.#waiters) go();
  }

  #letGo(base: ContentId | undefined): void {
    if (base === undefined) return;
    const left = this.#bases.get(base)! - 1;
    if (left > 0) this.#bases.set(base, left);
    else {
      this.#bases.delete(base);
      this.#unsent(base);
    }
  }

  async #wait(enter: (go: () => void) => () => void, ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    const leave = enter(resolve);
    using _timer = this.#clock.after(ms, resolve);
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, {once: true});
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      leave();
    }
  }
}

/** That the cache keeps for it. */
function bytesOf({length, over}: BacklogEntry): number {
  return over ? ownBytes(decodeRuns(over.own), length) : length;
}
