/**
 * Out of the way, not away: before another object takes a key whose versions are kept (or whose file somebody has open), or the key is
 * deleted, the bytes of the current version are moved to a place of their own (`.weir/versions/`), by a rename where the store has one, else by a copy of the store's.
 * The move is noted before and forgotten in the commit that needed it; what ends otherwise is settled (jobs/settle-relocation.ts).
 */
import {isKind} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {HeldInodes} from '#master/held-inodes.ts';
import type {Jobs} from '#master/jobs/jobs.ts';
import {copyObject, removeObject, renameInStore} from '#master/jobs/move-object.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {relocate} from '#master/namespace/moves.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {versionToKeep} from '#master/namespace/put-file.ts';
import {forgetRelocation, isVersionPlace, noteRelocation, versionPlace} from '#master/namespace/relocations.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {movedTo, type StoredBytes, storedOf} from '#master/namespace/stored.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Content} from '#model/content.ts';
import {formatPath, type Path} from '#model/path.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';

export interface ArchiveServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly jobs: Jobs;
  readonly runtime: Pick<Runtime, 'crashPoint' | 'random'>;
  readonly held: Pick<HeldInodes, 'isHeld' | 'count'>;
}

/** For putFile and deleteKey: the content at its new place; or the store no longer had these bytes. */
export interface Archived {
  readonly inode: InodeId;
  readonly content: Content | 'lost';
  readonly relocation?: Relocation;
}

export class Archives {
  readonly #services: ArchiveServices;

  constructor(services: ArchiveServices) {
    this.#services = services;
  }

  /** True when somebody has the file at the path open, so that its bytes are archived before they go. Costs nothing while nobody has anything open. */
  isOpen(path: Path): boolean {
    if (this.#services.held.count === 0) return false;
    return this.#services.transactions.peek(reader => this.#current(reader, path)) !== undefined;
  }

  /**
   * In the turn of the key: makes room at it, if what is there must be kept. `remove`: nothing will take the place. When it fails, or
   * what follows does not commit, `settle` must be called for what `noted` was told.
   */
  async archive(path: Path, remove: boolean, signal: AbortSignal, noted: (relocation: Relocation) => void, always = false): Promise<Archived | undefined> {
    const {transactions, mounts, runtime} = this.#services;
    const current = transactions.peek(reader => this.#current(reader, path, always));
    if (!current) return undefined;
    const {content, inode, mount} = current;
    const stored = storedOf(content)!;
    const {storeKey: from, fingerprint} = stored;
    if (isVersionPlace(from)) return {inode, content};
    const store = mounts.writable(mount);
    if ((await store.stat(from, {signal}))?.fingerprint !== fingerprint) return {inode, content: 'lost'};
    const to = versionPlace(runtime.random.id());
    const relocation = await transactions.changeOwn((tx, op) => noteRelocation(tx, op, {kind: 'archive', inode, content: content.id, mount, from, fingerprint, to, path: formatPath(path)}));
    noted(relocation);
    runtime.crashPoint('master.archive.noted');
    try {
      const moved = await this.#move(store, stored, to, remove, signal);
      runtime.crashPoint('master.archive.moved');
      return {inode, content: movedTo(content, to, moved.fingerprint), relocation};
    } catch (error) {
      if (!isKind(error, 'NotFound', 'ContentChanged')) throw error;
      return {inode, content: 'lost', relocation};
    }
  }

  /** Whether the store has nothing at the key from which this was moved. */
  leavesNothing(mount: MountId, archived: Archived | undefined): boolean {
    return archived?.relocation !== undefined && archived.content !== 'lost' && this.#services.mounts.get(mount).capabilities.rename !== 'none';
  }

  /** In the commit that the bytes were archived for, before what it does: the file has its bytes there from now on, whatever becomes of it. */
  commit(tx: Transaction, archived: Archived | undefined): void {
    if (!archived) return;
    if (archived.content !== 'lost') relocate(tx, archived.inode, archived.content);
    if (archived.relocation) forgetRelocation(tx, archived.relocation.id);
  }

  #current(reader: Reader, path: Path, always = false): {readonly content: Content; readonly inode: InodeId; readonly mount: MountId} | undefined {
    const resolution = resolve(reader, path);
    const {place} = resolution;
    const inode = place && inodeAt(reader, place);
    // A name of several goes without the bytes.
    if (!place || inode?.kind !== 'file' || inode.links !== undefined) return undefined;
    // What the store has not got stays in the cache as long as somebody has it open; versions are persisted before they are kept.
    if (inode.content?.pending) return inode.content.over && this.#services.held.isHeld(inode.id) ? {content: inode.content, inode: inode.id, mount: place.mount} : undefined;
    const content = versionToKeep(keepingOf(reader, path, resolution.top), inode) ?? (always || this.#services.held.isHeld(inode.id) ? inode.content : undefined);
    return content && {content, inode: inode.id, mount: place.mount};
  }

  /** Finds out what became of an archive whose commit did not come, and holds its key until then. */
  settle(relocation: Relocation, hold: Disposable): void {
    this.#services.jobs.startRelocation(relocation, hold);
  }

  async #move(store: UnderStore, content: StoredBytes, to: Content['storeKey'], remove: boolean, signal: AbortSignal): Promise<{readonly fingerprint: string}> {
    if (store.capabilities.rename !== 'none') return await renameInStore(store, content.storeKey, to, signal);
    const copied = await copyObject(store, content, to, signal);
    if (remove) {
      this.#services.runtime.crashPoint('master.archive.copied');
      await removeObject(store, content.storeKey, signal);
    }
    return copied;
  }
}
