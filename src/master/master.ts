/** The master: the namespace, the mounts, and the commit of writes (contracts/master-api.ts). This class only delegates; what to is in parts.ts. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {JobInfo, MountRequest, PathExplanation, PersistPage, PersistRequest, UsageInfo, WebhookInfo, WebhookRequest} from '#contracts/administration.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {ListPage, ListRequest, ListVersionsRequest, VersionPage} from '#contracts/listings.ts';
import type {
  ChangedRange, Changes, LockChange, LockInfo, LockRequest, LookupResult, MakeDirectoryOptions, MasterApi, NodeInfo, Observation, OpenResult, QuotaInfo, RemoveOptions, RemoveResult, RenamePathOptions, RoomInfo,
} from '#contracts/master-api.ts';
import type {ChangedNow, MadeNow, MasterOnTheSpot, MountsOnTheSpot} from '#contracts/on-the-spot.ts';
import type {BeginWriteOptions, CompleteOptions, PartRecord, SealedDraft, SealOptions, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import {assemble, type MasterServices, type Parts} from '#master/parts.ts';
import {asKnown, explain} from '#master/explain.ts';
import {usageAt} from '#master/loader/usages.ts';
import {restoreCarried, settleCarried} from '#master/persist/carried-bytes.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {locate} from '#master/namespace/locate.ts';
import type {FileLock} from '#model/file-locks.ts';
import type {AttributePatch, Inode, Settings} from '#model/inode.ts';
import type {Mount} from '#model/mount.ts';
import {parsePath, type PathKind} from '#model/path.ts';
import {isSealed} from '#model/seal.ts';
import type {SpecialFile} from '#model/special-file.ts';
import type {Commit} from '#metastore/metastore.ts';
import type {StoreProvider} from '#understore/store-provider.ts';

/** How long an end waits for what its stores can still get. */
const persistAtEndMs = 4_000;

export class Master implements MasterApi, MasterOnTheSpot, MountsOnTheSpot, AsyncDisposable {
  readonly #services: MasterServices;
  readonly #parts: Parts;

