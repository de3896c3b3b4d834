/** What the worker's tests stand on: a block store in memory, a clock that jumps, and objects whose every 4 KiB say what they are. */
import assert from 'node:assert/strict';
import {asciiBytes, type ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import {KiB} from '#base/units.ts';
import {type BlockStore, type ContentHandle, type Draft, type NamedDrafts, pageBytes, type Place, type Presence, segmentContentBytesMax} from '#blockstore/block-store.ts';
import {systemContext} from '#contracts/context.ts';
import type {Body, ByteStream} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Descriptor, FileLease} from '#model/file-lease.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Metrics} from '#runtime/metrics.ts';
import {nodeDisk} from '#runtime/node/node-disk.ts';
import {MemoryUnderStore, type MemoryStoreOptions} from '#understore/memory/memory-store.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {Worker, type WorkerParts} from '#worker/worker.ts';

/** A clock whose sleeps take no time but move it. */
export class JumpingClock implements Clock {
  now = 1_000_000;
  nowMs(): number { return this.now; }
  nowNs(): bigint { return BigInt(Math.round(this.now * 1e6)) + BigInt(++this.#ticks); }
  steadyMs(): number { return this.now; }
  monotonicMs(): number { return this.now; }
  async sleep(ms: number, options?: {signal?: AbortSignal}): Promise<void> {
    options?.signal?.throwIfAborted();
    await this.yield();
    this.now += ms;
  }
  after(_ms: number, _fn: () => void): Disposable { return {[Symbol.dispose]: () => {}}; }
  yield(): Promise<void> { return new Promise(resolve => setImmediate(resolve)); }
  #ticks = 0;
}

/** A clock that moves to the next thing that somebody waits for, when nobody has anything else to do. */
export class VirtualClock extends JumpingClock {
  readonly #timers: {at: number; fn: () => void}[] = [];
  override sleep(ms: number, options?: {signal?: AbortSignal}): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = options?.signal;
      if (signal?.aborted) return reject(signal.reason);
      const timer = this.#add(ms, resolve);
      signal?.addEventListener('abort', () => { this.#remove(timer); reject(signal.reason); }, {once: true});
    });
  }
  override after(ms: number, fn: () => void): Disposable {
    const timer = this.#add(ms, fn);
    return {[Symbol.dispose]: () => this.#remove(timer)};
  }
  /** Lets time pass until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const settled = work.finally(() => { done = true; });
    settled.catch(() => {});
    for (let idle = 0; ; ) {
      for (let turn = 0; turn < 3; turn++) await this.yield();
      if (done) return settled;
      const next = this.#timers.shift();
      if (!next) {
        assert.ok(++idle < 10_000, 'somebody waits for something that will never happen');
        continue;
      }
      idle = 0;
      this.now = Math.max(this.now, next.at);
      next.fn();
    }
  }
  #add(ms: number, fn: () => void): {at: number; fn: () => void} {
    const timer = {at: this.now + ms, fn};
    const place = this.#timers.findLastIndex(other => other.at <= timer.at) + 1;
    this.#timers.splice(place, 0, timer);
    return timer;
  }
  #remove(timer: {at: number; fn: () => void}): void {
    const place = this.#timers.indexOf(timer);
    if (place !== -1) this.#timers.splice(place, 1);
  }
}

export interface LinkOptions {
  readonly roundTripMs: number;
  /** Bytes per ms of one connection, and of all together. */
  readonly connectionRate?: number;
  readonly linkRate?: number;
}

/** A store behind a link: every read waits a round trip, then its body comes as fast as its connection and the shared link let it. */
export function behindLink(store: UnderStore, clock: Clock, {roundTripMs, connectionRate = Infinity, linkRate = Infinity}: LinkOptions): UnderStore {
  let linkFreeAt = 0;
  async function* slowed(body: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let connectionFreeAt = clock.monotonicMs();
    for await (const chunk of body) {
      const now = clock.monotonicMs();
      connectionFreeAt = Math.max(now, connectionFreeAt) + chunk.length / connectionRate;
      linkFreeAt = Math.max(now, linkFreeAt) + chunk.length / linkRate;
      const wait = Math.max(connectionFreeAt, linkFreeAt) - now;
      if (wait > 0) await clock.sleep(wait, {signal});
      yield chunk;
    }
  }
  return new Proxy(store, {
    get: (target, property) => {
      if (property === 'read') {
        return async (...args: Parameters<UnderStore['read']>) => {
          await clock.sleep(roundTripMs, {signal: args[2].signal});
          const read = await target.read(...args);
          return {...read, body: slowed(read.body, args[2].signal)};
        };
      }
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) as unknown : value;
    },
  });
}

/** Chunks in memory of their own, which is overwritten as soon as somebody says to be done with it. */
function overwritingWhatIsGivenBack(store: UnderStore): UnderStore {
  return new Proxy(store, {
    get: (target, property) => {
      if (property === 'read') {
        return async (...args: Parameters<UnderStore['read']>) => {
          const read = await target.read(...args);
          const away = new Map<ArrayBufferLike, number>();
          async function* copies(): AsyncGenerator<Uint8Array> {
            for await (const chunk of read.body) {
              const own = Uint8Array.from(chunk);
              away.set(own.buffer, own.length);
              yield own;
            }
          }
          const giveBack = (chunk: Uint8Array): void => {
            const left = (away.get(chunk.buffer) ?? 0) - chunk.length;
            assert.ok(left >= 0, 'memory is given back once');
            away.set(chunk.buffer, left);
            chunk.fill(0xdd);
          };
          return {...read, body: copies(), giveBack};
        };
      }
      const value: unknown = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) as unknown : value;
    },
  });
}

