/**
 * Before the first of a file's several names goes, or is written over, another becomes the first, and the store's object
 * is brought to its key (design 4.1). Nothing of that shows: it may be done, and left undone, at any time. It is noted as other
 * bytes on their way are, so a crash leaves nothing half.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import {settleRelocation} from '#master/jobs/settle-relocation.ts';
import type {Jobs} from '#master/jobs/jobs.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {furtherNames, isFirstOfSeveral, listLinked, type Name, passOwnership} from '#master/namespace/links.ts';
import {locate} from '#master/namespace/locate.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {noteRelocation, listRelocations} from '#master/namespace/relocations.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {beginStoreChange, type StoreChangeServices} from '#master/writes/store-change.ts';
import type {Persister} from '#master/persist/persister.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, type Path} from '#model/path.ts';
import type {Runtime} from '#runtime/runtime.ts';

interface Pass {
  readonly inode: Inode;
  readonly mount: MountId;
  readonly path: ByteString;
  readonly next: Name;
  readonly toKey: ByteString;
}

export interface OwnershipServices extends StoreChangeServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly jobs: Jobs;
  readonly persister: Persister;
  readonly runtime: Pick<Runtime, 'crashPoint'>;
}

export class Ownership {
  readonly #services: OwnershipServices;
  /** Whether there has been any file with several names; undefined: not looked yet. */
  #any: boolean | undefined;

  constructor(services: OwnershipServices) {
    this.#services = services;
  }

  /** There is one from now on. */
  noteLink(): void {
    this.#any = true;
  }

  /** Whether any file has several names. */
  get isNeeded(): boolean {
    return (this.#any ??= this.#services.transactions.peek(listLinked).length > 0);
  }

  /** The turn of a change of `keys` in which the path, if it is a file's, is not the first of several names. */
  async turnOf(path: Path, mount: MountId, keys: readonly ByteString[], signal: AbortSignal, alone = true): Promise<Disposable> {
    return await this.#turn(reader => this.#ofPath(reader, path), mount, keys, signal, alone);
  }

  /** The same for two names that are not of one file. */
  async turnOfNames(paths: readonly Path[], mount: MountId, keys: readonly ByteString[], signal: AbortSignal): Promise<Disposable> {
    const find = (reader: Reader): Pass | undefined => {
      const passes = paths.flatMap(path => this.#ofPath(reader, path) ?? []);
      return new Set(paths.map(path => resolve(reader, path).place?.id)).size < paths.length ? undefined : passes[0];
    };
    return await this.#turn(find, mount, keys, signal, true);
  }

  /** The same in which no file below a directory has its first name there and others elsewhere. */
  async turnOfTree(directory: ByteString, mount: MountId, keys: readonly ByteString[], signal: AbortSignal): Promise<Disposable> {
    return await this.#turn(reader => this.#below(reader, directory), mount, keys, signal, true);
  }

  async #turn(find: (reader: Reader) => Pass | undefined, mount: MountId, keys: readonly ByteString[], signal: AbortSignal, alone: boolean): Promise<Disposable> {
    const {transactions} = this.#services;
    if (!this.isNeeded) return await beginStoreChange(this.#services, mount, keys, signal, alone);
    for (;;) {
      for (let pass = transactions.peek(find); pass; pass = transactions.peek(find)) await this.#do(pass, find, signal);
      const turn = await beginStoreChange(this.#services, mount, keys, signal, alone);
      if (!transactions.peek(find)) return turn;
      turn[Symbol.dispose]();
    }
  }

  async #do({inode, mount, path, next, toKey}: Pass, again: (reader: Reader) => Pass | undefined, signal: AbortSignal): Promise<void> {
    const {transactions, mounts, runtime, jobs, persister} = this.#services;
    const store = mounts.writable(mount);
    const {content} = inode;
    using hold = new DisposableStack();
    // What its store is still to get it gets first.
    hold.use(await persister.turnWhenPersisted(reader => again(reader)?.inode, () => beginStoreChange(this.#services, mount, content ? [content.storeKey, toKey] : [toKey], signal), signal));
    const now = transactions.peek(again);
    if (now?.inode.id !== inode.id || now.inode.content?.storeKey !== content?.storeKey || now.toKey !== toKey) return;
    const relocation = await transactions.changeOwn((tx, op): Relocation | undefined => {
      passOwnership(tx, now.inode, next);
      return content && noteRelocation(tx, op, {kind: 'restore', inode: inode.id, content: content.id, mount, from: content.storeKey, fingerprint: now.inode.content!.fingerprint, to: toKey, path});
    });
    if (!relocation) return;
    runtime.crashPoint('master.ownership.noted');
    try {
      await settleRelocation({transactions, store, relocation, signal, crashPoint: name => runtime.crashPoint(name)});
    } catch (error) {
      if (transactions.peek(listRelocations).some(({id}) => id === relocation.id)) jobs.startRelocation(relocation, hold.move());
      throw error;
    }
  }

  #ofPath(reader: Reader, path: Path): Pass | undefined {
    if (path.kind === 'directory') return undefined;
    const {place} = resolve(reader, {names: path.names, kind: 'file'});
    const inode = place && inodeAt(reader, place);
    if (!place || !inode || !isFirstOfSeveral(inode, place)) return undefined;
    return this.#to(reader, inode, place.mount, formatPath({names: path.names, kind: 'file'}), furtherNames(reader, inode.id)[0]);
  }

  #below(reader: Reader, directory: ByteString): Pass | undefined {
    for (const id of listLinked(reader)) {
      const found = locate(reader, id);
      if (!found?.path.startsWith(directory)) continue;
      const outside = furtherNames(reader, id).find(({parent}) => !(locate(reader, parent)?.path ?? directory).startsWith(directory));
      if (outside) return this.#to(reader, inodeAt(reader, found.place), found.place.mount, found.path, outside);
    }
    return undefined;
  }

  #to(reader: Reader, inode: Inode, mount: MountId, path: ByteString, next: Name | undefined): Pass | undefined {
    const parent = next && locate(reader, next.parent as InodeId);
    return next && parent && {inode, mount, path, next, toKey: (parent.place.storeKey + next.name) as ByteString};
  }
}
