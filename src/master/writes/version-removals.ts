/**
 * Deletes where versions are kept: of a key (a delete marker hides it), of one version for good, and of trees, which is a delete of every
 * key below. A store follows as it does for any single object, in the key's turn.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {CallContext} from '#contracts/context.ts';
import type {RemoveOptions, RemoveResult} from '#contracts/master-api.ts';
import type {Jobs} from '#master/jobs/jobs.ts';
import {removeObject} from '#master/jobs/move-object.ts';
import type {Lister} from '#master/loader/lister.ts';
import {deleteKey} from '#master/namespace/delete-key.ts';
import {noSuchVersion, removeVersion, type RemoveVersionOptions} from '#master/namespace/remove-version.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {resolve, whereabouts} from '#master/namespace/resolve.ts';
import {type Keeping, keepingOf} from '#master/namespace/versioning.ts';
import type {Archived} from '#master/writes/archives.ts';
import {pruneDirectories} from '#master/writes/prune.ts';
import type {MadeDirectories} from '#master/writes/made-directories.ts';
import {beginStoreChange, turnOfCurrent} from '#master/writes/store-change.ts';
import type {WriteServices} from '#master/writes/writes.ts';
import type {Inode} from '#model/inode.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Path} from '#model/path.ts';
import {versionIdOf} from '#model/version.ts';

/** What every change of names needs. */
export interface MutationServices extends WriteServices {
  readonly lister: Lister;
  readonly jobs: Jobs;
  readonly madeDirectories: MadeDirectories;
  /** Nothing that was learned about keys with this prefix is believed any more. */
  readonly forget: (mount: MountId, prefix: ByteString) => void;
}

const keysAPage = 1_000;

export class VersionRemovals {
  readonly #services: MutationServices;

  constructor(services: MutationServices) {
    this.#services = services;
  }

  /** Undefined when no versions of the key are kept. */
  keeping(path: Path): Keeping | undefined {
    return this.#services.transactions.peek(reader => keepingOf(reader, path, resolve(reader, path).top));
  }

  /** The path is a file's; it need not exist. */
  async deleteKey(path: Path, keeping: Keeping, options: Pick<RemoveOptions, 'precondition'>, context: CallContext): Promise<RemoveResult> {
    const {transactions, mounts, archives, ownership, runtime, persister} = this.#services;
    const {signal} = context;
    const {mount} = transactions.peek(reader => whereabouts(reader, path, context.principal));
    const keysOf = (): readonly ByteString[] => [transactions.peek(reader => whereabouts(reader, path, context.principal)).storeKey];
    const store = mounts.writable(mount);
    using hold = new DisposableStack();
    hold.use(await persister.turnWhenPersisted(reader => currentOf(reader, path), () => turnOfCurrent(keysOf, keys => ownership.turnOf(path, mount, keys, signal)), signal));
    transactions.rehearse(context, (tx, op) => deleteKey(tx, op, path, keeping, {archived: 'lost', precondition: options.precondition}));
    let noted: Relocation | undefined;
    try {
      const archived: Archived | undefined = await archives.archive(path, true, signal, relocation => (noted = relocation));
      const current = transactions.peek(reader => whereabouts(reader, path, context.principal)).place;
      if (!archived && current) await removeObject(store, current.storeKey, signal);
      runtime.crashPoint('master.delete.commit');
      let vanished: readonly ByteString[] = [];
      const {result, durable} = transactions.changeNow(context, (tx, op) => {
        archives.commit(tx, archived);
        const deleted = deleteKey(tx, op, path, keeping, {archived: archived?.content ?? 'lost'});
        ({vanished} = deleted);
        return {versionId: versionIdOf(deleted.marker.inode), deleteMarker: true};
      });
      noted = undefined;
      await Promise.all([durable, pruneDirectories(this.#services, store, mount, vanished, signal)]);
      return result;
    } catch (error) {
      if (noted) archives.settle(noted, hold.move());
      throw error;
    }
  }

  async removeVersion(path: Path, keeping: Keeping | undefined, options: RemoveVersionOptions, context: CallContext): Promise<RemoveResult> {
    if (!keeping) throw noSuchVersion(path);
    const {transactions, mounts, jobs, runtime, persister} = this.#services;
    const {signal} = context;
    const {mount} = transactions.peek(reader => whereabouts(reader, path, context.principal));
    const keysOf = (): readonly ByteString[] => [transactions.peek(reader => whereabouts(reader, path, context.principal)).storeKey];
    const store = mounts.writable(mount);
    using hold = new DisposableStack();
    hold.use(await persister.turnWhenPersisted(reader => currentOf(reader, path), () => turnOfCurrent(keysOf, keys => beginStoreChange(this.#services, mount, keys, signal)), signal));
    const tried = transactions.rehearse(context, (tx, op) => removeVersion(tx, op, path, keeping, options));
    if (tried.storeKey !== undefined) {
      runtime.crashPoint('master.removeVersion.store');
      await removeObject(store, tried.storeKey, signal);
    }
    runtime.crashPoint('master.removeVersion.commit');
    let restored: Relocation | undefined;
    let vanished: readonly ByteString[] = [];
    const {result, durable} = transactions.changeNow(context, (tx, op) => {
      const removed = removeVersion(tx, op, path, keeping, options);
      ({restored, vanished} = removed);
      return {versionId: versionIdOf(removed.info.inode), ...(removed.info.deleteMarker ? {deleteMarker: true} : {})};
    });
    // The bytes go back to their key behind the answer; until then they are read where they are.
    if (restored) jobs.startRelocation(restored, hold.move(), durable);
    await Promise.all([durable, pruneDirectories(this.#services, store, mount, vanished, signal)]);
    return result;
  }

  /** Every file below a directory is deleted as a key; what has no versions is left to the caller. */
  async deleteTree({names}: Path, context: CallContext): Promise<void> {
    const directory = `/${names.join('/')}/` as ByteString;
    for (let after: ByteString | undefined; ; ) {
      const page = await this.#services.lister.list({directory, view: 'tree', limit: keysAPage, ...(after === undefined ? {} : {after})}, context);
      for (const entry of page.entries) {
        if (!('info' in entry) || entry.info.inode.kind !== 'file') continue;
        const path: Path = {names: [...names, ...(entry.key.split('/') as ByteString[])], kind: 'file'};
        const keeping = this.keeping(path);
        if (keeping) await this.deleteKey(path, keeping, {}, context);
      }
      if (page.next === undefined) return;
      after = page.next;
    }
  }
}

function currentOf(reader: Reader, path: Path): Inode | undefined {
  const {place} = resolve(reader, {names: path.names, kind: 'file'});
  return place && inodeAt(reader, place);
}
