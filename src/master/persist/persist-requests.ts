/** What people ask about pending files: which there are, to try them now, and what is to become of those in conflict. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {PersistInfo, PersistPage, PersistRequest} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import {mergeFile} from '#master/loader/merge-object.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {dropPersist, listPersists, pendingFile, setPersistState} from '#master/namespace/persists.ts';
import {writeInode} from '#master/namespace/place.ts';
import {existing, resolve} from '#master/namespace/resolve.ts';
import type {Persister} from '#master/persist/persister.ts';
import {statOf} from '#master/persist/upload-content.ts';
import type {Transactions} from '#master/transactions.ts';
import {beginStoreChange, type StoreChangeServices} from '#master/writes/store-change.ts';
import {formatPath, parsePath} from '#model/path.ts';

export interface PersistRequestServices extends StoreChangeServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly persister: Persister;
}

/** Rows looked at for one page. */
const rowsAtOnce = 1_000;

export class PersistRequests {
  readonly #services: PersistRequestServices;

  constructor(services: PersistRequestServices) {
    this.#services = services;
  }

  /** NotFound. */
  list({path, after, limit}: PersistRequest, {principal}: CallContext): PersistPage {
    const {transactions, persister} = this.#services;
    const parsed = parsePath(path);
    const place = transactions.peek((reader) => existing(reader, resolve(reader, parsed, principal)));
    if (place.kind !== 'directory') {
      const only = after === undefined ? persister.info(place.id) : undefined;
      return {entries: only ? [only] : []};
    }
    const directory = formatPath({names: parsed.names, kind: 'directory'});
    const rows = transactions.peek((reader) => listPersists(reader, after, rowsAtOnce));
    const entries: PersistInfo[] = [];
    for (const {id} of rows) {
      const info = persister.info(id);
      if (!info?.path.startsWith(directory)) continue;
      entries.push(info);
      if (entries.length === limit) return {entries, next: id};
    }
    const last = rows.length === rowsAtOnce ? rows.at(-1) : undefined;
    return {entries, ...(last ? {next: last.id} : {})};
  }

  async persist(path: ByteString, {resolve: decision}: {readonly resolve?: 'overwrite' | 'discard'}, context: CallContext): Promise<{readonly files: number}> {
    const {persister} = this.#services;
    let files = 0;
    for (let after: InodeId | undefined; ; ) {
      const page = this.list({path, limit: rowsAtOnce, ...(after === undefined ? {} : {after})}, context);
      for (const {inode, state} of page.entries) {
        if (decision !== undefined && state !== 'conflict') continue;
        if (decision === 'overwrite') await this.#overwrite(inode, context.signal);
        if (decision === 'discard') await this.#discard(inode, context);
        persister.recheck(inode, true);
        files++;
      }
      if (page.next === undefined) return {files};
      after = page.next;
    }
  }

  /** Over what the store has now, and nothing else that may come. */
  async #overwrite(id: InodeId, signal: AbortSignal): Promise<void> {
    const {transactions, mounts} = this.#services;
    const file = transactions.peek((reader) => pendingFile(reader, id));
    if (!file) return;
    const there = await statOf(mounts.writable(file.content.mount), file.content.storeKey, signal);
    await transactions.changeOwn((tx) => {
      const now = pendingFile(tx, id);
      if (now?.persist.state === 'conflict') setPersistState(tx, now, 'pending', {base: there ? {fingerprint: there.fingerprint} : 'absent', failures: 0});
    });
  }

  /** The namespace shows what the store has. */
  async #discard(id: InodeId, context: CallContext): Promise<void> {
    const {transactions, mounts} = this.#services;
    const file = transactions.peek((reader) => pendingFile(reader, id));
    if (!file) return;
    const {mount, storeKey} = file.content;
    const store = mounts.writable(mount);
    using _turn = await beginStoreChange(this.#services, mount, [storeKey], context.signal);
    const there = await statOf(store, storeKey, context.signal);
    await transactions.changeOwn((tx, op) => {
      const now = pendingFile(tx, id);
      if (now?.persist.state !== 'conflict' || now.content.storeKey !== storeKey) return;
      dropPersist(tx, id);
      const {pending: _, ...content} = now.content;
      writeInode(tx, {...now.inode, content}, now.place.storeKey);
      mergeFile(tx, op, {mount, storeKey, path: parsePath(now.path, 'file'), capabilities: store.capabilities, startedAt: transactions.now()}, there);
    });
  }
}
