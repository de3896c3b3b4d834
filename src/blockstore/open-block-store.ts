/** The block store over its tiers. Invariants: block-store.ts. */
import {assert} from '#base/assert.ts';
import {isKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {blockBytes, type BlockStore, type ContentHandle, type Draft, isSmall, pageBytes, type Place, type Presence, type TierOptions} from '#blockstore/block-store.ts';
import {makePolicy} from '#blockstore/eviction/make-policy.ts';
import type {PolicyName} from '#blockstore/eviction/policy.ts';
import {DraftPlace, type DraftServices, keepSmallNow} from '#blockstore/draft-place.ts';
import {DraftRegistry} from '#blockstore/drafts/draft-registry.ts';
import {FileDraft} from '#blockstore/file-draft.ts';
import {BlockMover} from '#blockstore/files/block-mover.ts';
import {blockPages} from '#blockstore/files/large-content.ts';
import {hasMark, LargeContents} from '#blockstore/files/large-contents.ts';
import {runs, slice} from '#blockstore/files/page-runs.ts';
import {KeptContents} from '#blockstore/kept-contents.ts';
import {HashIndex} from '#blockstore/index/hash-index.ts';
import {nodeBlock, nodeKept, NodeTable} from '#blockstore/index/node-table.ts';
import {Leases} from '#blockstore/leases.ts';
import {TierMoves} from '#blockstore/moves/tier-moves.ts';
import {tierSync} from '#blockstore/segments/scan-segment.ts';
import {SmallContents} from '#blockstore/segments/small-contents.ts';
import {Slices} from '#blockstore/slices.ts';
import {SucceedingStore} from '#blockstore/successions/succeeding-store.ts';
import {Successions} from '#blockstore/successions/successions.ts';
import {Tier} from '#blockstore/tier.ts';
import {TierLog} from '#blockstore/tier-log.ts';
import type {LogRecord} from '#codec/block/log-record.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface BlockStoreOptions {
  readonly runtime: Runtime;
  /** From fastest to slowest. */
  readonly tiers: readonly TierOptions[];
  readonly policy?: PolicyName;
}

const victimsAtOnce = 64;
/** A log that is read in this time is known before the first answer. */
const openWaitMs = 500;

export async function openBlockStore(options: BlockStoreOptions): Promise<BlockStore> {
  const store = new TieredBlockStore(options);
  await store.open();
  return new SucceedingStore(store, store.successions);
}

class TieredBlockStore implements Omit<BlockStore, 'succeed'> {
  readonly #runtime: Runtime;
  readonly #tiers: readonly Tier[];
  readonly #logs: readonly TierLog[];
  readonly #nodes = new NodeTable();
  readonly #index = new HashIndex(this.#nodes);
  readonly #kept: KeptContents;
  readonly #small: SmallContents;
  readonly #large: LargeContents;
  readonly #leases: Leases;
  readonly #moves: TierMoves;
  readonly #drafts: DraftServices;
  readonly drafts: DraftRegistry;
  readonly successions: Successions;
  readonly #locks: AsyncDisposable[] = [];
  #warm = false;
  /** Dropped before the logs were read, so again when they are. */
  #droppedEarly: Set<ContentId> | undefined = new Set();
  #closed = false;
  #leftDirty: readonly ContentId[] = [];
  #loading: Promise<void> = Promise.resolve();