  /** Ready when the mounts are known and interrupted jobs go on. */
  static async open(services: MasterServices): Promise<Master> {
    const master = new Master(services);
    await restoreCarried(services, master.pendingContents());
    master.#parts.events.listen();
    await master.#parts.mounting.open(services.root);
    for (const mount of master.#parts.written.load()) master.#parts.mounting.forget(mount, '' as ByteString);
    master.#parts.quotas.load();
    const returning = new Set(services.returningHolders);
    master.#parts.held.retainReplaced(returning);
    await master.#parts.jobs.settleRenames();
    await master.#parts.jobs.settlePublications();
    await master.#parts.persister.mend();
    master.#parts.persister.load();
    master.#parts.jobs.resume();
    await master.#parts.madeDirectories.recover();
    await master.#parts.held.cleanUp(returning);
    master.#parts.persister.start();
    master.#parts.garbage.soon();
    master.#parts.openUploads.start();
    await master.#parts.lifecycle.adopt();
    master.#parts.timers.start();
    master.#parts.events.start();
    return master;
  }

  private constructor(services: MasterServices) {
    this.#services = services;
    this.#parts = assemble(services);
  }

  /** The open stores, by mount: the worker reads and writes through the same ones. */
  get stores(): StoreProvider {
    return this.#parts.mounts;
  }

  async stat(path: ByteString, options: PathOptions, context: CallContext): Promise<FileInfo> {
    if (options.version !== undefined) return await this.#parts.reading.statVersion(parsePath(path, 'file'), options.version, context);
    return this.statNow(path, options, context.principal) ?? (await this.#parts.reading.stat(parsePath(path, options.kind), context));
  }

  async pathOf(inode: InodeId, context: CallContext): Promise<ByteString> {
    const found = await this.#parts.transactions.read(reader => locate(reader, inode), context);
    if (!found) throw new WeirError('NotFound', `inode ${inode} has no name any more`);
    return found.path;
  }

  async earlier(context: CallContext): Promise<{readonly info?: FileInfo} | undefined> {
    const earlier = await this.#parts.transactions.earlier<Partial<FileInfo> | null | undefined>(context);
    return earlier && (earlier.result?.inode ? {info: earlier.result as FileInfo} : {});
  }

  async statInode(inode: InodeId, context: CallContext): Promise<NodeInfo> {
    return (isUnchecked(context.principal) ? this.#parts.lookups.statNow(inode) : undefined) ?? (await this.#parts.lookups.stat(inode, context));
  }

  async lookup(directory: InodeId, name: ByteString, kind: PathKind, context: CallContext): Promise<LookupResult> {
    return (isUnchecked(context.principal) ? this.#parts.lookups.lookupNow(directory, name, kind) : undefined) ?? (await this.#parts.lookups.lookup(directory, name, kind, context));
  }

  statInodeNow(inode: InodeId): NodeInfo | undefined {
    return this.#parts.lookups.statNow(inode);
  }

  retainNow(inode: InodeId, holder: string): FileInfo | undefined {
    const info = this.#parts.lookups.infoNow(inode);
    const content = info?.inode.content;
    if (info?.inode.kind !== 'file' || !content || isSealed(content) || this.#parts.held.isChanging(content.mount, content.storeKey)) return undefined;
    this.#parts.held.retainNamed(inode, holder);
    return info;
  }

  releaseNow(inode: InodeId, holder: string): boolean {
    return this.#parts.held.releaseNow(inode, holder);
  }

  isReadOnlyNow(mount: MountId): boolean {
    return this.#parts.mounts.isReadOnly(mount);
  }

  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined {
    return this.#parts.lookups.lookupNow(directory, name, kind);
  }

  /** Who does not listen any more has ended, and has nothing open; where somebody may come back, who knows that says it later (`endHolder`). */
  async *watch(origin: string, context: CallContext): AsyncGenerator<Changes> {
    try {
      yield* this.#parts.feed.watch(origin, context);
    } finally {
      const {onHolderGone} = this.#services;
      if (onHolderGone) onHolderGone(origin);
      else await this.endHolder(origin);
    }
  }

  /** It does not come back: its locks are released, and nothing is open by it. */
  async endHolder(origin: string): Promise<void> {
    this.#parts.locks.releaseHolder(origin);
    await this.#parts.held.holds(origin, new Set());
  }

  /** Whether a mount listens (`watch`). */
  isListening(origin: string): boolean {
    return this.#parts.feed.hears(origin);
  }

  othersWith(inode: InodeId, origin: string | undefined): readonly string[] {
    return this.#parts.held.othersOf(inode, origin);
  }

  openBy(holder: string): readonly InodeId[] {
    return this.#parts.held.heldBy(holder);
  }

  tellWritten(inode: InodeId, range: ChangedRange, to: readonly string[]): void {
    this.#parts.feed.written(inode, range, to);
  }

  async told(except: string | undefined): Promise<void> {
    await this.#parts.feed.told(except);
  }

  /** What is answered is seen by all who remember answers. Mounts do not wait for each other: each may hold what the other would have to forget first. */
  async #told<T>(change: Promise<T>, {origin}: CallContext): Promise<T> {
    const result = await change;
    if (origin === undefined && this.#parts.feed.count > 0) await this.#parts.feed.told();
    return result;
  }

  async retain(inode: InodeId, holder: string, {signal}: CallContext): Promise<FileInfo> {
    return await this.#parts.held.hold(inode, holder, signal);
  }

  async release(inode: InodeId, holder: string, _context: CallContext): Promise<void> {
    await this.#parts.held.release(inode, holder);
  }

  async sync(inode: InodeId | undefined, _context: CallContext): Promise<void> {
    await Promise.all([this.#parts.transactions.sync(), inode !== undefined && this.#parts.persister.sync(inode)]);
  }

  lastsNow(inode: InodeId): boolean {
    const {metastore} = this.#parts.transactions;
    return metastore.durableSequence >= metastore.sequence && this.#parts.persister.lasts(inode);
  }

  async reserveInode(_context: CallContext): Promise<InodeId> {
    const {transactions} = this.#parts;
    transactions.ids.ensure(transactions.metastore);
    return transactions.ids.next<InodeId>();
  }

  async hold(holder: string, inodes: readonly InodeId[], _context: CallContext): Promise<void> {
    await this.#parts.held.holds(holder, new Set(inodes));
  }

  async open(path: ByteString, options: PathOptions, context: CallContext): Promise<OpenResult> {
    if (options.version !== undefined) return {known: await this.#parts.reading.openVersion(parsePath(path, 'file'), options.version, context)};
    const now = options.kind === undefined || options.kind === 'file' ? this.openNow(path, context.principal) : undefined;
    return now ? {known: now} : await this.#parts.reading.open(parsePath(path, options.kind ?? 'file'), context);
  }

  statNow(path: ByteString, options: PathOptions, principal: Principal): FileInfo | undefined {
    return options.version === undefined ? this.#parts.reading.statNow(path, options.kind ?? 'either', principal) : undefined;
  }

  openNow(path: ByteString, principal: Principal): FileInfo | undefined {
    return this.#parts.reading.openNow(path, principal);
  }

  async observe(path: ByteString, observation: Observation, context: CallContext): Promise<FileInfo> {
    return await this.#parts.reading.observe(parsePath(path, 'file'), observation, context);
  }

  async contentChanged(path: ByteString, content: ContentId, context: CallContext): Promise<FileInfo> {
    return await this.#parts.reading.contentChanged(parsePath(path, 'file'), content, context);
  }

  async list(request: ListRequest, context: CallContext): Promise<ListPage> {
    return await this.#parts.lister.list(request, context);
  }

  async makeDirectory(path: ByteString, options: MakeDirectoryOptions, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.mutations.makeDirectory(path, options, context), context);
  }

  async makeSymlink(path: ByteString, target: ByteString, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.mutations.makeSymlink(path, target, context), context);
  }

  async makeSpecial(path: ByteString, special: SpecialFile, options: {readonly mode: number}, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.mutations.makeSpecial(path, special, options, context), context);
  }

  async setAttributes(path: ByteString, patch: AttributePatch, options: PathOptions, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.attributes.set(path, patch, options, context), context);
  }

  setInodeAttributesNow(inode: InodeId, patch: (inode: Inode) => AttributePatch | undefined, context: CallContext): FileInfo | undefined {
    return this.#parts.attributes.setNow(inode, patch, context);
  }

  async setLock(path: ByteString, change: LockChange, options: PathOptions, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.attributes.setLock(path, change, options, context), context);
  }

  async getSettings(path: ByteString, context: CallContext): Promise<{readonly revision: number; readonly settings: Settings}> {
    return await this.#parts.attributes.settings(path, context);
  }

  async setSetting(path: ByteString, name: string, value: string | null, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.attributes.setSetting(path, name, value, context), context);
  }

  async rename(from: ByteString, to: ByteString, options: RenamePathOptions, context: CallContext): Promise<FileInfo> {
    const {renames, exchanges} = this.#parts;
    return await this.#told(options.exchange ? exchanges.exchange(from, to, context) : renames.rename(from, to, options, context), context);
  }

  async link(from: ByteString, to: ByteString, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.renames.link(from, to, context), context);
  }

  async remove(path: ByteString, options: RemoveOptions & PathOptions, context: CallContext): Promise<RemoveResult> {
    return await this.#told(this.#parts.mutations.remove(path, options, context), context);
  }

  async listVersions(request: ListVersionsRequest, context: CallContext): Promise<VersionPage> {
    return await this.#parts.lister.listVersions(request, context);
  }

  async beginWrite(path: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext): Promise<WriteTicket> {
    return await this.#parts.writes.begin(path, options, context);
  }

  async prepareCommit(ticket: WriteTicket, context: CallContext): Promise<void> {
    await this.#parts.writes.prepare(ticket, context);
  }

  async commitWrite(ticket: WriteTicket, object: WrittenObject, context: CallContext): Promise<FileInfo> {
    return await this.#told(this.#parts.writes.commit(ticket, object, context), context);
  }

  async abandonWrite(ticket: WriteTicket, _context: CallContext): Promise<void> {
    this.#parts.writes.abandon(ticket);
  }

  beginWriteNow(path: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext): WriteTicket | undefined {
    return this.#parts.writes.beginNow(path, options, context);
  }

  mayCarry(bytes: number): boolean {
    return this.#services.metastore.mayCarry(bytes);
  }

  commitWriteNow(ticket: WriteTicket, object: WrittenObject, context: CallContext, safe?: Uint8Array): Promise<FileInfo> | undefined {
    const commit = this.#parts.writes.commitNow(ticket, object, context, safe);
    return commit && this.#parts.feed.count > 0 ? this.#told(commit, context) : commit;
  }

  async makeFile(path: ByteString, options: {readonly mode: number} & SealOptions, context: CallContext): Promise<FileInfo | undefined> {
    return await this.#told(this.#parts.seals.makeFile(path, options, context), context);
  }

  makeFileNow(directory: InodeId, name: ByteString, {holder, ...options}: {readonly mode: number; readonly holder: string} & SealOptions, context: CallContext): MadeNow | undefined {
    const {seals, held, lookups} = this.#parts;
    const commit = context.origin === undefined ? undefined : seals.makeFileNow(directory, name, options, context);
    if (!commit) return undefined;
    held.retainNamed(commit.result.inode.id, holder);
    return {...this.#changed(commit), validUntil: lookups.validUntil(directory, commit.result.inode)};
  }

  beginSealNow(file: FileInfo, options: SealOptions): ContentId | undefined {
    return this.#parts.seals.beginNow(file, options);
  }

  commitSealNow(inode: InodeId, sealed: SealedDraft, context: CallContext): ChangedNow | undefined {
    // Whoever is no mount is answered when mounts have heard of it.
    const commit = context.origin === undefined ? undefined : this.#parts.seals.commitNow(inode, sealed, context);
    return commit && this.#changed(commit);
  }

  #changed(commit: Commit<FileInfo>): ChangedNow {
    return this.#parts.transactions.isSafe(commit) ? {info: commit.result} : {info: commit.result, safe: commit.safe};
  }

  async beginSeal(inode: InodeId, options: SealOptions, context: CallContext): Promise<ContentId | undefined> {
    return await this.#parts.seals.begin(inode, options, context);
  }

  async commitSeal(inode: InodeId, sealed: SealedDraft, context: CallContext): Promise<FileInfo | undefined> {
    return await this.#told(this.#parts.seals.commit(inode, sealed, context), context);
  }

  async abandonSeal(inode: InodeId, content: ContentId, _context: CallContext): Promise<void> {
    await this.#parts.seals.abandon(inode, content);
  }

  async listPending(request: PersistRequest, context: CallContext): Promise<PersistPage> {
    return this.#parts.persistRequests.list(request, context);
  }

  async persist(path: ByteString, options: {readonly resolve?: 'overwrite' | 'discard'}, context: CallContext): Promise<{readonly files: number}> {
    return await this.#parts.persistRequests.persist(path, options, context);
  }

  /** Contents that no store has, and those of which it is not known. */
  pendingContents(): ReadonlySet<ContentId> {
    return this.#parts.persister.contents();
  }

  /** Uploads whose parts the cache keeps, with those. */
  keptUploads(): readonly {readonly upload: UploadRecord; readonly parts: readonly PartRecord[]}[] {
    return this.#parts.uploads.kept();
  }

  async createUpload(
    ticket: WriteTicket, upload: Omit<UploadRecord, 'uploadId' | 'content' | 'initiatedAt' | 'initiator' | 'path' | 'mount' | 'storeKey' | 'metadata'>, context: CallContext,
  ): Promise<UploadRecord> {
    return await this.#parts.uploads.create(ticket, upload, context);
  }

  async getUpload(path: ByteString, uploadId: string, _context: CallContext): Promise<UploadRecord> {
    return await this.#parts.uploads.get(path, uploadId);
  }

  async putPart(path: ByteString, uploadId: string, part: PartRecord, context: CallContext): Promise<PartRecord | undefined> {
    return await this.#parts.uploads.putPart(path, uploadId, part, context);
  }

  async listParts(path: ByteString, uploadId: string, after: number, limit: number, _context: CallContext): Promise<readonly PartRecord[]> {
    return await this.#parts.uploads.listParts(path, uploadId, after, limit);
  }

  async listUploads(request: {directory: ByteString; prefix?: ByteString; after?: {key: ByteString; uploadId: string}; limit: number}, _context: CallContext): Promise<readonly UploadRecord[]> {
    return await this.#parts.uploads.list(request);
  }

  async beginCompleteUpload(path: ByteString, uploadId: string, options: CompleteOptions, context: CallContext): Promise<WriteTicket> {
    return await this.#parts.uploads.beginComplete(path, uploadId, options, context);
  }

  async removeUpload(path: ByteString, uploadId: string, context: CallContext): Promise<void> {
    await this.#parts.uploads.remove(path, uploadId, context);
  }

  async mount(request: MountRequest, context: CallContext): Promise<Mount> {
    return await this.#told(this.#parts.mounting.mount(request, context), context);
  }

  async updateMount(path: ByteString, change: Partial<Omit<MountRequest, 'path' | 'uri'>>, context: CallContext): Promise<Mount> {
    const mount = await this.#parts.mounting.update(path, change, context);
    this.#parts.feed.lose();
    return await this.#told(Promise.resolve(mount), context);
  }

  async unmount(path: ByteString, context: CallContext): Promise<void> {
    await this.#told(this.#parts.mounting.unmount(path, context), context);
  }

  async listMounts(_context: CallContext): Promise<readonly Mount[]> {
    return this.#parts.mounting.list();
  }

  async refresh(path: ByteString, context: CallContext): Promise<void> {
    await this.#parts.mounting.refresh(path, context);
    this.#parts.feed.lose();
  }

  async explain(path: ByteString, options: PathOptions, context: CallContext): Promise<PathExplanation> {
    const {transactions, mounts, knowledge, beliefs} = this.#parts;
    const known = await transactions.read(reader => asKnown(reader, parsePath(path, options.kind), context.principal));
    const info = known ?? (await this.stat(path, options, context));
    return transactions.peek(reader => explain(reader, info, {mounts, knowledge, beliefs, now: transactions.now()}));
  }

  async listJobs(_context: CallContext): Promise<readonly JobInfo[]> {
    return this.#parts.jobs.list();
  }

  async cancelJob(id: number, _context: CallContext): Promise<void> {
    await this.#parts.jobs.cancel(id);
  }

  async lock(request: LockRequest, {wait}: {readonly wait: boolean}, {signal}: CallContext): Promise<LockInfo | null> {
    const taken = await this.#parts.locks.lock(request, wait, signal);
    // Who has the lock sees what others did while they had it.
    if (!taken && request.type !== 'none') await this.#parts.feed.told();
    return shownLock(taken);
  }

  async testLock(request: LockRequest, _context: CallContext): Promise<LockInfo | null> {
    return shownLock(this.#parts.locks.test(request));
  }

  async quota(path: ByteString, context: CallContext): Promise<QuotaInfo | null> {
    const parsed = parsePath(path, 'directory');
    await this.#parts.loader.freshen(parsed, {askedAt: this.#parts.transactions.now(), signal: context.signal});
    return this.#parts.quotas.of(parsed);
  }

  async roomOf(inode: InodeId, _context: CallContext): Promise<RoomInfo | null> {
    return this.#parts.quotas.roomOf(inode);
  }

  hasQuotasNow(): boolean {
    return this.#parts.quotas.any;
  }

  async usage(path: ByteString, context: CallContext): Promise<UsageInfo> {
    const {transactions, lister} = this.#parts;
    return await usageAt({transactions, lister, clock: this.#services.runtime.clock}, path, context);
  }

  async listWebhooks(_context: CallContext): Promise<readonly WebhookInfo[]> {
    return await this.#parts.events.listWebhooks();
  }

  async putWebhook(name: string, webhook: WebhookRequest, _context: CallContext): Promise<WebhookInfo> {
    return await this.#parts.events.putWebhook(name, webhook);
  }

  async removeWebhook(name: string, _context: CallContext): Promise<void> {
    await this.#parts.events.removeWebhook(name);
  }

  backup(_context: CallContext): AsyncIterable<Uint8Array> {
    const {metastore, writeBackup} = this.#services;
    if (!writeBackup) throw new WeirError('Unsupported', 'this instance was started without a backup format');
    return writeBackup(metastore);
  }

  /** Lets running jobs stop where they can go on, and closes the stores. The metastore is its owner's to close. */
  async close(): Promise<void> {
    this.#parts.writes.close();
    await this.#parts.quotas.close();
    await this.#parts.persister.close(persistAtEndMs);
    await this.#parts.jobs.close();
    await this.#parts.madeDirectories.close();
    await this.#parts.garbage.close();
    await this.#parts.events.close();
    await this.#parts.openUploads.close();
    await this.#parts.timers.close();
    await this.#parts.written.clear();
    await this.#parts.mounts.close();
    await settleCarried(this.#services);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function shownLock(lock: FileLock | undefined): LockInfo | null {
  return lock ? {start: lock.start, end: lock.end, type: lock.type, pid: lock.pid} : null;
}
