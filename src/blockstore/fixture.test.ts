/** What the block store's tests stand on: a runtime that can be killed, contents whose every page says what it is, and a model of the promises. */
import assert from 'node:assert/strict';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, blockBytes, type ContentHandle, pageBytes, segmentContentBytesMax, type TierOptions} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** A runtime whose disk stops answering at the kill, as for a process that is gone. What the system had taken by then is done. */
export class Mortal {
  readonly runtime: Runtime;
  readonly killed = Promise.withResolvers<void>();
  readonly points = new Map<string, number>();
  dead = false;
  #plan: {readonly point: string; hit: number} | undefined;
  #pending = 0;
  #idle = Promise.withResolvers<void>();
  /** What the system gives back when a process ends. */
  readonly #held = new Set<AsyncDisposable>();

  constructor(runtime: Runtime) {
    const {disk} = runtime;
    const pass = <A extends unknown[], R>(fn: (...args: A) => Promise<R>) => (...args: A) => this.#call(() => fn(...args));
    const file = (inner: DiskFile): DiskFile => {
      this.#held.add(inner);
      const close = () => {
        this.#held.delete(inner);
        return inner.close();
      };
      return wrap(inner, close);
    };
    const wrap = (inner: DiskFile, close: () => Promise<void>): DiskFile => ({
      descriptor: inner.descriptor,
      read: pass((into, position) => inner.read(into, position)),
      readResident: (into, position) => (this.dead ? undefined : inner.readResident(into, position)),
      write: pass((buffers, position) => inner.write(buffers, position)),
      writeNow: (buffer, position) => !this.dead && inner.writeNow(buffer, position),
      beginWriteBack: (position, length) => this.dead || inner.beginWriteBack(position, length),
      copyFrom: pass((source, from, length, position) => inner.copyFrom(source, from, length, position)),
      datasync: pass(() => inner.datasync()),
      truncate: pass((size) => inner.truncate(size)),
      punch: pass((offset, length) => inner.punch(offset, length)),
      seek: pass((position, to) => inner.seek(position, to)),
      stat: pass(() => inner.stat()),
      statNow: () => (this.dead ? undefined : inner.statNow()),
      close,
      [Symbol.asyncDispose]: close,
    });
    const wrapped: Disk = {
      ...disk,
      open: pass(async (path, options) => file(await disk.open(path, options))),
      stat: pass((path) => disk.stat(path)),
      readDirectory: pass((path) => disk.readDirectory(path)),
      makeDirectory: pass((path, options) => disk.makeDirectory(path, options)),
      unlink: pass((path) => disk.unlink(path)),
      rename: pass((from, to) => disk.rename(from, to)),
      link: pass((from, to) => disk.link(from, to)),
      syncDirectory: pass((path) => disk.syncDirectory(path)),
      space: pass((path) => disk.space(path)),
      lock: pass(async (path) => {
        const lock = await disk.lock(path);
        this.#held.add(lock);
        return lock;
      }),
    };
    this.runtime = {...runtime, disk: wrapped, crashPoint: (name) => this.#pass(name)};
  }

  /** Kills when `point` is passed for the `hit`-th time. */
  killAt(point: string, hit: number): void {
    this.#plan = {point, hit};
  }

  /** Ends it; resolves when the system has done what it had taken. */
  async kill(): Promise<void> {
    this.dead = true;
    this.killed.resolve();
    if (this.#pending > 0) await this.#idle.promise;
    for (const held of this.#held) await held[Symbol.asyncDispose]();
    this.#held.clear();
  }

  /** What `work` answers, or undefined when the kill comes first. */
  async until<T>(work: Promise<T>): Promise<T | undefined> {
    return await Promise.race([work, this.killed.promise.then(() => undefined)]);
  }

  #pass(name: string): void {
    this.points.set(name, (this.points.get(name) ?? 0) + 1);
    if (this.#plan?.point !== name || --this.#plan.hit > 0) return;
    this.dead = true;
    this.killed.resolve();
  }

  async #call<R>(fn: () => Promise<R>): Promise<R> {
    if (this.dead) return await new Promise<R>(() => {});
    this.#pending++;
    const work = fn();
    await work.catch(() => {});
    if (--this.#pending === 0 && this.dead) this.#idle.resolve();
    return this.dead ? await new Promise<R>(() => {}) : await work;
  }
}

/** The bytes of a range of a content: every page repeats its own name; nothing is zero. */
export function bytesOf(id: number, offset: number, length: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = offset; at < offset + length; ) {
    const page = Math.floor(at / pageBytes);
    const take = Math.min(offset + length - at, (page + 1) * pageBytes - at);
    const skip = at - page * pageBytes;
    parts.push(Buffer.alloc(skip + take, `<${id}:${page}>`).subarray(skip));
    at += take;
  }
  return Buffer.concat(parts);
}

export type Random = () => number;

/** Mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const heldLeasesMax = 6;

/** Does random things to a store, over all its lives, and knows what must hold. */
export class Model {
  /** Sealed dirty, not cleaned nor dropped: must be there, whole. */
  readonly #dirty = new Set<ContentId>();
  /** Pinned when whole: must stay so. */
  readonly #stays = new Set<ContentId>();
  /** Dropped and not filled since: must stay away, in later lives too. */
  readonly #gone = new Set<ContentId>();
  /** Of those, what this life may not have logged yet. */
  readonly #goneLately = new Set<ContentId>();
  /** Fills under way. */
  readonly #filling = new Map<ContentId, number>();
  /** Something that changes what must hold is under way. */
  readonly #busy = new Set<ContentId>();
  readonly #contents: readonly ContentHandle[];
  readonly #random: Random;
  readonly #tiers: readonly TierOptions[];
  #leases: {lease: FileLease; content: ContentHandle; offset: number}[] = [];

  constructor(random: Random, tiers: readonly TierOptions[]) {
    this.#random = random;
    this.#tiers = tiers;
    this.#contents = Array.from({length: 30}, (_, i) => ({id: (i + 1) as ContentId, length: this.#length(i)}));
  }

  /** One life: opens, checks what must be there, does `steps` things in each of three places at once, and ends as told. Answers the crash points passed. */
  async live(runtime: Runtime, steps: number, end: 'close' | 'kill' | 'power loss', at?: {point: string; hit: number}): Promise<ReadonlyMap<string, number>> {
    const mortal = new Mortal(runtime);
    if (at) mortal.killAt(at.point, at.hit);
    const life = async () => {
      const store = await openBlockStore({runtime: mortal.runtime, tiers: this.#tiers});
      if (this.#random() < 0.5) {
        await this.#warmed(store, runtime);
        this.#checkGone(store);
      }
      await Promise.all([1, 2, 3].map(() => this.#act(store, runtime, steps, mortal)));
      await this.#warmed(store, runtime);
      await this.#check(store);
      for (const {lease} of this.#leases.splice(0)) lease[Symbol.dispose]();
      if (end === 'close') await store.close();
    };
    await mortal.until(life());
    if (end !== 'close' || mortal.dead) await mortal.kill();
    this.#leases = [];
    // An unfinished change may have happened or not.
    for (const id of this.#busy) for (const set of [this.#dirty, this.#stays]) set.delete(id);
    this.#busy.clear();
    // Clean bytes that were not synced may be lost with the power, pinned or not; so may the word that something is gone.
    if (end === 'power loss') this.#stays.clear();
    if (end === 'power loss' || mortal.dead) for (const id of end === 'power loss' ? this.#gone : this.#goneLately) this.#gone.delete(id);
    this.#goneLately.clear();
    this.#filling.clear();
    return mortal.points;
  }

  #length(i: number): number {
    if (i === 0) return 3 * blockBytes + 1234;
    const share = this.#random();
    if (i % 3 === 0) return segmentContentBytesMax + 1 + Math.floor(share * 500 * KiB);
    return i % 3 === 1 ? 1 + Math.floor(share * 9000) : 1 + Math.floor(share * segmentContentBytesMax);
  }

  async #warmed(store: BlockStore, runtime: Runtime): Promise<void> {
    while (!store.warm) await runtime.clock.sleep(1);
  }

  #checkGone(store: BlockStore): void {
    for (const id of this.#gone) assert.equal(store.presence(id), undefined, `content ${id} was dropped and is back`);
  }

  /** All that must be there is, and reads right. */
  async #check(store: BlockStore): Promise<void> {
    for (const id of this.#dirty) {
      if (this.#busy.has(id)) continue;
      const presence = store.presence(id);
      assert.ok(presence?.dirty && presence.complete, `dirty content ${id} is lost: ${JSON.stringify(presence)}`);
      assert.ok(store.places(id).every((place) => place.tier !== 'MEM'), `dirty content ${id} is in memory only`);
      await this.#read(store, this.#content(id), true);
    }
    this.#checkGone(store);
    for (const id of this.#stays) {
      assert.ok(store.presence(id)?.pinned, `pinned content ${id} is lost`);
      await this.#read(store, this.#content(id), true);
    }
  }

  #content(id: ContentId): ContentHandle {
    return this.#contents[id - 1]!;
  }

  async #read(store: BlockStore, {id, length}: ContentHandle, must: boolean): Promise<void> {
    const bytes = await store.read({id, length}, 0, length);
    assert.ok(bytes || !must, `content ${id} is lost`);
    if (bytes) assertBytes(bytes, id, 0);
  }

  async #act(store: BlockStore, runtime: Runtime, steps: number, mortal: Mortal): Promise<void> {
    for (let step = 0; step < steps && !mortal.dead; step++) {
      const content = this.#contents[Math.floor(this.#random() * this.#contents.length)]!;
      await this.#step(store, runtime, content, Math.floor(this.#random() * 20));
      assertApart(store, content);
      for (const tier of store.status().tiers) assert.ok(tier.usedBytes <= tier.quotaBytes && tier.usedBytes >= 0, `${tier.name} uses ${tier.usedBytes} of ${tier.quotaBytes}`);
    }
  }

  async #step(store: BlockStore, runtime: Runtime, content: ContentHandle, kind: number): Promise<void> {
    const {id, length} = content;
    const [offset, count] = this.#range(length);
    if (kind < 7) await this.#fill(store, content, offset, count);
    else if (kind < 9) {
      const bytes = store.readResident(content, offset, count);
      if (bytes) assertBytes(bytes, id, offset);
    } else if (kind < 12) {
      const bytes = await store.read(content, offset, count);
      if (bytes) assertBytes(bytes, id, offset);
    } else if (kind < 14) await this.#lease(store, content, offset, count);
    else if (kind === 14) await runtime.clock.sleep(this.#random() * 3);
    else if (this.#busy.has(id) || id === 1) return;
    else {
      this.#busy.add(id);
      if (kind < 17) await this.#seal(store, content);
      else if (kind === 17) {
        this.#dirty.delete(id);
        this.#stays.delete(id);
        await store.drop(id);
        if (!this.#filling.has(id)) this.#gone.add(id);
        this.#goneLately.add(id);
      } else if (kind === 18) await this.#pin(store, runtime, content);
      else {
        this.#dirty.delete(id);
        await store.clean(id);
      }
      this.#busy.delete(id);
    }
  }

  #range(length: number): [offset: number, count: number] {
    // Of the very large one only the ends of its blocks.
    const around = length > blockBytes ? Math.floor(this.#random() * 3 + 1) * blockBytes - 2 * pageBytes : 0;
    const offset = around + Math.floor(this.#random() * Math.min(length - around, 6 * pageBytes));
    return [offset, 1 + Math.floor(this.#random() * Math.min(length - offset, 4 * pageBytes) * 0.999)];
  }

  async #fill(store: BlockStore, content: ContentHandle, offset: number, count: number): Promise<void> {
    const small = content.length <= segmentContentBytesMax;
    const first = small ? 0 : Math.floor(offset / pageBytes);
    const end = small ? content.length : Math.min(content.length, Math.ceil((offset + count) / pageBytes) * pageBytes);
    const bytes = bytesOf(content.id, first * pageBytes, end - first * pageBytes);
    const cut = Math.floor(this.#random() * bytes.length);
    this.#gone.delete(content.id);
    this.#filling.set(content.id, (this.#filling.get(content.id) ?? 0) + 1);
    await store.fill(content, first, [bytes.subarray(0, cut), bytes.subarray(cut)]);
    const others = this.#filling.get(content.id)! - 1;
    if (others > 0) this.#filling.set(content.id, others);
    else this.#filling.delete(content.id);
  }

  async #lease(store: BlockStore, content: ContentHandle, offset: number, count: number): Promise<void> {
    const lease = await store.lease(content, offset, count);
    if (lease) this.#leases.push({lease, content, offset});
    if (this.#leases.length <= heldLeasesMax) return;
    const [oldest] = this.#leases.splice(0, 1);
    const bytes = Buffer.alloc(oldest!.lease.length);
    assert.equal(await oldest!.lease.read(bytes, oldest!.lease.offset), bytes.length, 'a lease reads whole');
    assertBytes(bytes, oldest!.content.id, oldest!.offset);
    oldest!.lease[Symbol.dispose]();
  }

  async #seal(store: BlockStore, content: ContentHandle): Promise<void> {
    if (content.length <= segmentContentBytesMax && this.#random() < 0.5) {
      this.#gone.delete(content.id);
      if (await store.keep(content, [bytesOf(content.id, 0, content.length)])) this.#dirty.add(content.id);
      return await this.#cleanSome(store, content);
    }
    const draft = this.#random() < 0.5 ? await store.draft(content.length) : await store.lastingDraft(content.length);
    if (!draft) return;
    this.#gone.delete(content.id);
    const middle = Math.floor(this.#random() * content.length);
    await draft.write(bytesOf(content.id, middle, content.length - middle), middle);
    await draft.write(bytesOf(content.id, 0, middle), 0);
    if (this.#random() < 0.1) return await draft.discard();
    const dirty = this.#random() < 0.4;
    if ((await draft.seal(content, {dirty})) && dirty) this.#dirty.add(content.id);
    await this.#cleanSome(store, content);
  }

  /** Half of what may be dirty at once would fill the store. */
  async #cleanSome(store: BlockStore, content: ContentHandle): Promise<void> {
    if (this.#dirty.size <= 6) return;
    this.#dirty.delete(content.id);
    await store.clean(content.id);
  }

  async #pin(store: BlockStore, runtime: Runtime, {id, length}: ContentHandle): Promise<void> {
    if (this.#stays.delete(id) || this.#stays.size > 2) return store.pin(id, false);
    store.pin(id, true);
    const whole = (await store.read({id, length}, 0, length)) !== undefined;
    await runtime.clock.sleep(20);
    if (whole) this.#stays.add(id);
    else store.pin(id, false);
  }
}

/** Every page is in one place. */
function assertApart(store: BlockStore, {id}: ContentHandle): void {
  const seen = new Set<number>();
  for (const {tier, pages} of store.places(id)) {
    for (const [first, count] of pages) {
      for (let page = first; page < first + count; page++) {
        assert.ok(!seen.has(page), `page ${page} of content ${id} is on ${tier} and elsewhere`);
        seen.add(page);
      }
    }
  }
}

function assertBytes(bytes: Uint8Array, id: number, offset: number): void {
  const right = bytesOf(id, offset, bytes.length);
  if (!right.equals(bytes)) {
    const at = right.findIndex((byte, i) => byte !== bytes[i]);
    assert.fail(`content ${id} at ${offset + at}: ${JSON.stringify(Buffer.from(bytes.subarray(at, at + 20)).toString('latin1'))}`);
  }
}

export const twoTiers = (directory: string, fast: 'MEM' | 'SSD' = 'SSD'): readonly TierOptions[] => [
  {name: fast, directory: `${directory}/fast`, quotaBytes: 3 * MiB},
  {name: 'HDD', directory: `${directory}/slow`, quotaBytes: 8 * MiB},
];
