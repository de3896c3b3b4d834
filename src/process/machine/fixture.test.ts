/**
 * A whole instance on a simulated machine, put together as `weir up` does it: journal, block store, drafts and the home's own store on one disk that
 * tears what was not synced; and distant stores that outlive the machine.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {Random} from '#blockstore/fixture.test.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {leftDrafts, recoverDrafts} from '#client/draft-recovery.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {connector as fileConnector} from '#connectors/file/connector.ts';
import {rootPrincipal, systemContext} from '#contracts/context.ts';
import {notClosed, untilDeath} from '#master/fixture.test.ts';
import {Master} from '#master/master.ts';
import {writeBackup} from '#metastore/backup.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {forgetLeftovers, pendingCache, restoreUploads} from '#process/pending-cache.ts';
import {restoreMetadata} from '#process/restore-state.ts';
import {Trouble, TroubledStore} from '#process/machine/troubled-store.test.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {createSimulation, type Simulation} from '#runtime/sim/simulation.ts';
import {defaultRetry, withRetry} from '#understore/layers/with-retry.ts';
import {withTimeout} from '#understore/layers/with-timeout.ts';
import {withUploadNotes} from '#understore/layers/with-upload-notes.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';
import type {Capabilities, UnderStore} from '#understore/under-store.ts';
import {Worker} from '#worker/worker.ts';

export interface Instance {
  readonly runtime: Runtime;
  readonly files: FileSystemClient;
  readonly master: Master;
  readonly worker: Worker;
  readonly blocks: BlockStore;
  /** Of the distant stores. */
  readonly trouble: Trouble;
}

export interface MachineOptions {
  /** Bytes of the cache in memory and on disk. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
  /** Files of so many bytes are changed without being copied. */
  readonly partialBytesMin: number;
  /** What the distant stores cannot do. */
  readonly distant: Partial<Capabilities>;
  /** How often a failed call to them is sent. */
  readonly attemptsMax: number;
}

export const ordinary: MachineOptions = {memoryBytes: 4 * MiB, diskBytes: 64 * MiB, partialBytesMin: 16 * MiB, distant: {}, attemptsMax: 1};

export class Machine {
  readonly simulation: Simulation;
  readonly trouble: Trouble;
  #medium = new MemoryMedium();
  /** Where all lies but the home's own store: elsewhere after each restore. */
  #home = '';
  readonly #options: MachineOptions;
  readonly #distant = new Map<string, MemoryUnderStore>();

  constructor(seed: number, random: Random, options: MachineOptions = ordinary) {
    this.simulation = createSimulation(seed);
    this.trouble = new Trouble(random);
    this.#options = options;
  }

  /** What is mounted as this `mem:` URI; it forgets nothing. */
  distant(uri: string): MemoryUnderStore {
    const started = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
    const store = this.#distant.get(uri) ?? new MemoryUnderStore({clock: {nowNs: () => started + BigInt(Math.round(this.simulation.nowMs * 1e6))}, capabilities: this.#options.distant});
    this.#distant.set(uri, store);
    return store;
  }

