/**
 * The worker: bytes of contents from the cache or the store behind it, and new bytes to both. This file is the map of it; each
 * idea has its own file: `reads/` (what form an answer takes), `fills/` (what to ask the store, and who gets it), `writes/`.
 *
 * Invariants:
 * 1. A read delivers bytes of exactly one version, or fails with ContentChanged.
 * 2. One page is fetched once, however many ask.
 * 3. The cache never fails a read or a write that the store could answer.
 * 4. Memory for bytes under way stays within `heldBytesMax`, plus one buffer for each reader that waits.
 */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, pageBytes} from '#blockstore/block-store.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {Body, ByteRange, CacheLocation, DraftInfo, LoadProgress, PartStream, Probe, ProbeRange, Ready, SealedBytes, WorkerApi, WorkerDrafts, WorkerStatus, WriteStream} from '#contracts/worker-api.ts';
import type {PartRecord, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {Checksums, ReadableContent} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {StoreProvider} from '#understore/store-provider.ts';
import type {FlightSource} from '#worker/fills/flight.ts';
import {Drafts} from '#worker/drafts/drafts.ts';
import {publishDraft} from '#worker/drafts/publish-draft.ts';
import {type FillLimits, Fills} from '#worker/fills/fills.ts';
import {RangeReader} from '#worker/fills/range-reader.ts';
import {registerWorkerMetrics} from '#worker/metrics.ts';
import {InPlaceReads} from '#worker/reads/in-place.ts';
import {isPartial, partialBytes, type PartialSources, readPartial} from '#worker/reads/partial-bytes.ts';
import {pendingBytes} from '#worker/reads/pending-bytes.ts';
import {loadContent} from '#worker/reads/load.ts';
import {Probes} from '#worker/reads/probes.ts';
import {WholeLeases} from '#worker/reads/whole-leases.ts';
import type {OpenUpload} from '#worker/writes/kept-uploads.ts';
import {Writes} from '#worker/writes/writes.ts';

/** Present ranges up to this size are answered as bytes rather than as a lease. */
const inlineBytesMax = 64 * KiB;

const defaultLimits: FillLimits = {heldBytesMax: 64 * MiB, fragmentBytesMax: 32 * MiB};
/** To copy less is no more work than to keep account of it, and stores want parts of several MiB. */
const partialBytesDefault = 16 * MiB;
const noBytes = new Uint8Array(0);

export interface WorkerParts {
  readonly runtime: Pick<Runtime, 'clock' | 'disk' | 'metrics' | 'random' | 'log' | 'crashPoint' | 'boot' | 'digestsElsewhere'>;
  readonly blocks: BlockStore;
  readonly stores: StoreProvider;
  /** The directory of the log of drafts; made when the first one is. Absolute. */
  readonly drafts: string;
  readonly limits?: Partial<FillLimits>;
  /** Files of stores on this host that are kept open. */
  readonly openFilesMax?: number;
  /** Contents of so many bytes are changed without being copied (default 16 MiB). */
  readonly partialBytesMin?: number;
}

export class Worker implements WorkerApi, WorkerDrafts, WorkerOnTheSpot, AsyncDisposable {
  readonly #blocks: BlockStore;
  readonly #stores: StoreProvider;
  readonly #fills: Fills;
  readonly #probes: Probes;
  readonly #inPlace: InPlaceReads;
  readonly #writes: Writes;
  readonly #drafts: Drafts;
  readonly #wholeLeases: WholeLeases;
  readonly #partial: PartialSources;
  readonly #partialBytesMin: number;

  constructor({runtime, blocks, stores, drafts, limits, openFilesMax, partialBytesMin = partialBytesDefault}: WorkerParts) {
    this.#partialBytesMin = partialBytesMin;
    this.#inPlace = new InPlaceReads(openFilesMax);
    this.#blocks = blocks;
    this.#wholeLeases = new WholeLeases(blocks);
    this.#stores = stores;
    this.#partial = {blocks, read: (content, range, signal) => this.read(content, range, {}, {...systemContext, signal})};
    this.#fills = new Fills({blocks, clock: runtime.clock, stores}, {...defaultLimits, ...limits});
    this.#probes = new Probes(stores, runtime.clock, mount => this.#fills.link(mount));
    this.#writes = new Writes({blocks, stores, clock: runtime.clock, digestsElsewhere: runtime.digestsElsewhere});
    this.#drafts = new Drafts({runtime, blocks, directory: drafts, read: (content, range) => this.#bytes(content, range)});
    registerWorkerMetrics(runtime.metrics, this.#fills, blocks);
  }

  /** Nothing refers to the content any more. */
  async dropped(id: ContentId): Promise<void> {
    this.#inPlace.drop(id);
    await this.#blocks.drop(id);
  }

  readNow(content: ReadableContent, range: ByteRange): Body | undefined {
    const {offset, length} = range;
    const lease = this.#blocks.leaseNow(content, offset, length);
    if (lease) {
      this.#servedNow(content, range);
      return {kind: 'lease', length, lease};
    }
    const bytes = length <= inlineBytesMax ? this.#blocks.readResident(content, offset, length) : undefined;
    if (!bytes && content.pending) return undefined;
    if (!bytes) return this.#inPlace.readNow(content, range, inlineBytesMax);
    this.#servedNow(content, range);
    return {kind: 'bytes', length, bytes};
  }

  readInto(content: ReadableContent, offset: number, into: Uint8Array): boolean {
    const {length} = into;
    if (!this.#blocks.readResident(content, offset, length, into)) return !content.pending && this.#inPlace.readInto(content, offset, into);
    this.#servedNow(content, {offset, length});
    return true;
  }

  async leaseWhole(content: ReadableContent, {signal}: CallContext): Promise<FileLease | undefined> {
    const range = {offset: 0, length: content.length};
    if (!this.#isInPlace(content)) return await this.#wholeLeases.lease(content);
    const body = await this.#inPlace.read(this.#stores.get(content.mount), content, range, {inlineBytesMax: 0, isOurs: this.#stores.isOurs(content.mount)}, signal);
    return body.kind === 'lease' ? body.lease : undefined;
  }

  read(content: ReadableContent, range: ByteRange, options: {readonly probeId?: number}, context: CallContext): Promise<Body> {
    assert(range.offset >= 0 && range.length >= 0 && range.offset + range.length <= content.length, 'a read lies within its content');
    if (range.length <= inlineBytesMax && options.probeId === undefined) {
      const bytes = this.#blocks.readResident(content, range.offset, range.length);
      if (bytes) {
        this.#servedNow(content, range);
        return Promise.resolve({kind: 'bytes', length: range.length, bytes});
      }
    }
    return this.#read(content, range, options.probeId, context);
  }

  async probe(mount: MountId, storeKey: ByteString, range: ProbeRange, {ageMsMax}: {readonly ageMsMax: number}, context: CallContext): Promise<Probe> {
    return this.#probes.probe(mount, storeKey, range, ageMsMax, context);
  }

  async write(ticket: WriteTicket, options: {readonly length?: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<WriteStream> {
    return this.#writes.write(ticket, options, context);
  }

  async copy(source: ReadableContent, ticket: WriteTicket, ready: Ready, context: CallContext): Promise<WrittenObject> {
    const byStore = await this.#writes.copyByStore(source, ticket, ready, context);
    if (byStore) return byStore;
    const stream = await this.#writes.write(ticket, {length: source.length}, context);
    try {
      const range = {offset: 0, length: source.length};
      const reader = source.pending ? this.pendingBytes(source, range, context.signal) : this.#reader(source, range, context);
      for await (const chunk of reader) await stream.write(chunk);
      return await stream.finish(ready, {length: source.length});
    } catch (error) {
      await stream.abort();
      throw error;
    }
  }

  /** Bytes of a content that its store has not got. */
  pendingBytes(content: ReadableContent, range: ByteRange, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return isPartial(content) ? partialBytes(this.#partial, content, range, signal) : pendingBytes(this.#blocks, content, range, signal);
  }

  createUpload(ticket: WriteTicket, context: CallContext): Promise<string> {
    return this.#writes.createUpload(ticket, context);
  }

  uploadPart(upload: UploadRecord, partNumber: number, options: {readonly length: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<PartStream> {
    return this.#writes.uploadPart(upload, partNumber, options, context);
  }

  completeUpload(upload: UploadRecord, content: ContentId, parts: readonly PartRecord[], ready: Ready, context: CallContext): Promise<WrittenObject> {
    return this.#writes.completeUpload(upload, content, parts, ready, context);
  }

  abortUpload(upload: UploadRecord, context: CallContext): Promise<void> {
    return this.#writes.abortUpload(upload, context);
  }

  async dropPart(upload: UploadRecord, part: PartRecord): Promise<void> {
    await (await this.#writes.kept.get(upload.content)).replaced(part.storePart);
  }

  async settleUpload(upload: UploadRecord, content: ContentId, {committed}: {readonly committed: boolean}): Promise<void> {
    await (committed ? this.#writes.kept.end(upload.content, 'committed') : (await this.#writes.kept.get(upload.content)).reopen(content));
  }

  async keepSmall(content: ContentId, bytes: Uint8Array, {durable}: {readonly durable: boolean}): Promise<boolean> {
    return (!durable && this.#blocks.keepNow(content, bytes)) || (await this.#blocks.keep({id: content, length: bytes.length}, [bytes], {durable}));
  }

  async storeSmall({mount, storeKey: key}: WriteTicket, chunks: readonly Uint8Array[], length: number, {signal}: CallContext): Promise<{readonly fingerprint: string}> {
    const [only] = chunks;
    const [made] = await this.#stores.get(mount).writeTogether!([{key, bytes: chunks.length === 1 ? only! : Buffer.concat(chunks)}], {signal});
    if (made instanceof WeirError) throw made;
    if (made!.length !== length) throw new WeirError('Io', `the store keeps ${made!.length} of ${length} bytes that it was given`);
    return made!;
  }

  /** What an earlier life has left of uploads that are kept here; `uploads`: all that the master still has. */
  restoreUploads(uploads: Iterable<OpenUpload>, lost: (upload: UploadRecord, error: unknown) => void): Promise<void> {
    return this.#writes.kept.restore(uploads, lost);
  }

  /** Of no client's doing. What cannot be removed now is removed by the next start. */
  uploadEnded({content}: UploadRecord): void {
    void this.#writes.kept.end(content, 'aborted').catch(() => {});
  }

  openDraftNow(inode: InodeId, base: ContentId | undefined, seal: ContentId): DraftInfo | undefined {
    return this.#drafts.openNow({inode, base, seal});
  }

  async openDraft(inode: InodeId, base: ReadableContent | undefined, {seal}: {readonly seal?: ContentId}, context: CallContext): Promise<DraftInfo> {
    const whole = base?.pending && !base.over;
    if (base && !whole && base.length >= this.#partialBytesMin) return await this.#drafts.openOver(inode, base, seal);
    const bytes = base && base.length > 0 ? bodyChunks(await this.read(base, {offset: 0, length: base.length}, {}, context)) : undefined;
    return await this.#drafts.open(inode, base?.id, seal, base?.length ?? 0, bytes);
  }

  leftDrafts(): Promise<readonly DraftInfo[]> {
    return this.#drafts.left();
  }

  reopenDraft(draft: number, content: ReadableContent | undefined): Promise<DraftInfo> {
    return this.#drafts.reopen(draft, content);
  }

  async moveDraft(draft: number, content: ReadableContent): Promise<boolean> {
    return this.#drafts.move(draft, content);
  }

  readDraft(draft: number, range: ByteRange): Promise<Uint8Array> {
    return this.#drafts.read(draft, range);
  }

  writeDraft(draft: number, position: number, bytes: Uint8Array): Promise<void> {
    return this.#drafts.write(draft, position, bytes);
  }

  writeDraftNow(draft: number, position: number, bytes: Uint8Array): boolean {
    return this.#drafts.writeNow(draft, position, bytes);
  }

  sealDraftNow(draft: number, content: ContentId): SealedBytes | undefined {
    return this.#drafts.sealNow(draft, content);
  }

  rebaseDraftNow(draft: number, base: ContentId): boolean {
    return this.#drafts.rebaseNow(draft, base);
  }

  closeDraftNow(draft: number): boolean {
    return this.#drafts.closeNow(draft);
  }

  truncateDraft(draft: number, length: number): Promise<void> {
    return this.#drafts.truncate(draft, length);
  }

  punchDraft(draft: number, range: ByteRange): Promise<void> {
    return this.#drafts.punch(draft, range);
  }

  seekDraft(draft: number, position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    return this.#drafts.seek(draft, position, to);
  }

  syncDraft(draft: number): Promise<void> {
    return this.#drafts.sync(draft);
  }

  syncDraftNow(draft: number): Promise<void> | undefined {
    return this.#drafts.syncNow(draft);
  }

  sealDraft(draft: number, content: ContentId): Promise<SealedBytes | undefined> {
    return this.#drafts.seal(draft, content);
  }

  rebaseDraft(draft: number, inode: InodeId, base: ContentId): Promise<void> {
    return this.#drafts.rebase(draft, inode, base);
  }

  publishDraft(draft: number, ticket: WriteTicket, ready: Ready, {signal}: CallContext): Promise<WrittenObject> {
    const [store, drafts, blocks, writes] = [this.#stores.get(ticket.mount), this.#drafts, this.#blocks, this.#writes];
    return publishDraft({drafts, draft, store, blocks, writes, ticket, ready, signal});
  }

  closeDraft(draft: number, options: {readonly keep: boolean}): Promise<void> {
    return this.#drafts.close(draft, options.keep);
  }

  async *load(content: ReadableContent, context: CallContext): AsyncGenerator<LoadProgress, void, undefined> {
    if (content.length === 0 || content.pending || this.#isInPlace(content)) yield {loadedBytes: content.length, totalBytes: content.length};
    else yield* loadContent(this.#fills.of(content), context.signal);
  }

  async free(contents: readonly ContentId[]): Promise<void> {
    for (const id of contents) {
      // What no store has yet is not let go.
      if (this.#blocks.presence(id)?.dirty) continue;
      this.#fills.abandon(id);
      await this.#blocks.drop(id);
    }
  }

  async pin(content: ContentId, pinned: boolean): Promise<void> {
    this.#blocks.pin(content, pinned);
  }

  async locate(content: ReadableContent): Promise<CacheLocation> {
    const pinned = this.#blocks.presence(content.id)?.pinned ?? false;
    const {upstreamRequests, upstreamBytes, servedBytes} = this.#fills.counters(content.id);
    return {
      tiers: this.#blocks.places(content.id).map(({tier, bytes, pages}) => ({name: tier, bytes, pages})),
      pageBytes, pinned, upstreamRequests, upstreamBytes, servedBytes, inPlace: this.#isInPlace(content),
    };
  }

  async status(): Promise<WorkerStatus> {
    const {tiers: used, contents} = this.#blocks.status();
    const tiers = used.map(({name, directory, quotaBytes, usedBytes, state}) => ({name, directory, quotaBytes, usedBytes, state}));
    const {servedBytes, totals: {upstreamBytes, upstreamRequests}} = this.#fills;
    return {tiers, contents, hitBytes: servedBytes, missBytes: upstreamBytes, upstreamRequests, upstreamBytes};
  }

  /** Bytes of fills in memory, now and at most so far. */
  get heldBytes(): {readonly now: number; readonly peak: number} {
    return {now: this.#fills.held.held, peak: this.#fills.held.peak};
  }

  async close(): Promise<void> {
    this.#probes.close();
    this.#fills.close();
    this.#writes.close();
    await this.#drafts.closeAll();
    await this.#inPlace.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #servedNow(content: ReadableContent, range: ByteRange): void {
    this.#fills.served(content.id, range.length);
    // Who takes all of it goes nowhere from here.
    if (range.length === content.length) return;
    const fills = this.#fills.known(content.id);
    fills?.readAhead(fills.note(range, true));
  }

  async #read(content: ReadableContent, range: ByteRange, probeId: number | undefined, context: CallContext): Promise<Body> {
    const {offset, length} = range;
    const source = probeId === undefined ? undefined : this.#probes.claim(probeId, content);
    if (length === 0) {
      if (source) giveBack(source);
      return {kind: 'bytes', length: 0, bytes: noBytes};
    }
    const mixed = isPartial(content) ? await readPartial(this.#partial, content, range, context.signal) : undefined;
    if (mixed) return mixed;
    if (content.pending) return (await this.#readPresent(content, range)) ?? {kind: 'stream', length, stream: pendingBytes(this.#blocks, content, range, context.signal)};
    const store = this.#stores.get(content.mount);
    if (store.capabilities.localFile) return this.#inPlace.read(store, content, range, {inlineBytesMax, isOurs: this.#stores.isOurs(content.mount)}, context.signal);
    const fills = this.#fills.of(content);
    if (source && !fills.adopt(source, range)) giveBack(source);
    const isCached = fills.presentUntil(offset, offset + length) === offset + length;
    const sequence = fills.note(range, isCached);
    if (isCached) {
      const present = await this.#readPresent(content, range);
      if (present) {
        fills.readAhead(sequence);
        return present;
      }
    }
    const reader = this.#reader(content, range, context);
    const primed = reader.prime();
    fills.readAhead(sequence);
    const first = await primed;
    return first ? {kind: 'bytes', length, bytes: first} : {kind: 'stream', length, stream: reader};
  }

  async #readPresent(content: ReadableContent, range: ByteRange): Promise<Body | undefined> {
    const {offset, length} = range;
    if (length <= inlineBytesMax) {
      const bytes = await this.#blocks.read(content, offset, length);
      if (!bytes) return undefined;
      this.#fills.served(content.id, length);
      return {kind: 'bytes', length, bytes};
    }
    const lease = await this.#blocks.lease(content, offset, length);
    if (!lease) return undefined;
    this.#fills.served(content.id, length);
    return {kind: 'lease', length, lease};
  }

  #reader(content: ReadableContent, range: ByteRange, context: CallContext): RangeReader {
    return new RangeReader(this.#fills.of(content), this.#blocks, range, context.signal, bytes => this.#fills.served(content.id, bytes));
  }

  async *#bytes(content: ReadableContent, range: ByteRange): AsyncGenerator<Uint8Array> {
    yield* bodyChunks(await this.read(content, range, {}, systemContext));
  }

  #isInPlace(content: ReadableContent): boolean {
    return !content.pending && this.#stores.get(content.mount).capabilities.localFile;
  }
}

function giveBack(source: FlightSource): void {
  source.abort.abort();
  void source.read.body[Symbol.asyncIterator]().return?.().catch(() => {});
}
