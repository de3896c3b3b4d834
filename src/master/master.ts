/**
 * The master: the namespace, the mounts, and the commit of writes (contracts/master-api.ts). This class only wires and
 * delegates; the ideas are in the folders: `namespace/` changes metadata, synchronously; `freshness/` knows what may be
 * believed; `loader/` asks stores; `writes/` lets store and namespace change together; `jobs/` lets stores follow;
 * `mounts/` has the stores.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {
  BeginWriteOptions, Changes, CompleteOptions, FileInfo, JobInfo, ListPage, ListRequest, ListVersionsRequest, LockChange, LookupResult, MakeDirectoryOptions, MasterApi, MountRequest, NodeInfo,
  Observation, OpenResult, PartRecord, PathExplanation, PathOptions, PersistPage, PersistRequest, RemoveOptions, RemoveResult, UploadRecord, UsageInfo, VersionPage,
  WebhookInfo, WebhookRequest, WriteTicket, WrittenObject,
} from '#contracts/master-api.ts';
import type {MasterOnTheSpot} from '#contracts/on-the-spot.ts';
import {ChangeFeed} from '#master/change-feed.ts';
import {Events} from '#master/events/events.ts';
import {explain} from '#master/explain.ts';
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
import {countTree} from '#master/loader/count-tree.ts';
import {Lister} from '#master/loader/lister.ts';
import {Loader} from '#master/loader/loader.ts';
import {Lookups} from '#master/loader/lookups.ts';
import {Reading} from '#master/loader/reading.ts';
import {Mounting, type RootMount} from '#master/mounts/mounting.ts';
import {MountTable} from '#master/mounts/mount-table.ts';
import {WrittenMounts} from '#master/mounts/written-mounts.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {setAttributes} from '#master/namespace/set-attributes.ts';
import {setLock} from '#master/namespace/set-lock.ts';
import {locate} from '#master/namespace/locate.ts';
import {getOrphan} from '#master/namespace/orphans.ts';
import {infoOf, inodeAt} from '#master/namespace/place.ts';
import {resolve, storeKeyOfPath} from '#master/namespace/resolve.ts';
import {readSettings, setSetting} from '#master/namespace/settings.ts';
import {usageOfAll, usageOfMount} from '#master/namespace/usage.ts';
import {versionUsageOf, versionUsageOfAll} from '#master/namespace/versions.ts';
import type {Usage} from '#codec/namespace/usage-record.ts';
import type {BacklogLimits} from '#master/persist/backlog.ts';
import {PersistRequests} from '#master/persist/persist-requests.ts';
import {type PendingCache, Persister} from '#master/persist/persister.ts';
import {UploadGate} from '#master/persist/upload-gate.ts';
import {Transactions} from '#master/transactions.ts';
import {Archives} from '#master/writes/archives.ts';
import {Mutations} from '#master/writes/mutations.ts';
import {Ownership} from '#master/writes/ownership.ts';
import {Renames} from '#master/writes/renames.ts';
import {Turns} from '#master/writes/turns.ts';
import {Uploads} from '#master/writes/uploads.ts';
import {Writes} from '#master/writes/writes.ts';
import type {Metastore} from '#metastore/metastore.ts';
import type {AttributePatch, Settings} from '#model/inode.ts';
import type {Mount} from '#model/mount.ts';
import {formatPath, parsePath, type Path, type PathKind} from '#model/path.ts';
import type {Http} from '#runtime/http.ts';
import type {SpecialFile} from '#model/special-file.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {StoreProvider, StoreRegistry} from '#understore/store-provider.ts';

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
  /** Events of buckets are sent by it; absent: to nobody. */
  readonly http?: Pick<Http, 'request'>;
  /** Keeps what stores are still to get; absent: ASYNC_THROUGH is Unsupported. */
  readonly pending?: PendingCache;
  /** How much may be pending at a time. */
  readonly backlog?: Partial<BacklogLimits>;
  /** The backup's bytes; absent: backup is Unsupported. */
  readonly writeBackup?: (metastore: Metastore) => AsyncIterable<Uint8Array>;
}

