/** A master on the simulated machine, over stores in memory that outlive its lives, and hands for what a worker would do. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {Foreground} from '#base/foreground.ts';
import type {ContentId} from '#base/ids.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {type CallContext, rootPrincipal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {BeginWriteOptions} from '#contracts/writing.ts';
import {Master} from '#master/master.ts';
import type {MasterServices} from '#master/parts.ts';
import type {BacklogLimits} from '#master/persist/backlog.ts';
import type {PendingCache} from '#master/persist/pending-cache.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Metastore} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {type Freshness, parseFreshness} from '#model/mount.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation, type Simulation} from '#runtime/sim/simulation.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import {withUploadNotes} from '#understore/layers/with-upload-notes.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';
import type {Capabilities, UnderStore} from '#understore/under-store.ts';

export const bytes = (text: string): ByteString => text as ByteString;
export const context: CallContext = {principal: rootPrincipal, signal: new AbortController().signal};

const directoryStore: Partial<Capabilities> = {directories: true, rename: 'tree', metadata: false, permissions: true};

export class World {
  readonly simulation: Simulation;
  readonly #medium = new MemoryMedium();
  /** By URI; `wrap` may put something around what a master opens. */
  readonly stores = new Map<string, MemoryUnderStore>();
  wrap: (store: UnderStore) => UnderStore = store => store;
  readonly dropped: number[] = [];
  /** Uploads that have ended by themselves, by their contents. */
  readonly endedUploads: ContentId[] = [];
  /** The cache, as far as it keeps what is pending: it outlives masters, as what was synced does. */
  readonly cache = new Map<ContentId, Buffer>();
  lasting: PendingCache['lasting'] = {
    makeDurable: async ids => ids.map(id => this.cache.has(id)),
    isSound: async ({id, length}) => length === 0 || this.cache.get(id)?.length === length,
    keep: async (id, kept) => this.cache.set(id, Buffer.from(kept)) !== undefined,
  };
  backlog: Partial<BacklogLimits> = {};
  readonly foreground = new Foreground();
  /** How many were put behind. */
  puts = 0;
  /** Holders of open files that may come back in the next life. */
  returning: readonly string[] = [];
  /** Whom a master sends events to. */
  http: MasterServices['http'];

  constructor(seed = 1) {
    this.simulation = createSimulation(seed);
    this.store('mem://home/', directoryStore);
  }

  store(uri: string, capabilities: Partial<Capabilities> = {}): MemoryUnderStore {
    let store = this.stores.get(uri);
    if (!store) this.stores.set(uri, (store = new MemoryUnderStore({clock: {nowNs: () => BigInt(Math.round(this.simulation.nowMs * 1e6)) + BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n}, capabilities})));
    return store;
  }

  /** One life of the process; ends it in order. */
  async life<T>(fn: (master: Master, runtime: Runtime) => Promise<T>): Promise<T> {
    return await this.simulation.run(async runtime => {
      const metastore = await this.metastore(runtime);
      const master = await this.open(runtime, metastore);
      try {
        return await fn(master, runtime);
      } finally {
        await master.close();
        await metastore.close();
      }
    });
  }

  async metastore(runtime: Runtime): Promise<Metastore> {
    await runtime.disk.makeDirectory('/log', {recursive: true});
    await runtime.disk.syncDirectory('/');
    return await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, this.#medium), recalled: isDirectoryRow});
  }

  async open(runtime: Runtime, metastore: Metastore): Promise<Master> {
    const http = this.http ? {http: this.http} : {};
    return await Master.open({
      metastore, runtime, stores: this.#registry(runtime), root: {uri: 'mem://home/', options: {}}, returningHolders: this.returning, backlog: this.backlog, foreground: this.foreground, pending: this.#pending(),
      onContentDropped: contents => {
        this.dropped.push(...contents);
        for (const id of contents) this.cache.delete(id);
      },
      ...http,
    });
  }

  #pending(): PendingCache {
    const {cache} = this;
    return {
      bytes: async function* (content, _signal, {offset, length} = {offset: 0, length: content.length}) {
        if (content.length === 0) return;
        const whole = cache.get(content.id);
        assert(whole, `content ${content.id} is in the cache until its store has it`);
        const bytes = whole.subarray(offset, offset + length);
        if (bytes.length > 0) yield bytes;
      },
      bytesNow: content => cache.get(content.id),
      file: () => Promise.resolve(undefined),
      persisted: content => void cache.delete(content),
      drop: contents => contents.forEach(id => void cache.delete(id)),
      uploadEnded: ({content}) => void this.endedUploads.push(content),
      lasting: {makeDurable: ids => this.lasting.makeDurable(ids), isSound: content => this.lasting.isSound(content), keep: (id, kept) => this.lasting.keep(id, kept)},
    };
  }

  #registry(runtime: Runtime): StoreRegistry {
    const find = (uri: string): MemoryUnderStore => {
      const store = this.stores.get(uri);
      if (!store) throw new WeirError('InvalidArgument', `no such store: ${uri}`);
      return store;
    };
    return {
      schemes: ['mem'],
      describe: async uri => ({place: (find(uri), uri), defaultName: 'mem', secrets: ['pin']}),
      open: async (uri, _options, uploads) => {
        const store = untilDeath(runtime, notClosed(this.wrap(find(uri))));
        return uploads ? withUploadNotes(store, uploads) : store;
      },
    };
  }
}