interface Cached {
  readonly bytes: Buffer;
  readonly pages: Set<number>;
  pinned: boolean;
}

export class MemoryBlocks implements BlockStore {
  readonly contents = new Map<ContentId, Cached>();
  /** `refuse`: no room. `fail`: every call throws or misses. */
  mode: 'ok' | 'refuse' = 'ok';
  /** Called before a fill is kept, to make it slow. */
  beforeFill: () => Promise<void> = async () => {};
  fills = 0;
  readonly dirty = new Set<ContentId>();
  liveDrafts = 0;
  readonly warm = true;

  presence(id: ContentId): Presence | undefined {
    const cached = this.contents.get(id);
    if (!cached) return undefined;
    const presentBytes = [...cached.pages].reduce((sum, page) => sum + Math.min(pageBytes, cached.bytes.length - page * pageBytes), 0);
    return {length: cached.bytes.length, complete: presentBytes === cached.bytes.length, presentBytes, pinned: cached.pinned, dirty: this.dirty.has(id)};
  }
  missing(content: ContentHandle, first: number, last: number): readonly {first: number; count: number}[] {
    const pages = this.contents.get(content.id)?.pages;
    const runs: {first: number; count: number}[] = [];
    for (let page = first; page <= last; page++) {
      if (pages?.has(page)) continue;
      const run = runs.at(-1);
      if (run && run.first + run.count === page) run.count++;
      else runs.push({first: page, count: 1});
    }
    return runs;
  }
  async fill(content: ContentHandle, firstPage: number, buffers: readonly Uint8Array[]): Promise<boolean> {
    await this.beforeFill();
    // A disk takes its time; until then the buffers must stay what they are.
    await Promise.resolve();
    const bytes = Buffer.concat(buffers);
    if (this.mode === 'refuse') return false;
    const start = firstPage * pageBytes;
    assert.ok(bytes.length > 0 && (bytes.length % pageBytes === 0 || start + bytes.length === content.length), 'only whole pages are stored');
    if (content.length <= segmentContentBytesMax) assert.equal(bytes.length, content.length, 'small contents are stored whole');
    this.fills++;
    const cached = this.#of(content);
    bytes.copy(cached.bytes, start);
    for (let page = firstPage; page * pageBytes < start + bytes.length; page++) cached.pages.add(page);
    return true;
  }
  readResident(content: ContentHandle, offset: number, length: number, into?: Uint8Array): Uint8Array | undefined {
    const cached = this.contents.get(content.id);
    if (!cached || length === 0 || this.missing(content, Math.floor(offset / pageBytes), Math.floor((offset + length - 1) / pageBytes)).length > 0) return undefined;
    into?.set(cached.bytes.subarray(offset, offset + length));
    return into ?? cached.bytes.subarray(offset, offset + length);
  }
  async read(content: ContentHandle, offset: number, length: number): Promise<Uint8Array | undefined> {
    await new Promise(resolve => setImmediate(resolve));
    const bytes = this.readResident(content, offset, length);
    return bytes && Buffer.from(bytes);
  }
  leaseNow(): undefined {
    return undefined;
  }