  constructor({runtime, tiers, policy}: BlockStoreOptions) {
    assert(tiers.length > 0, 'a block store has a tier');
    this.#runtime = runtime;
    this.#tiers = tiers.map((tier, i) => new Tier(i, tier, makePolicy(policy ?? 's3-fifo', this.#nodes), runtime));
    this.#logs = this.#tiers.map((tier) => new TierLog(tier));
    this.#kept = new KeptContents(this.#tiers, this.#logs);
    this.successions = new Successions(this.#kept.tiers, this.#logs);
    const isKept = (id: ContentId) => this.#kept.has(id);
    this.#small = new SmallContents(this.#nodes, this.#index, this.#tiers, this.#logs, isKept);
    this.#large = new LargeContents(this.#nodes, this.#logs, isKept);
    this.#leases = new Leases({nodes: this.#nodes, index: this.#index, small: this.#small, large: this.#large});
    this.#moves = new TierMoves(
      {
        runtime,
        tiers: this.#tiers,
        nodes: this.#nodes,
        small: this.#small,
        large: this.#large,
        isKept,
        syncLog: (tier) => this.#logs[tier.number]!.sync().catch((error: unknown) => tier.failed(error)),
        mayEvict: (node) => this.#mayEvict(node),
        evict: (node) => this.#evict(node),
      },
      (terms) => ({entries: this.#small.entryMover(terms), blocks: new BlockMover(this.#large, terms)}),
    );
    this.#drafts = {
      small: this.#small,
      large: this.#large,
      isDirty: (id) => this.#kept.dirty.has(id),
      setDirty: (id, dirty) => {
        if (dirty) this.#kept.dirty.add(id);
        else this.#kept.dirty.delete(id);
        this.#keptChanged(id);
        this.#kept.log(id);
      },
      sync: (tier) => this.#logs[tier.number]!.sync(),
      written: (tier) => this.#logs[tier.number]!.written(),
      writeNow: (tier) => this.#logs[tier.number]!.writeNow(),
    };
    this.drafts = new DraftRegistry({drafts: this.#drafts, tiers: this.#tiers.filter((tier) => tier.persistent), drop: (id) => this.drop(id), loaded: () => this.#loading});
    for (const tier of this.#tiers) tier.freeSome = () => this.#freeSome(tier);
  }

  async open(): Promise<void> {
    let before = 0;
    for (const tier of this.#tiers) {
      for (const folder of ['segments', 'files', 'drafts']) await this.#runtime.disk.makeDirectory(tier.path(folder), {recursive: true});
      await this.#syncAbove(tier.path());
      this.#locks.push(await this.#runtime.disk.lock(tier.path('lock')));
      tier.hasLent = await hasMark(this.#runtime.disk, tier);
      before = Math.max(before, await this.#logs[tier.number]!.last());
    }
    await this.drafts.look();
    // Every tier begins its log with the number of the life, so none of them ever saw a later one, whichever are replaced.
    const life = before + 1;
    for (const log of this.#logs) await log.open(life);
    this.#small.begin(life);
    this.#large.begin(life);
    const {promise, resolve} = Promise.withResolvers<void>();
    this.#loading = this.#load(life, resolve);
    await Promise.race([promise, this.#runtime.clock.sleep(openWaitMs, {unref: true})]);
  }

  /** A tier's own name must survive power loss before anything dirty relies on it, and so must those above it, which may have been made with it. */
  async #syncAbove(path: string): Promise<void> {
    for (let end = path.lastIndexOf('/'); end >= 0; end = path.lastIndexOf('/', end - 1)) {
      const above = path.slice(0, end) || '/';
      await this.#runtime.disk.syncDirectory(above).catch((error: unknown) => {
        // Far up are directories of others that this process may pass through and not read.
        if (!isKind(error, 'PermissionDenied')) throw error;
      });
      if (above === '/') return;
    }
  }

  get warm(): boolean {
    return this.#warm;
  }

  presence(id: ContentId): Presence | undefined {
    const kept = {pinned: this.#kept.pinned.has(id), dirty: this.#kept.dirty.has(id)};
    const node = this.#index.find(id);
    if (node !== 0) {
      const length = this.#nodes.length.get(node);
      return {length, complete: true, presentBytes: length, ...kept};
    }
    const [first, ...slower] = this.#large.files.of(id);
    const presentBytes = slower.reduce((sum, file) => sum + file.presentBytes, first?.presentBytes ?? 0);
    if (!first || presentBytes === 0) return undefined;
    return {length: first.length, complete: presentBytes === first.length, presentBytes, ...kept};
  }

  missing({id, length}: ContentHandle, first: number, last: number): {first: number; count: number}[] {
    if (isSmall(length) && this.#index.find(id) !== 0) return [];
    const pages = this.#large.files.pages(id);
    if (!pages) return [{first, count: last - first + 1}];
    return runs(pages, first, last, false).map(([start, count]) => ({first: start, count}));
  }

  async fill(content: ContentHandle, firstPage: number, bytes: readonly Uint8Array[]): Promise<boolean> {
    const total = bytes.reduce((sum, part) => sum + part.length, 0);
    const start = firstPage * pageBytes;
    assert(start + total <= content.length && (total % pageBytes === 0 || start + total === content.length), 'fills are whole pages of the content');
    if (this.#closed) return false;
    if (total === 0) return content.length === 0;
    if (isSmall(content.length)) {
      assert(total === content.length, 'small contents are filled whole');
      // The lasting copy of what is dirty may not be loaded yet: a clean one must not take its place.
      if (this.#kept.dirty.has(content.id) && !this.#warm && this.#index.find(content.id) === 0) return false;
      for (const tier of this.#tiers) if (await this.#small.fill(tier, content.id, bytes, total)) return true;
      return false;
    }
    for (let at = 0; at < total; ) {
      const count = Math.min(total - at, blockBytes - ((start + at) % blockBytes));
      if (!(await this.#fillBlock(content, firstPage + at / pageBytes, slice(bytes, at, count), count))) return false;
      at += count;
    }
    return true;
  }

  /** Pages of one block. */
  async #fillBlock(content: ContentHandle, firstPage: number, bytes: readonly Uint8Array[], total: number): Promise<boolean> {
    for (const tier of this.#tiers) {
      const home = this.#large.files.home(content.id, Math.floor(firstPage / blockPages));
      // A block stays where it is, unless its tier takes nothing more and holds nothing that must stay.
      if (home && home.tier.state === 'failed' && !home.tier.writable && home.holds === 0 && !this.#kept.has(content.id)) this.#large.drop(home);
      else if (home && home.tier !== tier) continue;
      if (tier.writable && (await this.#large.fill(tier, content, firstPage, bytes, total))) return true;
    }
    return false;
  }

  readResident({id, length: whole}: ContentHandle, offset: number, length: number, into?: Uint8Array): Uint8Array | undefined {
    if (length === 0) return undefined;
    if (isSmall(whole)) return this.#small.readResident(id, offset, length, into);
    const content = this.#large.files.home(id, Math.floor(offset / blockBytes));
    return content && this.#large.readResident(content, offset, length, into);
  }

  async read({id, length: whole}: ContentHandle, offset: number, length: number): Promise<Uint8Array | undefined> {
    if (length === 0) return new Uint8Array(0);
    if (isSmall(whole)) return await this.#small.read(id, offset, length);
    const bytes = Buffer.allocUnsafe(length);
    for (let at = offset; at < offset + length; ) {
      const end = this.#large.files.endOfFile(id, at, offset + length);
      if (!(await this.#readFile({id, length: whole}, at, bytes.subarray(at - offset, end - offset)))) return undefined;
      at = end;
    }
    return bytes;
  }

  async #readFile(content: ContentHandle, offset: number, into: Uint8Array): Promise<boolean> {
    using lease = await this.lease(content, offset, into.length);
    if (!lease) return false;
    try {
      return (await lease.read(into, lease.offset)) === into.length;
    } catch {
      // The lease has told the tier.
      return false;
    }
  }

  lease(content: ContentHandle, offset: number, length: number): Promise<FileLease | undefined> {
    return this.#leases.lease(content, offset, length);
  }

  leaseNow(content: ContentHandle, offset: number, length: number): FileLease | undefined {
    return this.#leases.leaseNow(content, offset, length);
  }

  async draft(lengthHint: number | undefined): Promise<Draft | undefined> {
    const tier = this.#tiers.find((one) => one.writable && one.persistent) ?? this.#tiers.find((one) => one.writable);
    if (!tier || this.#closed) return undefined;
    return new FileDraft(new DraftPlace(this.#drafts, tier), lengthHint);
  }

  async lastingDraft(length: number | undefined): Promise<Draft | undefined> {
    for (const tier of this.#tiers) {
      if (!tier.writable || !tier.persistent || this.#closed) continue;
      const place = new DraftPlace(this.#drafts, tier);
      if (length === undefined || (await place.reserve(length))) return new FileDraft(place, length);
    }
    return undefined;
  }

  async keep({id, length}: ContentHandle, bytes: readonly Uint8Array[], {durable} = {durable: true}): Promise<boolean> {
    assert(isSmall(length), 'what is kept at once is small');
    if (this.#closed) return false;
    for (const tier of this.#tiers) if (tier.writable && tier.persistent && (await new DraftPlace(this.#drafts, tier).keepSmall(id, bytes, length, durable))) return true;
    return false;
  }

  keepNow(id: ContentId, bytes: Uint8Array): boolean {
    const tier = this.#closed || bytes.length === 0 ? undefined : this.#tiers.find((one) => one.writable && one.persistent);
    return tier !== undefined && keepSmallNow(this.#drafts, tier, id, bytes);
  }

  async makeDurable(ids: readonly ContentId[]): Promise<readonly boolean[]> {
    const lost = new Set<ContentId>();
    const attempt = async (of: readonly ContentId[], work: Promise<unknown>): Promise<void> => {
      try {
        await work;
      } catch (error) {
        for (const id of of) {
          lost.add(id);
          // Dropped meanwhile it need not last, and its file may be gone.
          if (this.presence(id)) this.#tiers[0]!.failed(error);
        }
      }
    };
    const syncs: Promise<void>[] = [];
    const small = ids.filter((id) => this.#small.nodeOf(id) !== 0);
    for (const [segment, of] of Map.groupBy(small, (id) => this.#small.segmentOf(this.#small.nodeOf(id)))) syncs.push(attempt(of, this.#small.syncSegment(segment)));
    for (const id of ids) if (this.#small.nodeOf(id) === 0) syncs.push(attempt([id], this.#syncLarge(id)));
    await Promise.all(syncs);
    await attempt(ids, Promise.all(this.#kept.tiers.map((tier) => this.#logs[tier.number]!.sync())));
    return ids.map((id) => !lost.has(id));
  }

  async #syncLarge(id: ContentId): Promise<void> {
    const files = this.#large.files.of(id).filter((file) => file.tier.persistent);
    const whole = files.find((file) => file.complete);
    await Promise.all((whole ? [whole] : files).map((content) => Promise.all([this.#large.file(content).then((file) => file.datasync()), tierSync(content.tier, 'files', content.folder)])));
  }

  async leftDirty(): Promise<readonly ContentId[]> {
    await this.#loading;
    return this.#leftDirty;
  }

  async loaded(): Promise<void> {
    await this.#loading;
  }

  drop(id: ContentId): Promise<void> {
    this.#droppedEarly?.add(id);
    this.successions.remove(id);
    this.#small.drop(id);
    this.#large.dropAll(id);
    if (this.#kept.pinned.delete(id) || this.#kept.dirty.delete(id)) {
      this.#kept.dirty.delete(id);
      this.#kept.log(id);
    }
    return Promise.resolve();
  }

  pin(id: ContentId, pinned: boolean): void {
    if (pinned) this.#kept.pinned.add(id);
    else this.#kept.pinned.delete(id);
    this.#keptChanged(id);
    void this.#kept.sync(id);
    if (pinned) this.#moves.rescue(id);
  }

  async clean(id: ContentId): Promise<void> {
    if (!this.#kept.dirty.delete(id)) return;
    this.#keptChanged(id);
    await this.#kept.sync(id);
  }

  places(id: ContentId): Place[] {
    const node = this.#index.find(id);
    if (node !== 0) {
      const bytes = this.#nodes.length.get(node);
      return [{tier: this.#small.segmentOf(node).tier.options.name, bytes, pages: [[0, Math.ceil(bytes / pageBytes)]]}];
    }
    const files = this.#large.files.of(id).filter((file) => file.presentBytes > 0);
    return files.map((file) => ({tier: file.tier.options.name, bytes: file.presentBytes, pages: runs(file, 0, file.pages - 1, true)}));
  }

  status(): ReturnType<BlockStore['status']> {
    const tiers = this.#tiers.map((tier) => tier.status());
    const policies = this.#tiers.reduce((sum, tier) => sum + tier.policy.bytes, 0);
    return {tiers, contents: this.#index.count + this.#large.files.size, indexBytes: this.#nodes.bytes + this.#index.bytes + policies};
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#loading;
    await this.#moves.close();
    const attempt = (work: Promise<void>) => work.catch((error: unknown) => this.#tiers[0]!.failed(error));
    await attempt(this.drafts.close());
    await attempt(this.#small.close());
    for (const log of this.#logs) await attempt(log.close());
    await attempt(this.#large.close());
    for (const lock of this.#locks) await lock[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #keptChanged(id: ContentId): void {
    const kept = this.#kept.has(id);
    for (const file of this.#large.files.of(id)) this.#large.setKept(file, kept);
    const node = this.#index.find(id);
    if (node === 0 || this.#nodes.has(node, nodeKept) === kept) return;
    this.#nodes.setFlag(node, nodeKept, kept);
    const {policy} = this.#small.segmentOf(node).tier;
    if (kept) policy.remove(node);
    else if (this.#nodes.mark.get(node) === 0) policy.insert(node);
  }

  async #freeSome(tier: Tier): Promise<boolean> {
    if (await this.#small.emptySparse(tier)) return true;
    let freed = false;
    for (let i = 0; i < victimsAtOnce; i++) {
      const node = tier.policy.evict((candidate) => this.#mayEvict(candidate));
      if (node === 0) break;
      freed = true;
      const punched = this.#evict(node);
      if (!punched) continue;
      await punched;
      return true;
    }
    return freed;
  }

  #mayEvict(node: number): boolean {
    return !this.#nodes.has(node, nodeBlock) || this.#large.mayEvict(node);
  }

  /** Frees a victim, which is out of its policy: on the spot, or a block when its holes are punched. */
  #evict(node: number): Promise<void> | undefined {
    const bytes = this.#nodes.length.get(node);
    if (this.#nodes.has(node, nodeBlock)) {
      this.#large.fileOf(node).tier.evictedBytes += bytes;
      return this.#large.evict(node);
    }
    this.#small.segmentOf(node).tier.evictedBytes += bytes;
    this.#small.remove(node);
    return undefined;
  }

  async #load(life: number, logsRead: () => void): Promise<void> {
    const known: Tier[] = [];
    for (const tier of this.#tiers) {
      try {
        const kept = new Map<ContentId, LogRecord & {readonly kind: 'kept'}>();
        await this.#logs[tier.number]!.replay((record) => {
          if (record.kind === 'kept') kept.set(record.id, record);
          else if (record.kind === 'succeeds') this.successions.replay(record);
          else if (record.kind === 'dead') this.#small.replay(tier, record);
          else this.#large.replay(tier, record);
        });
        // What any tier says last holds: dirt is synced on the tier of its bytes only.
        for (const {id, pinned, dirty} of kept.values()) {
          if (pinned) this.#kept.pinned.add(id);
          if (dirty) this.#kept.dirty.add(id);
        }
        await this.#small.count(tier);
        known.push(tier);
      } catch (error) {
        // What it holds is not known, so nothing there is used, changed or removed in this life.
        tier.failed(error);
      }
    }
    await this.#large.replayed(new Slices(this.#runtime.clock));
    this.successions.replayed((id) => this.presence(id) !== undefined);
    this.drafts.replayed();
    const early = this.#droppedEarly;
    this.#droppedEarly = undefined;
    for (const id of early ?? []) await this.drop(id);
    this.#leftDirty = [...this.#kept.dirty];
    // A log that cannot be read may name dirt of any tier.
    const trusted = this.#kept.tiers.every((tier) => known.includes(tier)) ? known : [];
    for (const tier of trusted) tier.ready = true;
    logsRead();
    await this.#small.load(() => this.#closed);
    for (const tier of trusted) {
      try {
        if (this.#closed) return;
        await this.#large.removeOrphans(tier, life);
        await this.#logs[tier.number]!.enableCheckpoints(() => this.#records(tier));
        // The quota may be less than in the life before.
        await tier.reserve(0);
      } catch (error) {
        tier.failed(error);
      }
    }
    this.#warm = true;
    this.#moves.start();
  }

  *#records(tier: Tier): Generator<LogRecord> {
    yield* this.#large.records(tier);
    yield* this.#small.records(tier);
    yield* this.#kept.records(tier);
    yield* this.successions.records(tier);
  }
}