/** How long an end waits for what its stores can still get. */
const persistAtEndMs = 4_000;

export class Master implements MasterApi, MasterOnTheSpot, AsyncDisposable {
  readonly #services: MasterServices;
  readonly #feed: ChangeFeed;
  readonly #transactions: Transactions;
  readonly #mounts: MountTable;
  readonly #beliefs = new Beliefs();
  readonly #coverage = new Coverage();
  readonly #knowledge: Knowledge;
  readonly #loader: Loader;
  readonly #reading: Reading;
  readonly #lookups: Lookups;
  readonly #lister: Lister;
  readonly #mounting: Mounting;
  readonly #jobs: Jobs;
  readonly #garbage: GarbageCollector;
  readonly #written: WrittenMounts;
  readonly #writes: Writes;
  readonly #uploads: Uploads;
  readonly #held: HeldInodes;
  readonly #openUploads: OpenUploads;
  readonly #lifecycle: Lifecycle;
  readonly #timers: TimerQueue;
  readonly #mutations: Mutations;
  readonly #renames: Renames;
  readonly #events: Events;
  readonly #persister: Persister;
  readonly #persistRequests: PersistRequests;

  /** Ready when the mounts are known and interrupted jobs go on. */
  static async open(services: MasterServices): Promise<Master> {
    const master = new Master(services);
    master.#events.listen();
    await master.#mounting.open(services.root);
    for (const mount of master.#written.load()) master.#mounting.forget(mount, '' as ByteString);
    master.#persister.load();
    master.#jobs.resume();
    await master.#held.cleanUp(new Set(services.returningHolders));
    master.#persister.start();
    master.#garbage.soon();
    master.#openUploads.start();
    await master.#lifecycle.adopt();
    master.#timers.start();
    master.#events.start();
    return master;
  }

  private constructor(services: MasterServices) {
    const {metastore, runtime, stores} = services;
    this.#services = services;
    this.#feed = new ChangeFeed(runtime.clock);
    const transactions = (this.#transactions = new Transactions(metastore, runtime.clock, this.#feed));
    const mounts = (this.#mounts = new MountTable(stores, runtime.log, mount => this.#openUploads.notesOf(mount)));
    this.#openUploads = new OpenUploads({transactions, mounts, runtime, completing: uploadId => this.#writes.completes(uploadId)});
    const now = (): number => transactions.now();
    const following = new Following();
    const recent = new RecentChanges(now);
    const turns = new Turns();
    const beliefs = this.#beliefs;
    const coverage = this.#coverage;
    this.#knowledge = new Knowledge({beliefs, coverage, mount: id => mounts.mount(id), following: (mount, key) => following.covers(mount, key), now});
    const loading = {transactions, mounts, knowledge: this.#knowledge, beliefs, recent, following, coverage, turns};
    this.#loader = new Loader(loading);
    this.#reading = new Reading(loading, this.#loader);
    this.#lookups = new Lookups(loading, this.#loader);
    this.#lister = new Lister(loading, this.#loader);
    const drop = services.onContentDropped ?? (() => undefined);
    this.#garbage = new GarbageCollector(transactions, mounts, runtime, contents => drop(this.#persister.droppable(contents)));
    this.#events = new Events({transactions, runtime, http: services.http});
    transactions.onCommit(() => {
      this.#garbage.soon();
      this.#events.soon();
    });
    this.#written = new WrittenMounts(transactions);
    const forget = (mount: MountId, prefix: ByteString): void => this.#mounting.forget(mount, prefix);
    const gate = new UploadGate();
    const persister = (this.#persister = new Persister({...loading, gate, written: this.#written, runtime, cache: services.pending, limits: services.backlog}));
    const moving = {...loading, written: this.#written, gate, persister, runtime, loader: this.#loader, forget};
    this.#persistRequests = new PersistRequests(moving);
    this.#jobs = new Jobs(moving);
    this.#held = new HeldInodes(transactions);
    const archives = new Archives({transactions, mounts, runtime, jobs: this.#jobs, held: this.#held});
    const ownership = new Ownership({...moving, jobs: this.#jobs});
    const changing = {...moving, archives, ownership};
    this.#writes = new Writes(changing);
    this.#uploads = new Uploads({transactions, random: runtime.random, clock: runtime.clock}, this.#writes);
    const mutating = {...changing, lister: this.#lister, jobs: this.#jobs};
    this.#mutations = new Mutations(mutating);
    this.#lifecycle = new Lifecycle({
      transactions, runtime, lister: this.#lister, completing: uploadId => this.#writes.completes(uploadId),
      remove: async (path, options, context) => await this.#mutations.remove(path, options, context),
    });
    this.#timers = new TimerQueue(transactions, runtime, {lifecycle: this.#lifecycle.walk});
    this.#renames = new Renames(mutating);
    this.#mounting = new Mounting({...loading, registry: stores, loader: this.#loader, jobs: this.#jobs, persister});
    runtime.metrics.gauge('weir_master_writes', 'Writes under way.', () => this.#writes.count);
    runtime.metrics.gauge('weir_master_held_inodes', 'Open files times who has them open.', () => this.#held.count);
    runtime.metrics.gauge('weir_master_jobs', 'Background jobs that make stores follow the namespace.', () => this.#jobs.list().length);
  }

  /** The open stores, by mount: the worker reads and writes through the same ones. */
  get stores(): StoreProvider {
    return this.#mounts;
  }

  async stat(path: ByteString, options: PathOptions, context: CallContext): Promise<FileInfo> {
    if (options.version !== undefined) return await this.#reading.statVersion(parsePath(path, 'file'), options.version, context);
    return this.statNow(path, options, context.principal) ?? (await this.#reading.stat(parsePath(path, options.kind), context));
  }

  async pathOf(inode: InodeId, _context: CallContext): Promise<ByteString> {
    const found = await this.#transactions.read(reader => locate(reader, inode));
    if (!found) throw new WeirError('NotFound', `inode ${inode} has no name any more`);
    return found.path;
  }

  async statInode(inode: InodeId, context: CallContext): Promise<NodeInfo> {
    return (isUnchecked(context.principal) ? this.#lookups.statNow(inode) : undefined) ?? (await this.#lookups.stat(inode, context));
  }

  async lookup(directory: InodeId, name: ByteString, kind: PathKind, context: CallContext): Promise<LookupResult> {
    return (isUnchecked(context.principal) ? this.#lookups.lookupNow(directory, name, kind) : undefined) ?? (await this.#lookups.lookup(directory, name, kind, context));
  }

  statInodeNow(inode: InodeId): NodeInfo | undefined {
    return this.#lookups.statNow(inode);
  }

  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined {
    return this.#lookups.lookupNow(directory, name, kind);
  }

  /** Who does not listen any more has ended, and has nothing open. */
  async *watch(origin: string, context: CallContext): AsyncGenerator<Changes> {
    try {
      yield* this.#feed.watch(origin, context);
    } finally {
      await this.#held.holds(origin, new Set());
    }
  }

  /** What is answered is seen by all who remember answers. Mounts do not wait for each other: each may hold what the other would have to forget first. */
  async #told<T>(change: Promise<T>, {origin}: CallContext): Promise<T> {
    const result = await change;
    if (origin === undefined && this.#feed.count > 0) await this.#feed.told();
    return result;
  }

  async retain(inode: InodeId, holder: string, _context: CallContext): Promise<FileInfo> {
    const info = this.#transactions.peek(reader => {
      const found = locate(reader, inode);
      if (found) return infoOf(found.path, inodeAt(reader, found.place), found.place.mount);
      const orphan = getOrphan(reader, inode);
      return orphan && infoOf('' as ByteString, orphan.inode, orphan.mount);
    });
    if (!info) throw new WeirError('NotFound', `inode ${inode} has gone`);
    this.#held.retain(inode, holder);
    return info;
  }

  async release(inode: InodeId, holder: string, _context: CallContext): Promise<void> {
    await this.#held.release(inode, holder);
  }

  async hold(holder: string, inodes: readonly InodeId[], _context: CallContext): Promise<void> {
    await this.#held.holds(holder, new Set(inodes));
  }

  async open(path: ByteString, options: PathOptions, context: CallContext): Promise<OpenResult> {
    if (options.version !== undefined) return {known: await this.#reading.openVersion(parsePath(path, 'file'), options.version, context)};
    const now = options.kind === undefined || options.kind === 'file' ? this.openNow(path, context.principal) : undefined;
    return now ? {known: now} : await this.#reading.open(parsePath(path, options.kind ?? 'file'), context);
  }

  statNow(path: ByteString, options: PathOptions, principal: Principal): FileInfo | undefined {
    return options.version === undefined ? this.#reading.statNow(path, options.kind ?? 'either', principal) : undefined;
  }

  openNow(path: ByteString, principal: Principal): FileInfo | undefined {
    return this.#reading.openNow(path, principal);
  }

  async observe(path: ByteString, observation: Observation, context: CallContext): Promise<FileInfo> {
    return await this.#reading.observe(parsePath(path, 'file'), observation, context);
  }

  async contentChanged(path: ByteString, content: ContentId, context: CallContext): Promise<FileInfo> {
    return await this.#reading.contentChanged(parsePath(path, 'file'), content, context);
  }

  async list(request: ListRequest, context: CallContext): Promise<ListPage> {
    return await this.#lister.list(request, context);
  }

  async makeDirectory(path: ByteString, options: MakeDirectoryOptions, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#mutations.makeDirectory(path, options, context), context);
  }

  async makeSymlink(path: ByteString, target: ByteString, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#mutations.makeSymlink(path, target, context), context);
  }

  async makeSpecial(path: ByteString, special: SpecialFile, options: {readonly mode: number}, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#mutations.makeSpecial(path, special, options, context), context);
  }

  async setAttributes(path: ByteString, patch: AttributePatch, options: PathOptions, context: CallContext): Promise<FileInfo> {
    const parsed = parsePath(path, options.kind);
    await this.#loader.freshen(parsed, {askedAt: this.#transactions.now(), signal: context.signal});
    return await this.#told(this.#transactions.change(context, (tx, op) => setAttributes(tx, op, parsed, patch, options.version)), context);
  }

  async setLock(path: ByteString, change: LockChange, options: PathOptions, context: CallContext): Promise<FileInfo> {
    const parsed = parsePath(path, 'file');
    await this.#loader.freshen(parsed, {askedAt: this.#transactions.now(), signal: context.signal});
    return await this.#told(this.#transactions.change(context, (tx, op) => setLock(tx, op, parsed, change, options.version)), context);
  }

  async getSettings(path: ByteString, context: CallContext): Promise<{readonly revision: number; readonly settings: Settings}> {
    const parsed = parsePath(path, 'directory');
    await this.#loader.freshen(parsed, {askedAt: this.#transactions.now(), signal: context.signal});
    return await this.#transactions.read(reader => readSettings(reader, parsed, context.principal));
  }

  async setSetting(path: ByteString, name: string, value: string | null, context: CallContext): Promise<FileInfo> {
    const parsed = parsePath(path, 'directory');
    await this.#loader.freshen(parsed, {askedAt: this.#transactions.now(), signal: context.signal});
    this.#events.setting(name);
    return await this.#told(this.#transactions.change(context, (tx, op) => setSetting(tx, op, parsed, name, value)), context);
  }

  async rename(from: ByteString, to: ByteString, options: {replace: boolean} & PathOptions, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#renames.rename(from, to, options, context), context);
  }

  async link(from: ByteString, to: ByteString, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#renames.link(from, to, context), context);
  }

  async remove(path: ByteString, options: RemoveOptions & PathOptions, context: CallContext): Promise<RemoveResult> {
    return await this.#told(this.#mutations.remove(path, options, context), context);
  }

  async listVersions(request: ListVersionsRequest, context: CallContext): Promise<VersionPage> {
    return await this.#lister.listVersions(request, context);
  }

  async beginWrite(path: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext): Promise<WriteTicket> {
    return await this.#writes.begin(path, options, context);
  }

  async prepareCommit(ticket: WriteTicket, context: CallContext): Promise<void> {
    await this.#writes.prepare(ticket, context);
  }

  async commitWrite(ticket: WriteTicket, object: WrittenObject, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#writes.commit(ticket, object, context), context);
  }

  async abandonWrite(ticket: WriteTicket, _context: CallContext): Promise<void> {
    this.#writes.abandon(ticket);
  }

  async listPending(request: PersistRequest, context: CallContext): Promise<PersistPage> {
    return this.#persistRequests.list(request, context);
  }

  async persist(path: ByteString, options: {readonly resolve?: 'overwrite' | 'discard'}, context: CallContext): Promise<{readonly files: number}> {
    return await this.#persistRequests.persist(path, options, context);
  }

  /** Contents that no store has, and those of which it is not known. */
  pendingContents(): ReadonlySet<ContentId> {
    return this.#persister.contents();
  }

  async createUpload(
    ticket: WriteTicket, upload: Omit<UploadRecord, 'uploadId' | 'content' | 'initiatedAt' | 'initiator' | 'path' | 'mount' | 'storeKey' | 'metadata'>, context: CallContext,
  ): Promise<UploadRecord> {
    return await this.#uploads.create(ticket, upload, context);
  }

  async getUpload(path: ByteString, uploadId: string, _context: CallContext): Promise<UploadRecord> {
    return await this.#uploads.get(path, uploadId);
  }

  async putPart(path: ByteString, uploadId: string, part: PartRecord, context: CallContext): Promise<void> {
    await this.#uploads.putPart(path, uploadId, part, context);
  }

  async listParts(path: ByteString, uploadId: string, after: number, limit: number, _context: CallContext): Promise<readonly PartRecord[]> {
    return await this.#uploads.listParts(path, uploadId, after, limit);
  }

  async listUploads(request: {directory: ByteString; prefix?: ByteString; after?: {key: ByteString; uploadId: string}; limit: number}, _context: CallContext): Promise<readonly UploadRecord[]> {
    return await this.#uploads.list(request);
  }

  async beginCompleteUpload(path: ByteString, uploadId: string, options: CompleteOptions, context: CallContext): Promise<WriteTicket> {
    return await this.#uploads.beginComplete(path, uploadId, options, context);
  }

  async removeUpload(path: ByteString, uploadId: string, context: CallContext): Promise<void> {
    await this.#uploads.remove(path, uploadId, context);
  }

  async mount(request: MountRequest, context: CallContext): Promise<Mount> {
    return await this.#told(this.#mounting.mount(request, context), context);
  }

  async updateMount(path: ByteString, change: Partial<Omit<MountRequest, 'path' | 'uri'>>, context: CallContext): Promise<Mount> {
    const mount = await this.#mounting.update(path, change, context);
    this.#feed.lose();
    return await this.#told(Promise.resolve(mount), context);
  }

  async unmount(path: ByteString, context: CallContext): Promise<void> {
    await this.#told(this.#mounting.unmount(path, context), context);
  }

  async listMounts(_context: CallContext): Promise<readonly Mount[]> {
    return this.#mounting.list();
  }

  async refresh(path: ByteString, context: CallContext): Promise<void> {
    const {names, kind} = parsePath(path);
    const places = await this.#transactions.read(reader => (['file', 'directory'] as const).filter(each => kind === 'either' || kind === each).map(each => {
      const wanted: Path = {names, kind: each};
      const resolution = resolve(reader, wanted, context.principal);
      return {mount: (resolution.place ?? resolution.parent).mount, key: storeKeyOfPath(resolution)};
    }));
    for (const {mount, key} of places) this.#mounting.forget(mount, key);
    this.#feed.lose();
    // Mounts further down are below the path too.
    const directory = `/${names.map(name => `${name}/`).join('')}`;
    for (const {mount} of this.#mounts) if (mount.path.startsWith(directory)) this.#mounting.forget(mount.id, '' as ByteString);
  }

  async explain(path: ByteString, options: PathOptions, context: CallContext): Promise<PathExplanation> {
    const info = await this.#transactions.read(reader => {
      const parsed = parsePath(path, options.kind);
      const place = resolve(reader, parsed, context.principal).place;
      return place ? {kind: place.kind, inode: inodeAt(reader, place), mount: place.mount, names: parsed.names} : undefined;
    });
    const known: FileInfo = info
      ? {path: `/${info.names.join('/')}${info.kind === 'directory' && info.names.length > 0 ? '/' : ''}` as ByteString, inode: info.inode, length: info.inode.content?.length ?? 0, mount: info.mount}
      : await this.stat(path, options, context);
    return this.#transactions.peek(reader => explain(reader, known, {mounts: this.#mounts, knowledge: this.#knowledge, beliefs: this.#beliefs, now: this.#transactions.now()}));
  }

  async listJobs(_context: CallContext): Promise<readonly JobInfo[]> {
    return this.#jobs.list();
  }

  async cancelJob(id: number, _context: CallContext): Promise<void> {
    await this.#jobs.cancel(id);
  }

  async usage(path: ByteString, context: CallContext): Promise<UsageInfo> {
    const {names} = parsePath(path, 'directory');
    const directory: Path = {names, kind: 'directory'};
    if (names.length === 0) return await this.#transactions.read(reader => withVersions(usageOfAll(reader), versionUsageOfAll(reader)));
    const kept = await this.#transactions.read(reader => {
      const {place} = resolve(reader, directory, context.principal);
      return place?.mountPoint ? withVersions(usageOfMount(reader, place.mount), versionUsageOf(reader, place.id)) : undefined;
    });
    if (kept) return kept;
    const counted = await countTree(this.#lister, this.#services.runtime.clock, formatPath(directory), context);
    return this.#transactions.peek(reader => {
      const {place} = resolve(reader, directory);
      return place ? withVersions(counted, versionUsageOf(reader, place.id)) : counted;
    });
  }

  async listWebhooks(_context: CallContext): Promise<readonly WebhookInfo[]> {
    return await this.#events.listWebhooks();
  }

  async putWebhook(name: string, webhook: WebhookRequest, _context: CallContext): Promise<WebhookInfo> {
    return await this.#events.putWebhook(name, webhook);
  }

  async removeWebhook(name: string, _context: CallContext): Promise<void> {
    await this.#events.removeWebhook(name);
  }

  backup(_context: CallContext): AsyncIterable<Uint8Array> {
    const {metastore, writeBackup} = this.#services;
    if (!writeBackup) throw new WeirError('Unsupported', 'this instance was started without a backup format');
    return writeBackup(metastore);
  }

  /** Lets running jobs stop where they can go on, and closes the stores. The metastore is its owner's to close. */
  async close(): Promise<void> {
    this.#writes.close();
    await this.#persister.close(persistAtEndMs);
    await this.#jobs.close();
    await this.#garbage.close();
    await this.#events.close();
    await this.#openUploads.close();
    await this.#timers.close();
    await this.#written.clear();
    await this.#mounts.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function withVersions(usage: Usage, {files: versions, directories: deleteMarkers, bytes}: Usage): UsageInfo {
  return versions + deleteMarkers === 0 ? usage : {...usage, noncurrent: {versions, deleteMarkers, bytes}};
}