  async lease(content: ContentHandle, offset: number, length: number): Promise<FileLease | undefined> {
    if (this.readResident(content, offset, length) === undefined) return undefined;
    const file = {} as Descriptor;
    const {bytes} = this.contents.get(content.id)!;
    return {file, offset, length, resident: true, read: async (into, position) => bytes.copy(into, 0, position, position + into.length), [Symbol.dispose]: () => {}};
  }
  async draft(): Promise<Draft | undefined> {
    if (this.mode === 'refuse') return undefined;
    this.liveDrafts++;
    const pieces: {chunk: Uint8Array; position: number}[] = [];
    const isAlive = () => this.mode === 'ok';
    return {
      get alive() { return isAlive(); },
      write: async (chunk, position) => void pieces.push({chunk, position}),
      seal: async (content, options) => {
        this.liveDrafts--;
        if (!isAlive()) return false;
        const cached = this.#of(content);
        for (const {chunk, position} of pieces) cached.bytes.set(chunk, position);
        for (let page = 0; page * pageBytes < content.length; page++) cached.pages.add(page);
        if (options?.dirty) this.dirty.add(content.id);
        return true;
      },
      discard: async () => void this.liveDrafts--,
    };
  }
  lastingDraft(): Promise<Draft | undefined> {
    return this.draft();
  }
  succeed(): void {}
  /** Nothing lasts in memory. */
  readonly drafts: NamedDrafts = {
    make: async () => undefined,
    open: async (name) => Promise.reject(new WeirError('NotFound', `there is no draft ${name}`)),
    left: async () => [],
    discard: async () => {},
  };
  async makeDurable(ids: readonly ContentId[]): Promise<readonly boolean[]> {
    return ids.map(() => false);
  }
  async keep(content: ContentHandle, buffers: readonly Uint8Array[]): Promise<boolean> {
    const kept = content.length === 0 || (await this.fill(content, 0, buffers));
    if (kept) this.dirty.add(content.id);
    return kept;
  }
  keepNow(): boolean {
    return false;
  }
  async leftDirty(): Promise<readonly ContentId[]> {
    return [];
  }
  async loaded(): Promise<void> {}
  async drop(id: ContentId): Promise<void> {
    this.contents.delete(id);
    this.dirty.delete(id);
  }
  pin(id: ContentId, pinned: boolean): void {
    const cached = this.contents.get(id);
    if (cached) cached.pinned = pinned;
  }
  async clean(id: ContentId): Promise<void> {
    this.dirty.delete(id);
  }
  places(id: ContentId): readonly Place[] {
    const cached = this.contents.get(id);
    const presence = this.presence(id);
    return cached && presence ? [{tier: 'MEM', bytes: presence.presentBytes, pages: [...cached.pages].toSorted((a, b) => a - b).map(page => [page, 1] as const)}] : [];
  }
  status() {
    const tier = {name: 'MEM', directory: '', quotaBytes: 0, usedBytes: 0, state: 'ok' as const, evictedBytes: 0, demotedBytes: 0, promotedBytes: 0};
    return {tiers: [tier], contents: this.contents.size, indexBytes: 0};
  }
  async close(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
  #of(content: ContentHandle): Cached {
    let cached = this.contents.get(content.id);
    if (!cached) this.contents.set(content.id, (cached = {bytes: Buffer.alloc(content.length), pages: new Set(), pinned: false}));
    return cached;
  }
}

const stampBytes = 4 * KiB;

