/**
 * The file system over a master and a worker, in this process or behind connections. Namespace calls pass through (passed-calls.ts); what
 * touches bytes is put together here: open (with the short way for files that nobody knew), create, copy, uploads, and
 * work on whole trees.
 */
import type {ByteString} from '#base/byte-string.ts';
import {assert} from '#base/assert.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {
  type CompletedPart, type CompleteUploadOptions, type CopyOptions, type CreateOptions, type DraftSource, type FileDraft, type FileSystem, type FoundAhead, type FileWriter, type OpenedNow, type OpenFile,
  type OpenOptions, type PartWriter, type RangeSpec, smallBytesMax,
} from '#client/file-system.ts';
import {namesInOnePiece} from '#client/names-in-one-piece.ts';
import {TicketWriter} from '#client/file-writer.ts';
import {OpenedFile, type Started} from '#client/opened-file.ts';
import {PassedCalls} from '#client/passed-calls.ts';
import {abandon, publish} from '#client/publish.ts';
import {resolveRange, satisfiable} from '#client/range.ts';
import {copySealedParts, refuseSealed} from '#client/sealed.ts';
import {SmallWriter} from '#client/small-writer.ts';
import {freeTree, loadTree, pinTree, type TreeLoadProgress} from '#client/trees.ts';
import {Uploads} from '#client/uploads.ts';
import type {PathExplanation} from '#contracts/administration.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {LookupResult, MasterApi, NodeInfo} from '#contracts/master-api.ts';
import type {MadeNow, MasterOnTheSpot, WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {CacheLocation, Ready, WorkerApi, WorkerStatus} from '#contracts/worker-api.ts';
import type {SealOptions, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {Checksums, Content} from '#model/content.ts';
import type {AttributePatch, Inode} from '#model/inode.ts';
import {isSealed} from '#model/seal.ts';
import type {PathKind} from '#model/path.ts';

export interface ClientServices {
  readonly master: MasterApi;
  readonly worker: WorkerApi;
  /** The same two, where they are in this process. */
  readonly here?: {readonly master: MasterOnTheSpot; readonly worker: WorkerOnTheSpot};
  /** Files that are written in place; absent: none are, by this client. */
  readonly drafts?: DraftSource;
  /** Where they are in another thread of this process: what is asked of both at once (FileSystem.findAhead), and what must be done by one client for all. */
  readonly elsewhere?: {readonly findAhead: (...question: Parameters<FileSystem['findAhead']>) => Promise<FoundAhead>; readonly together: Pick<FileSystem, 'completeUpload'>};
}

/** Versions of a file that may replace each other before a read of one begins. */
const changesMax = 8;

export class FileSystemClient extends PassedCalls implements FileSystem {
  readonly #master: MasterApi;
  readonly #worker: WorkerApi;
  readonly #uploads: Uploads;
  readonly #services: ClientServices;

  get #drafts(): DraftSource {
    const {drafts} = this.#services;
    assert(drafts !== undefined, 'who writes files in place brings their drafts');
    return drafts;
  }

  constructor(services: ClientServices) {
    super(services.master);
    this.#services = services;
    this.#master = services.master;
    this.#worker = services.worker;
    this.#uploads = new Uploads(services.master, services.worker);
  }

  async open(path: ByteString, options: OpenOptions, context: CallContext): Promise<OpenFile> {
    if (options.version !== undefined) return await this.#openVersion(path, options.version, options, context);
    const opened = await this.#master.open(path, {kind: options.kind ?? 'file'}, context);
    if ('known' in opened) return this.#start(opened.known, options, undefined, context);
    const {mount, storeKey, ageMsMax} = opened.unknown;
    const {observation, probeId} = await this.#worker.probe(mount, storeKey, options.range ?? {offset: 0}, {ageMsMax}, context);
    const info = await this.#master.observe(path, observation, context);
    return this.#start(info, options, probeId, context);
  }

  openRetained(info: FileInfo): OpenFile {
    return new OpenedFile(this.#services, info, contentOf(info), undefined);
  }

  statNow(path: ByteString, options: PathOptions, {principal}: Pick<CallContext, 'principal'>): FileInfo | undefined {
    return this.#services.here?.master.statNow(path, options, principal);
  }

  hasQuotasNow(): boolean {
    return this.#services.here?.master.hasQuotasNow() ?? true;
  }

  statInodeNow(inode: InodeId): NodeInfo | undefined {
    return this.#services.here?.master.statInodeNow(inode);
  }

  openInodeNow(inode: InodeId, holder: string): OpenFile | undefined {
    const {here} = this.#services;
    const info = here?.master.retainNow(inode, holder);
    return info && new OpenedFile(this.#services, info, contentOf(info), undefined);
  }

  setInodeAttributesNow(inode: InodeId, patch: (inode: Inode) => AttributePatch | undefined, context: CallContext): FileInfo | undefined {
    return this.#services.here?.master.setInodeAttributesNow(inode, patch, context);
  }

  releaseNow(inode: InodeId, holder: string): boolean {
    return this.#services.here?.master.releaseNow(inode, holder) ?? false;
  }

  lastsNow(inode: InodeId): boolean {
    return this.#services.here?.master.lastsNow(inode) ?? false;
  }

  isReadOnlyNow(mount: MountId): boolean {
    return this.#services.here?.master.isReadOnlyNow(mount) ?? false;
  }

  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined {
    return this.#services.here?.master.lookupNow(directory, name, kind);
  }

  openNow(path: ByteString, range: RangeSpec, {principal}: Pick<CallContext, 'principal'>): OpenedNow | undefined {
    const {here} = this.#services;
    const info = here?.master.openNow(path, principal);
    const content = info?.inode.content;
    if (!here || !content || isSealed(content)) return undefined;
    const resolved = satisfiable(range, content.length);
    const body = resolved && here.worker.readNow(content, resolved);
    return body && {info, range: resolved, body};
  }

  findAhead(bucket: ByteString, path: ByteString, range: RangeSpec | undefined): Promise<FoundAhead> | undefined {
    return this.#services.elsewhere?.findAhead(bucket, path, range);
  }

  async create(path: ByteString, options: CreateOptions, context: CallContext): Promise<FileWriter> {
    const {checksums, ...begin} = options;
    const {length} = begin;
    const ticket = await this.#master.beginWrite(path, begin, context);
    try {
      const stream = await this.#worker.write(ticket, {...(length === undefined ? {} : {length}), ...(checksums ? {checksums} : {})}, context);
      return new TicketWriter(this.#master, ticket, stream, context);
    } catch (error) {
      await abandon(this.#master, ticket, context);
      throw error;
    }
  }

  createNow(path: ByteString, options: CreateOptions, context: CallContext): FileWriter | undefined {
    const {here} = this.#services;
    const {length, checksums = [], ...begin} = options;
    if (!here || length === undefined || length > smallBytesMax) return undefined;
    const ticket = here.master.beginWriteNow(path, {...begin, length}, context);
    return ticket && new SmallWriter({master: this.#master, worker: this.#worker, here}, ticket, {length, checksums}, context);
  }

  async copy(from: ByteString, to: ByteString, options: CopyOptions, context: CallContext): Promise<FileInfo> {
    const kind = options.kind ?? 'file';
    const version = options.sourceVersion;
    const source = await this.#master.stat(from, {kind, ...(version === undefined ? {} : {version})}, context);
    try {
      return await this.#copyVersion(source, to, {...options, kind}, context);
    } catch (error) {
      const {content} = source.inode;
      if (!content || !isKind(error, 'ContentChanged')) throw error;
      if (version !== undefined) return await this.#copyVersion(await this.#master.stat(from, {kind, version}, context), to, {...options, kind}, context);
      return this.#copyVersion(await this.#master.contentChanged(source.path, content.id, context), to, {...options, kind}, context);
    }
  }

  createUpload(path: ByteString, options: CreateOptions & Pick<UploadRecord, 'checksumAlgorithm' | 'checksumType'>, context: CallContext): Promise<UploadRecord> {
    return this.#uploads.create(path, options, context);
  }
  uploadPart(path: ByteString, uploadId: string, partNumber: number, options: {readonly length: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<PartWriter> {
    return this.#uploads.part(path, uploadId, partNumber, options, context);
  }
  completeUpload(path: ByteString, uploadId: string, parts: readonly CompletedPart[], options: CompleteUploadOptions, context: CallContext): Promise<FileInfo> {
    const {elsewhere} = this.#services;
    return elsewhere ? elsewhere.together.completeUpload(path, uploadId, parts, options, context) : this.#uploads.complete(path, uploadId, parts, options, context);
  }
  abortUpload(path: ByteString, uploadId: string, context: CallContext): Promise<void> {
    return this.#uploads.abort(path, uploadId, context);
  }

  openDraft(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<FileDraft> {
    return this.#drafts.openDraft(file, options, context);
  }
  openDraftNow(file: FileInfo, options: SealOptions, context: Pick<CallContext, 'origin'>): FileDraft | undefined {
    return this.#drafts.openDraftNow(file, options, context);
  }
  isWrittenNow(inode: InodeId): boolean {
    return this.#drafts.isWrittenNow(inode);
  }
  joinDraft(inode: InodeId, context: CallContext): Promise<FileDraft | undefined> {
    return this.#drafts.joinDraft(inode, context);
  }
  handOverDrafts(holder: string, context: CallContext): Promise<readonly FileDraft[]> {
    return this.#drafts.handOverDrafts(holder, context);
  }

  async makeFile(path: ByteString, options: {readonly mode: number} & SealOptions, context: CallContext): Promise<FileInfo> {
    const made = await this.#master.makeFile(path, options, context);
    if (made) return made;
    const writer = await this.create(path, {kind: 'file', parents: 'none', length: 0, precondition: {ifNoneMatch: '*'}, ...options}, context);
    try {
      return await writer.commit({length: 0});
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  makeFileNow(directory: InodeId, name: ByteString, options: {readonly mode: number; readonly holder: string} & SealOptions, context: CallContext): MadeNow | undefined {
    return this.#services.here?.master.makeFileNow(directory, name, options, context);
  }

  load(path: ByteString, options: PathOptions, context: CallContext): AsyncIterable<TreeLoadProgress> {
    return loadTree(this.#master, this.#worker, path, options, context);
  }
  free(path: ByteString, options: PathOptions, context: CallContext): Promise<{files: number}> {
    return freeTree(this.#master, this.#worker, path, options, context);
  }
  pin(path: ByteString, pinned: boolean, context: CallContext): Promise<void> {
    return pinTree(this.#master, this.#worker, path, pinned, context);
  }

  async explain(path: ByteString, options: PathOptions, context: CallContext): Promise<{master: PathExplanation; cache?: CacheLocation}> {
    const master = await this.#master.explain(path, options, context);
    const {content} = master.info.inode;
    return content ? {master, cache: await this.#worker.locate(content, context)} : {master};
  }
  status(context: CallContext): Promise<WorkerStatus> {
    return this.#worker.status(context);
  }

  /** Starts the first read with the open, so that a version which the store no longer has is noticed before anything is delivered. */
  async #start(info: FileInfo, {range, sealed}: OpenOptions, probeId: number | undefined, context: CallContext): Promise<OpenFile> {
    for (let [now, probe, changes] = [info, probeId, 0]; ; changes++) {
      const content = contentOf(now);
      if (sealed !== true) refuseSealed(content);
      try {
        return new OpenedFile(this.#services, now, content, await this.#firstRead(content, range, probe, context));
      } catch (error) {
        if (changes >= changesMax || !isKind(error, 'ContentChanged')) throw error;
        now = await this.#master.contentChanged(now.path, content.id, context);
        probe = undefined;
      }
    }
  }

  async #firstRead(content: Content, range: RangeSpec | undefined, probeId: number | undefined, context: CallContext): Promise<Started | undefined> {
    const probed = probeId === undefined ? undefined : {probeId};
    if (range === undefined) return probed;
    let resolved;
    try {
      resolved = resolveRange(range, content.length);
    } catch {
      // The caller will hear of it when it resolves the range itself, with the file's metadata at hand.
      return probed;
    }
    return {range: resolved, body: await this.#worker.read(content, resolved, probed ?? {}, context)};
  }

  /** A file copied over itself where versions are kept: its bytes are read before they are moved out of the way. */
  async #rewrite(content: Content, ticket: WriteTicket, ready: Ready, context: CallContext): Promise<WrittenObject> {
    const stream = await this.#worker.write(ticket, {length: content.length}, context);
    try {
      if (content.length > 0) for await (const chunk of bodyChunks(await this.#worker.read(content, {offset: 0, length: content.length}, {}, context))) await stream.write(chunk);
      return await stream.finish(ready, {length: content.length});
    } catch (error) {
      await stream.abort();
      throw error;
    }
  }

  /** What is opened by a version id stays that version, also when it ceases to be current, and its bytes are moved, at that very moment. */
  async #openVersion(path: ByteString, version: string, {range, sealed}: OpenOptions, context: CallContext): Promise<OpenFile> {
    for (let attempt = 1; ; attempt++) {
      const opened = await this.#master.open(path, {kind: 'file', version}, context);
      assert('known' in opened, 'a version is known by the namespace alone');
      const info = opened.known;
      // A delete marker has no bytes; who asked finds that out from the info.
      if (info.deleteMarker) throw new WeirError('Unsupported', 'a delete marker has no bytes', {details: {s3: 'MethodNotAllowed'}});
      try {
        const content = contentOf(info);
        if (sealed !== true) refuseSealed(content);
        return new OpenedFile(this.#services, info, content, await this.#firstRead(content, range, undefined, context));
      } catch (error) {
        if (attempt === 3 || !isKind(error, 'ContentChanged')) throw error;
        if (!info.inode.content) throw error;
        await this.#master.contentChanged(path, info.inode.content.id, context).catch(() => undefined);
      }
    }
  }

  async #copyVersion(source: FileInfo, to: ByteString, options: CopyOptions, context: CallContext): Promise<FileInfo> {
    const content = contentOf(source);
    const {ifMatch, ifNoneMatch} = options.sourcePrecondition ?? {};
    const isMet = (ifMatch === undefined || ifMatch === '*' || ifMatch === content.etag) && ifNoneMatch !== '*' && ifNoneMatch !== content.etag;
    if (!isMet) throw new WeirError('PreconditionFailed', 'the source is not the version that the copy was asked for');
    const {xattrs, precondition, writeType} = options;
    assert(options.metadata === undefined || !isSealed(content), 'a copy of a sealed file keeps its metadata');
    if (content.upload && isSealed(content)) return copySealedParts(this, source, to, options, context);
    const begin = {
      length: content.length, metadata: options.metadata ?? content.metadata, ...(xattrs ? {xattrs} : {}), ...(precondition ? {precondition} : {}), ...(writeType ? {writeType} : {}),
      kind: options.kind ?? 'file', origin: 'copy',
    } as const;
    // Whatever the store calls its copy.
    const {onePiece} = options;
    const names = onePiece ? await namesInOnePiece(this.#worker, content, onePiece.checksum, context) : {etag: content.etag, checksums: content.checksums};
    const ticket = await this.#master.beginWrite(to, begin, context);
    const copied = async (ready: Ready) => (source.path === to && source.inode.version !== undefined ? this.#rewrite(content, ticket, ready, context) : this.#worker.copy(content, ticket, ready, context));
    const write = async (ready: Ready) => ({...(await copied(ready)), ...names});
    return publish(this.#master, ticket, write, context);
  }
}

function contentOf(info: FileInfo): Content {
  const {content, kind} = info.inode;
  if (content) return content;
  throw new WeirError(kind === 'directory' ? 'IsADirectory' : 'InvalidArgument', kind === 'directory' ? 'it is a directory' : 'it has no content to read');
}
