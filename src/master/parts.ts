/**
 * What a master is made of, wired: `namespace/` changes metadata, synchronously; `freshness/` knows what may be believed; `loader/` asks stores;
 * `writes/` lets store and namespace change together; `persist/` brings to stores what was written to the cache alone; `jobs/` lets stores
 * follow; `events/` tells of changes; `mounts/` has the stores.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {Foreground} from '#base/foreground.ts';
import type {MountId} from '#base/ids.ts';
import {ChangeFeed} from '#master/change-feed.ts';
import {Events} from '#master/events/events.ts';
import {Beliefs} from '#master/freshness/beliefs.ts';
import {Coverage} from '#master/freshness/coverage.ts';
import {Knowledge} from '#master/freshness/knowledge.ts';
import {RecentChanges} from '#master/freshness/recent-changes.ts';
import {Following} from '#master/jobs/following.ts';
import {GarbageCollector, type OnContentDropped} from '#master/jobs/garbage-collector.ts';
import {HeldInodes} from '#master/held-inodes.ts';
import {Jobs} from '#master/jobs/jobs.ts';
import {Lifecycle} from '#master/jobs/lifecycle.ts';
import {TimerQueue} from '#master/jobs/timer-queue.ts';
import {OpenUploads} from '#master/jobs/open-uploads.ts';
import {Lister} from '#master/loader/lister.ts';
import {Loader} from '#master/loader/loader.ts';
import {Lookups} from '#master/loader/lookups.ts';
import {Reading} from '#master/loader/reading.ts';
import {Mounting, type RootMount} from '#master/mounts/mounting.ts';
import {MountTable} from '#master/mounts/mount-table.ts';
import {WrittenMounts} from '#master/mounts/written-mounts.ts';
import type {BacklogLimits} from '#master/persist/backlog.ts';
import {PersistRequests} from '#master/persist/persist-requests.ts';
import type {PendingCache} from '#master/persist/pending-cache.ts';
import {Persister} from '#master/persist/persister.ts';
import {UploadGate} from '#master/persist/upload-gate.ts';
import {Locks} from '#master/locks.ts';
import {Quotas} from '#master/quotas.ts';
import {Transactions} from '#master/transactions.ts';
import {Archives} from '#master/writes/archives.ts';
import {Attributes} from '#master/writes/attributes.ts';
import {Exchanges} from '#master/writes/exchanges.ts';
import {MadeDirectories} from '#master/writes/made-directories.ts';
import {Mutations} from '#master/writes/mutations.ts';
import {Ownership} from '#master/writes/ownership.ts';
import {Renames} from '#master/writes/renames.ts';
import {Turns} from '#master/writes/turns.ts';
import {Uploads} from '#master/writes/uploads.ts';
import {Seals} from '#master/writes/seals.ts';
import {WriteTypes} from '#master/writes/write-types.ts';
import {Writes} from '#master/writes/writes.ts';
import type {Metastore} from '#metastore/metastore.ts';
import type {Http} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {StoreRegistry} from '#understore/store-provider.ts';

export interface MasterServices {
  /** Opened and closed by who hands it in. */
  readonly metastore: Metastore;
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'log' | 'metrics' | 'crashPoint'>;
  readonly stores: StoreRegistry;
  /** The mount of `/`, used when the instance starts for the first time. */
  readonly root: RootMount;
  /** Told of contents that nothing refers to any more, in batches, at least once each. */
  readonly onContentDropped?: OnContentDropped;
  /** Who may come back with files open that it had open in an earlier life (MasterApi.hold). */
  readonly returningHolders?: readonly string[];
  /** Told of a mount that does not listen any more (MasterApi.watch), and says when it has ended (Master.endHolder); absent: it has. */
  readonly onHolderGone?: (holder: string) => void;
  /** Events of buckets are sent by it; absent: to nobody. */
  readonly http?: Pick<Http, 'request'>;
  /** Keeps what stores are still to get; absent: ASYNC_THROUGH is Unsupported. */
  readonly pending?: PendingCache;
  /** How much may be pending at a time. */
  readonly backlog?: Partial<BacklogLimits>;
  /** What programs ask for, which goes before what is done behind. */
  readonly foreground?: Foreground;
  /** The backup's bytes; absent: backup is Unsupported. */
  readonly writeBackup?: (metastore: Metastore) => AsyncIterable<Uint8Array>;
}