/** Bytes of which every 4 KiB carry object, version and offset, and nothing is zero. */
export function stamped(name: string, version: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, 0x2e);
  for (let at = 0; at < length; at += stampBytes) {
    const stamp = Buffer.from(`<${name}:${version}:${at}>`.padEnd(64, '#'));
    stamp.copy(bytes, at, 0, Math.min(stamp.length, length - at));
  }
  return bytes;
}

export const noMetrics: Metrics = {
  counter: () => ({add: () => {}}), histogram: () => ({observe: () => {}}), gauge: () => {}, counterFrom: () => {}, render: async () => '',
};
const noLog = {debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => noLog};

export const mount = 1 as MountId;

export interface TestWorker {
  readonly worker: Worker;
  readonly blocks: MemoryBlocks;
  readonly store: MemoryUnderStore;
  readonly clock: JumpingClock;
  /** Puts an object into the store and says what to read. */
  readonly put: (name: string, bytes: Uint8Array) => ReadableContent;
}

export interface TestWorkerOptions {
  readonly clock?: JumpingClock;
  readonly store?: Partial<MemoryStoreOptions>;
  readonly wrap?: (store: UnderStore, clock: JumpingClock) => UnderStore;
  readonly limits?: WorkerParts['limits'];
}

export function testWorker(options: TestWorkerOptions = {}): TestWorker {
  const clock = options.clock ?? new JumpingClock();
  const blocks = new MemoryBlocks();
  const store = new MemoryUnderStore({clock, ...options.store});
  const own = overwritingWhatIsGivenBack(store);
  const wrapped = options.wrap?.(own, clock) ?? own;
  const worker = workerOver(clock, blocks, wrapped, options.limits);
  let contents = 0;
  return {
    worker, blocks, store, clock,
    put: (name, bytes) => {
      const object = store.outside.put(asciiBytes(name), bytes);
      return contentOf(++contents, object.key, object.length, object.fingerprint);
    },
  };
}

export function workerOver(clock: Clock, blocks: BlockStore, store: UnderStore, limits?: WorkerParts['limits']): Worker {
  let random = 0;
  return new Worker({
    runtime: {clock, disk: nodeDisk, metrics: noMetrics, log: noLog, random: {number: () => 0.5, bytes: count => new Uint8Array(count), id: () => `${++random}`.padStart(32, '0')}, crashPoint: () => {}, boot: 'one'},
    blocks, drafts: '/nowhere', stores: {get: () => store, isOurs: () => false}, ...(limits ? {limits} : {}),
  });
}

export function contentOf(id: number, storeKey: ByteString, length: number, fingerprint: string): ReadableContent {
  return {id: id as ContentId, length, mount, storeKey, fingerprint};
}

/** The bytes of a stream's pieces, each copied just before the next is asked for. */
export async function* piecesOf(stream: ByteStream, meanwhile: () => Promise<void> = async () => {}): AsyncGenerator<Buffer> {
  for await (const piece of stream.pieces!()) {
    await meanwhile();
    if (piece instanceof Uint8Array) yield Buffer.from(piece);
    else {
      using lease = piece;
      yield await leasedBytes(lease);
    }
  }
}

async function leasedBytes(lease: FileLease): Promise<Buffer> {
  const bytes = Buffer.alloc(lease.length);
  assert.equal(await lease.read(bytes, lease.offset), lease.length);
  return bytes;
}

/** All bytes of a body; it must deliver what it promised. */
export async function bytesOf(body: Body): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  if (body.kind === 'bytes') parts.push(body.bytes);
  else if (body.kind === 'lease') {
    using lease = body.lease;
    parts.push(await leasedBytes(lease));
  } else for await (const chunk of body.stream) parts.push(Buffer.from(chunk));
  const bytes = Buffer.concat(parts);
  assert.equal(bytes.length, body.length);
  return bytes;
}

export async function read(worker: Worker, content: ReadableContent, offset: number, length: number, signal?: AbortSignal): Promise<Buffer> {
  return bytesOf(await worker.read(content, {offset, length}, {}, signal ? {...systemContext, signal} : systemContext));
}
