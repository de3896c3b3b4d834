/**
 * A whole instance on a simulated machine, put together as `weir up` does it: journal, block store, drafts and the home's own store on one disk that
 * tears what was not synced; and a distant store that outlives the machine.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {type BlockStore, type TierOptions} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {leftDrafts, recoverDrafts} from '#client/draft-recovery.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {connector as fileConnector} from '#connectors/file/connector.ts';
import {rootPrincipal, systemContext} from '#contracts/context.ts';
import {notClosed, untilDeath} from '#master/fixture.test.ts';
import {Master} from '#master/master.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {forgetLeftovers, pendingCache, restoreUploads} from '#process/pending-cache.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {createSimulation, type Simulation} from '#runtime/sim/simulation.ts';
import {withUploadNotes} from '#understore/layers/with-upload-notes.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';
import {Worker} from '#worker/worker.ts';

export interface Instance {
  readonly runtime: Runtime;
  readonly files: FileSystemClient;
  readonly master: Master;
  readonly blocks: BlockStore;
}

const tiers: readonly TierOptions[] = [
  {name: 'MEM', directory: '/memory', quotaBytes: 4 * MiB},
  {name: 'DISK', directory: '/cache', quotaBytes: 64 * MiB},
];

export class Machine {
  readonly simulation: Simulation;
  /** What is mounted as `mem:`; it forgets nothing. */
  readonly distant: MemoryUnderStore;
  readonly #medium = new MemoryMedium();

  constructor(seed: number) {
    this.simulation = createSimulation(seed);
    const started = BigInt(Date.UTC(2026, 0, 1)) * 1_000_000n;
    this.distant = new MemoryUnderStore({clock: {nowNs: () => started + BigInt(Math.round(this.simulation.nowMs * 1e6))}});
  }

  /** One life of the process, from its start, with all that an earlier one has left taken up, to its orderly end. */
  async life<T>(work: (instance: Instance) => Promise<T>): Promise<T> {
    return await this.simulation.run(async (real) => {
      const runtime = mortal(real);
      for (const directory of ['/log', '/memory', '/cache', '/data']) await runtime.disk.makeDirectory(directory, {recursive: true});
      await runtime.disk.syncDirectory('/');
      const metastore = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, this.#medium)});
      const blocks = await openBlockStore({runtime, tiers});
      const made: {worker?: Worker} = {};
      const master: Master = await Master.open({
        metastore, runtime, stores: this.#stores(runtime, real), root: {uri: 'file:///data', options: {}, freshness: {kind: 'immutable'}},
        onContentDropped: async (contents) => {
          for (const id of contents) await (made.worker ? made.worker.dropped(id) : blocks.drop(id));
        },
        pending: pendingCache(blocks, () => made.worker, (mount) => master.stores.get(mount).capabilities.localFile, (upload) => made.worker?.uploadEnded(upload)),
      });
      void forgetLeftovers(blocks, master, runtime.log);
      const worker = (made.worker = new Worker({runtime, blocks, stores: master.stores, drafts: '/drafts'}));
      void restoreUploads(worker, master, runtime.log);
      const files = new FileSystemClient({master, worker, here: {master, worker}});
      const context = {...systemContext, principal: rootPrincipal};
      await recoverDrafts({master, worker}, await leftDrafts(worker, runtime.log, context), runtime.log, context);
      const result = await work({runtime, files, master, blocks});
      await master.close();
      await worker.close();
      await blocks.close();
      await metastore.close();
      return result;
    });
  }

  #stores(runtime: Runtime, real: Runtime): StoreRegistry {
    const {disk, clock, random} = runtime;
    const http = {request: () => Promise.reject(new WeirError('Unavailable', 'there is no network'))};
    return {
      schemes: ['file', 'mem'],
      describe: (uri) => Promise.resolve({place: uri, defaultName: 'store', secrets: []}),
      open: async (uri, options, uploads) => {
        const store = uri.startsWith('mem:') ? untilDeath(real, notClosed(this.distant)) : await fileConnector.open(uri, options, {disk, clock, random, variables: {}, http});
        return uploads ? withUploadNotes(store, uploads) : store;
      },
    };
  }
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
    clock: {...clock, nowMs: orLast(() => clock.nowMs()), nowNs: orLast(() => clock.nowNs()), monotonicMs: orLast(() => clock.monotonicMs())},
    crashPoint: orElse((name: string) => runtime.crashPoint(name), () => undefined),
  };
}
