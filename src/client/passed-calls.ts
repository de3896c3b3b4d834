/** The namespace calls of a client, which are its master's. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {NamespaceCalls} from '#client/file-system.ts';
import type {JobInfo, MountRequest, PersistPage, PersistRequest, UsageInfo, WebhookInfo, WebhookRequest} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {ListPage, ListRequest, ListVersionsRequest, VersionPage} from '#contracts/listings.ts';
import type {
  Changes, LockChange, LockInfo, LockRequest, LookupResult, MakeDirectoryOptions, MasterApi, NodeInfo, QuotaInfo, RemoveOptions, RemoveResult, RenamePathOptions, RoomInfo,
} from '#contracts/master-api.ts';
import type {PartRecord, UploadRecord} from '#contracts/writing.ts';
import type {AttributePatch, Settings} from '#model/inode.ts';
import type {Mount} from '#model/mount.ts';
import type {PathKind} from '#model/path.ts';
import type {SpecialFile} from '#model/special-file.ts';

export class PassedCalls implements NamespaceCalls {
  readonly #master: MasterApi;

  constructor(master: MasterApi) {
    this.#master = master;
  }

  stat(path: ByteString, options: PathOptions, context: CallContext): Promise<FileInfo> {
    return this.#master.stat(path, options, context);
  }
  earlier(context: CallContext): Promise<{readonly info?: FileInfo} | undefined> {
    return this.#master.earlier(context);
  }
  pathOf(inode: InodeId, context: CallContext): Promise<ByteString> {
    return this.#master.pathOf(inode, context);
  }
  statInode(inode: InodeId, context: CallContext): Promise<NodeInfo> {
    return this.#master.statInode(inode, context);
  }
  lookup(directory: InodeId, name: ByteString, kind: PathKind, context: CallContext): Promise<LookupResult> {
    return this.#master.lookup(directory, name, kind, context);
  }
  link(from: ByteString, to: ByteString, context: CallContext): Promise<FileInfo> {
    return this.#master.link(from, to, context);
  }
  retain(inode: InodeId, holder: string, context: CallContext): Promise<FileInfo> {
    return this.#master.retain(inode, holder, context);
  }
  reserveInode(context: CallContext): Promise<InodeId> {
    return this.#master.reserveInode(context);
  }
  release(inode: InodeId, holder: string, context: CallContext): Promise<void> {
    return this.#master.release(inode, holder, context);
  }
  sync(inode: InodeId | undefined, context: CallContext): Promise<void> {
    return this.#master.sync(inode, context);
  }
  hold(holder: string, inodes: readonly InodeId[], context: CallContext): Promise<void> {
    return this.#master.hold(holder, inodes, context);
  }
  list(request: ListRequest, context: CallContext): Promise<ListPage> {
    return this.#master.list(request, context);
  }
  makeDirectory(path: ByteString, options: MakeDirectoryOptions, context: CallContext): Promise<FileInfo> {
    return this.#master.makeDirectory(path, options, context);
  }
  makeSymlink(path: ByteString, target: ByteString, context: CallContext): Promise<FileInfo> {
    return this.#master.makeSymlink(path, target, context);
  }
  makeSpecial(path: ByteString, special: SpecialFile, options: {readonly mode: number}, context: CallContext): Promise<FileInfo> {
    return this.#master.makeSpecial(path, special, options, context);
  }
  setAttributes(path: ByteString, patch: AttributePatch, options: PathOptions, context: CallContext): Promise<FileInfo> {
    return this.#master.setAttributes(path, patch, options, context);
  }
  setLock(path: ByteString, change: LockChange, options: PathOptions, context: CallContext): Promise<FileInfo> {
    return this.#master.setLock(path, change, options, context);
  }
  getSettings(path: ByteString, context: CallContext): Promise<{readonly revision: number; readonly settings: Settings}> {
    return this.#master.getSettings(path, context);
  }
  setSetting(path: ByteString, name: string, value: string | null, context: CallContext): Promise<FileInfo> {
    return this.#master.setSetting(path, name, value, context);
  }
  rename(from: ByteString, to: ByteString, options: RenamePathOptions, context: CallContext): Promise<FileInfo> {
    return this.#master.rename(from, to, options, context);
  }
  remove(path: ByteString, options: RemoveOptions & PathOptions, context: CallContext): Promise<RemoveResult> {
    return this.#master.remove(path, options, context);
  }
  listVersions(request: ListVersionsRequest, context: CallContext): Promise<VersionPage> {
    return this.#master.listVersions(request, context);
  }
  mount(request: MountRequest, context: CallContext): Promise<Mount> {
    return this.#master.mount(request, context);
  }
  updateMount(path: ByteString, change: Partial<Omit<MountRequest, 'path' | 'uri'>>, context: CallContext): Promise<Mount> {
    return this.#master.updateMount(path, change, context);
  }
  unmount(path: ByteString, context: CallContext): Promise<void> {
    return this.#master.unmount(path, context);
  }
  listMounts(context: CallContext): Promise<readonly Mount[]> {
    return this.#master.listMounts(context);
  }
  listPending(request: PersistRequest, context: CallContext): Promise<PersistPage> {
    return this.#master.listPending(request, context);
  }
  persist(path: ByteString, options: {readonly resolve?: 'overwrite' | 'discard'}, context: CallContext): Promise<{readonly files: number}> {
    return this.#master.persist(path, options, context);
  }
  refresh(path: ByteString, context: CallContext): Promise<void> {
    return this.#master.refresh(path, context);
  }
  listJobs(context: CallContext): Promise<readonly JobInfo[]> {
    return this.#master.listJobs(context);
  }
  cancelJob(id: number, context: CallContext): Promise<void> {
    return this.#master.cancelJob(id, context);
  }
  lock(request: LockRequest, options: {readonly wait: boolean}, context: CallContext): Promise<LockInfo | null> {
    return this.#master.lock(request, options, context);
  }
  testLock(request: LockRequest, context: CallContext): Promise<LockInfo | null> {
    return this.#master.testLock(request, context);
  }
  quota(path: ByteString, context: CallContext): Promise<QuotaInfo | null> {
    return this.#master.quota(path, context);
  }
  roomOf(inode: InodeId, context: CallContext): Promise<RoomInfo | null> {
    return this.#master.roomOf(inode, context);
  }
  usage(path: ByteString, context: CallContext): Promise<UsageInfo> {
    return this.#master.usage(path, context);
  }
  listWebhooks(context: CallContext): Promise<readonly WebhookInfo[]> {
    return this.#master.listWebhooks(context);
  }
  putWebhook(name: string, webhook: WebhookRequest, context: CallContext): Promise<WebhookInfo> {
    return this.#master.putWebhook(name, webhook, context);
  }
  removeWebhook(name: string, context: CallContext): Promise<void> {
    return this.#master.removeWebhook(name, context);
  }
  backup(context: CallContext): AsyncIterable<Uint8Array> {
    return this.#master.backup(context);
  }
  getUpload(path: ByteString, uploadId: string, context: CallContext): Promise<UploadRecord> {
    return this.#master.getUpload(path, uploadId, context);
  }
  listParts(path: ByteString, uploadId: string, after: number, limit: number, context: CallContext): Promise<readonly PartRecord[]> {
    return this.#master.listParts(path, uploadId, after, limit, context);
  }
  listUploads(request: Parameters<MasterApi['listUploads']>[0], context: CallContext): Promise<readonly UploadRecord[]> {
    return this.#master.listUploads(request, context);
  }
  watch(origin: string, context: CallContext): AsyncIterable<Changes> {
    return this.#master.watch(origin, context);
  }
}