  /** One life of the process, from its start, with all that an earlier one has left taken up, to its orderly end. */
  async life<T>(work: (instance: Instance) => Promise<T>): Promise<T> {
    return await this.simulation.run(async (real) => {
      this.trouble.resume(real.clock);
      // A store in trouble keeps what was being written from being published at the start, for the next one.
      using starting = this.trouble.pause();
      const runtime = mortal(real);
      const home = this.#home;
      for (const directory of [`${home}/log`, `${home}/memory`, `${home}/cache`, '/data']) await runtime.disk.makeDirectory(directory, {recursive: true});
      for (const directory of ['/', home]) if (directory) await runtime.disk.syncDirectory(directory);
      const metastore = await openMetastore({runtime, directory: `${home}/log`, engine: memoryEngine(runtime, this.#medium), recalled: isDirectoryRow});
      const {memoryBytes, diskBytes, partialBytesMin} = this.#options;
      const tiers = [{name: 'MEM', directory: `${home}/memory`, quotaBytes: memoryBytes}, {name: 'DISK', directory: `${home}/cache`, quotaBytes: diskBytes}];
      const blocks = await openBlockStore({runtime, tiers});
      const made: {worker?: Worker} = {};
      const master: Master = await Master.open({
        metastore, runtime, stores: this.#stores(runtime, real), root: {uri: 'file:///data', options: {}, freshness: {kind: 'immutable'}},
        onContentDropped: async (contents) => {
          for (const id of contents) await (made.worker ? made.worker.dropped(id) : blocks.drop(id));
        },
        writeBackup: (state) => writeBackup(state, runtime.clock),
        pending: pendingCache(blocks, () => made.worker, (mount) => master.stores.get(mount).capabilities.localFile, (upload) => made.worker?.uploadEnded(upload)),
      });
      void forgetLeftovers(blocks, master, runtime.log);
      const worker = (made.worker = new Worker({runtime, blocks, stores: master.stores, drafts: `${home}/drafts`, partialBytesMin}));
      void restoreUploads(worker, master, runtime.log);
      const files = new FileSystemClient({master, worker, here: {master, worker}, drafts: new OpenDrafts({master, worker, here: {master, worker}})});
      const context = {...systemContext, principal: rootPrincipal};
      await recoverDrafts({master, worker}, await leftDrafts(worker, runtime.log, context), runtime.log, context);
      starting[Symbol.dispose]();
      const result = await work({runtime, files, master, worker, blocks, trouble: this.trouble});
      await master.close();
      await worker.close();
      await blocks.close();
      await metastore.close();
      return result;
    });
  }

  /** The machine is lost, but for its stores: the lives that follow begin with a backup. */
  async restore(backup: readonly Uint8Array[]): Promise<void> {
    this.#home = `${this.#home}/restored`;
    this.#medium = new MemoryMedium();
    await this.simulation.run(async (runtime) => {
      const directory = `${this.#home}/log`;
      await runtime.disk.makeDirectory(directory, {recursive: true});
      await restoreMetadata(runtime, memoryEngine(runtime, this.#medium), directory, streamOf(backup));
    });
  }

  #stores(runtime: Runtime, real: Runtime): StoreRegistry {
    const {disk, clock, random} = runtime;
    const http = {request: () => Promise.reject(new WeirError('Unavailable', 'there is no network'))};
    return {
      schemes: ['file', 'mem'],
      describe: (uri) => Promise.resolve({place: uri, defaultName: 'store', secrets: []}),
      open: async (uri, options, uploads) => {
        const store = uri.startsWith('mem:') ? this.#reached(uri, real, runtime) : await fileConnector.open(uri, options, {disk, clock, random, variables: {}, http});
        return uploads ? withUploadNotes(store, uploads) : store;
      },
    };
  }

  #reached(uri: string, real: Runtime, {clock, random}: Runtime): UnderStore {
    const store = withTimeout(untilDeath(real, notClosed(new TroubledStore(this.distant(uri), real.clock, this.trouble))), clock);
    return withRetry(store, clock, random, {...defaultRetry, attemptsMax: this.#options.attemptsMax});
  }
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Waits until nothing is pending. Answers what still is, after so long. */
export async function settled({master, runtime}: Instance, withinMs: number): Promise<readonly unknown[]> {
  const late = runtime.clock.nowMs() + withinMs;
  for (;;) {
    const {entries} = await master.listPending({path: '/' as ByteString, limit: 100}, systemContext);
    if (entries.length === 0 || runtime.clock.nowMs() >= late) return entries;
    await runtime.clock.sleep(500);
  }
}

/** For a moment a process that has died goes on with what it has in memory, asks what time it is and passes further points: nothing comes of it. */
function mortal(runtime: Runtime): Runtime {
  const orElse = <A extends unknown[], T>(call: (...args: A) => T, otherwise: () => T): ((...args: A) => T) => (...args) => {
    try {
      return call(...args);
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
      return otherwise();
    }
  };
  const {clock} = runtime;
  const orLast = <T>(read: () => T): (() => T) => {
    let last = read();
    return orElse(() => (last = read()), () => last);
  };
  return {
    ...runtime,
    clock: {...clock, nowMs: orLast(() => clock.nowMs()), nowNs: orLast(() => clock.nowNs()), steadyMs: orLast(() => clock.steadyMs()), monotonicMs: orLast(() => clock.monotonicMs())},
    crashPoint: orElse((name: string) => runtime.crashPoint(name), () => undefined),
  };
}