/** What a process that is dead asks of a store is not asked, and what it is answered nobody hears. */
export function untilDeath<T extends object>(runtime: Runtime, answering: T): T {
  const never = new Promise<never>(() => undefined);
  const isDead = (): boolean => {
    try {
      runtime.clock.monotonicMs();
      return false;
    } catch {
      return true;
    }
  };
  return new Proxy(answering, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (isDead()) return never;
        const answer = (value as (...args: unknown[]) => unknown).apply(target, args);
        if (!(answer instanceof Promise)) return answer;
        const heard = (result: unknown): unknown => (isDead() ? never : name === 'write' && typeof result === 'object' ? untilDeath(runtime, result!) : result);
        return answer.then(heard, (error: unknown) => (isDead() ? never : Promise.reject(error as Error)));
      };
    },
  });
}

/** Stores outlive masters here. */
export function notClosed(store: UnderStore): UnderStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'close') return () => Promise.resolve();
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

export async function mountBucket(master: Master, freshness: Freshness | string = 'maxAge=60s', path = '/b', uri = 'mem://bucket/'): Promise<void> {
  await master.mount({path: bytes(path), uri, options: {}, freshness: typeof freshness === 'string' ? parseFreshness(freshness) : freshness}, context);
}

/** What worker and client do for a PUT. */
export async function put(master: Master, path: string, body: string, options: BeginWriteOptions = {}): Promise<FileInfo> {
  const ticket = await master.beginWrite(bytes(path), options, context);
  try {
    const write = await master.stores.get(ticket.mount).write({key: ticket.storeKey, metadata: ticket.metadata}, context);
    await write.write(Buffer.from(body));
    await master.prepareCommit(ticket, context);
    const object = await write.finish();
    return await master.commitWrite(ticket, {...object, mtime: object.modified}, context);
  } finally {
    await master.abandonWrite(ticket, context);
  }
}

/** What worker and client do for a PUT under ASYNC_THROUGH: durable in the cache first. Every other one on the spot, where the master can. */
export async function putBehind(world: World, master: Master, path: string, body: string, options: BeginWriteOptions = {}): Promise<FileInfo> {
  const all: BeginWriteOptions = {writeType: 'ASYNC_THROUGH', ...options};
  const now = world.puts++ % 2 === 0 ? master.beginWriteNow(bytes(path), all, context) : undefined;
  const ticket = now ?? (await master.beginWrite(bytes(path), all, context));
  try {
    const content = Buffer.from(body);
    world.cache.set(ticket.content, content);
    const object = {length: content.length, fingerprint: '', etag: createHash('md5').update(content).digest('hex'), checksums: {}, pending: true} as const;
    const committed = now && master.commitWriteNow(ticket, object, context);
    if (committed) return await committed;
    await master.prepareCommit(ticket, context);
    return await master.commitWrite(ticket, object, context);
  } finally {
    await master.abandonWrite(ticket, context);
  }
}

/** Keys of a listing, folded ones too; all pages. */
export async function keys(master: Master, directory: string, more: {view?: 'keys' | 'children' | 'tree'; delimiter?: string; prefix?: string; limit?: number} = {}): Promise<string[]> {
  const found: string[] = [];
  for (let after: ByteString | undefined; ; ) {
    const page = await master.list({
      directory: bytes(directory), view: more.view ?? 'keys', limit: more.limit ?? 1000, ...(more.delimiter === undefined ? {} : {delimiter: bytes(more.delimiter)}),
      ...(more.prefix === undefined ? {} : {prefix: bytes(more.prefix)}), ...(after === undefined ? {} : {after}),
    }, context);
    found.push(...page.entries.map(entry => entry.key));
    if (page.next === undefined) return found;
    after = page.next;
  }
}

export const requestsOf = (store: MemoryUnderStore): number => Object.values(store.counters.requests).reduce((a, b) => a + b, 0);