/** Everything is made, and nothing runs yet. */
export function assemble(services: MasterServices) {
  const {metastore, runtime, stores} = services;
  const feed = new ChangeFeed(runtime.clock);
  const transactions = new Transactions(metastore, runtime.clock, feed);
  const mounts = new MountTable(stores, runtime.log, mount => openUploads.notesOf(mount));
  const openUploads: OpenUploads = new OpenUploads({transactions, mounts, runtime, completing: uploadId => writes.completes(uploadId), ended: upload => persister.uploadEnded(upload)});
  const now = (): number => transactions.now();
  const following = new Following(runtime.clock);
  const recent = new RecentChanges(now);
  const turns = new Turns();
  const beliefs = new Beliefs(now);
  const coverage = new Coverage();
  const knowledge = new Knowledge({beliefs, coverage, mount: id => mounts.mount(id), following: (mount, key) => following.covers(mount, key), failure: (mount, key) => following.failureAt(mount, key), now});
  const loading = {transactions, mounts, knowledge, beliefs, recent, following, coverage, turns};
  const loader = new Loader(loading);
  const reading = new Reading(loading, loader);
  const lookups = new Lookups(loading, loader);
  const lister = new Lister(loading, loader);
  const drop = services.onContentDropped ?? (() => undefined);
  const garbage = new GarbageCollector(transactions, mounts, runtime, contents => drop(persister.droppable(contents)));
  const events = new Events({transactions, runtime, http: services.http});
  transactions.onCommit(() => {
    garbage.soon();
    events.soon();
  });
  const written = new WrittenMounts(transactions);
  const forget = (mount: MountId, prefix: ByteString): void => mounting.forget(mount, prefix);
  const arrived = (mount: MountId, prefix: ByteString): void => mounting.arrived(mount, prefix);
  const gate = new UploadGate();
  const persister: Persister = new Persister({...loading, gate, written, runtime, cache: services.pending, limits: services.backlog, foreground: services.foreground});
  const moving = {...loading, written, gate, persister, runtime, loader, forget, arrived};
  const persistRequests = new PersistRequests(moving);
  const jobs = new Jobs(moving);
  const held = new HeldInodes({transactions, following, turns});
  const locks = new Locks();
  const quotas = new Quotas(transactions, runtime.log);
  const attributes = new Attributes({transactions, loader, lookups, events, quotas});
  const archives = new Archives({transactions, mounts, runtime, jobs, held});
  const ownership = new Ownership({...moving, jobs});
  const types = new WriteTypes(moving);
  const changing = {...moving, quotas, archives, ownership, types};
  const writes: Writes = new Writes(changing);
  const seals = new Seals(changing);
  const uploads = new Uploads({transactions, random: runtime.random, clock: runtime.clock}, writes);
  const madeDirectories = new MadeDirectories({transactions, mounts, following, runtime});
  const mutating = {...changing, lister, jobs, madeDirectories};
  const mutations: Mutations = new Mutations(mutating);
  const lifecycle = new Lifecycle({
    transactions, runtime, lister, completing: uploadId => writes.completes(uploadId), uploadEnded: upload => persister.uploadEnded(upload),
    remove: async (path, options, context) => await mutations.remove(path, options, context),
  });
  const timers = new TimerQueue(transactions, runtime, {lifecycle: lifecycle.walk});
  const renames = new Renames(mutating);
  const exchanges = new Exchanges(mutating);
  const mounting: Mounting = new Mounting({...loading, registry: stores, loader, jobs, persister});
  runtime.metrics.gauge('weir_master_writes', 'Writes under way.', () => writes.count);
  runtime.metrics.gauge('weir_master_held_inodes', 'Open files times who has them open.', () => held.count);
  runtime.metrics.gauge('weir_master_locks', 'Locks between mounts, held or waited for.', () => locks.count);
  runtime.metrics.gauge('weir_master_jobs', 'Background jobs that make stores follow the namespace.', () => jobs.list().length);
  return {
    feed, transactions, mounts, beliefs, knowledge, loader, reading, lookups, lister, mounting, jobs, garbage,
    written, writes, seals, uploads, attributes, held, openUploads, lifecycle, timers, mutations, madeDirectories, renames, exchanges, events, persister, persistRequests, quotas, locks,
  };
}

export type Parts = ReturnType<typeof assemble>;
