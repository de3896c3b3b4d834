/**
 * Quotas: how many bytes may lie below a directory. What does is counted in the transactions that change it, by looking at every inode that
 * a change touches: as it was, and as it is then. A file counts where its first name is, with the bytes of its content; old versions do not count.
 *
 * Directories do not move from one set of quotas to another (CrossMount, as with project quotas of disks): what lies below would have to be
 * counted. When a quota is set, all files are looked at once, in the order of their ids and in pieces; until then a change of a file counts if its turn
 * has been.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import {decodeInode} from '#codec/namespace/inode-record.ts';
import {idOfKey, inodeKey, inodesFrom, quotaKey, quotaTable} from '#codec/namespace/keys.ts';
import {decodeQuota, encodeQuota, type Quota} from '#codec/namespace/quota-record.ts';
import {isEmpty} from '#master/namespace/place.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {WatchedTransaction} from '#metastore/watched-transaction.ts';
import type {Inode} from '#model/inode.ts';

const inodeLetter = 0x69;
const noKey = '' as ByteString;

export function getQuota(reader: Reader, id: InodeId): Quota | undefined {
  const record = reader.get(quotaKey(id));
  return record && decodeQuota(record);
}

/** The directories that have one. */
export function listQuotas(reader: Reader): InodeId[] {
  return Array.from(reader.range(quotaTable), ({key}) => idOfKey(key) as InodeId);
}

export function putQuota(tx: Transaction, id: InodeId, quota: Quota): void {
  tx.put(quotaKey(id), encodeQuota(quota));
}

/** A new limit; what lies below is counted if it is not yet. */
export function limitTo(tx: Transaction, id: InodeId, limit: number): void {
  putQuota(tx, id, {...(getQuota(tx, id) ?? {used: 0, countedTo: 0}), limit});
}

/** Of a directory and those above it, those in `known`, from below. `gone`: what an inode was that is not there any more. */
export function quotasAbove(reader: Reader, directory: InodeId, known: ReadonlySet<InodeId>, gone?: (id: InodeId) => Inode | undefined): InodeId[] {
  const found: InodeId[] = [];
  for (let at = directory; ; ) {
    if (known.has(at)) found.push(at);
    if (at === rootInodeId) return found;
    const record = reader.get(inodeKey(at));
    const inode = record ? decodeInode(at, record, noKey) : gone?.(at);
    if (!inode) return found;
    at = inode.parent;
  }
}

/** A file without a name counts nowhere. */
const bytesOf = ({kind, name, content}: Inode): number => (kind === 'file' && name !== '' ? (content?.length ?? 0) : 0);

/** Counts files after `quota.countedTo`, `limit` inodes at most. True when all are counted. */
export function countOn(tx: Transaction, id: InodeId, limit: number): boolean {
  const quota = getQuota(tx, id);
  if (quota?.countedTo === undefined) return true;
  const known = new Set([id]);
  let [{used}, last] = [quota, undefined as number | undefined];
  for (const {key, value} of tx.range({...inodesFrom(quota.countedTo + 1), limit})) {
    last = idOfKey(key);
    const inode = decodeInode(last as InodeId, Uint8Array.from(value), noKey);
    const bytes = bytesOf(inode);
    if (bytes > 0 && quotasAbove(tx, inode.parent, known).length > 0) used += bytes;
  }
  putQuota(tx, id, {limit: quota.limit, used, ...(last === undefined ? {} : {countedTo: last})});
  return last === undefined;
}

interface Was {
  readonly inode: Inode | undefined;
  readonly quotas: readonly InodeId[];
}

/** A transaction that remembers how the inodes were that it changes. */
export class QuotaTransaction extends WatchedTransaction {
  readonly #known: ReadonlySet<InodeId>;
  readonly #touched = new Map<InodeId, Was>();
  readonly #above = new Map<InodeId, readonly InodeId[]>();

  constructor(tx: Transaction, known: ReadonlySet<InodeId>) {
    super(tx);
    this.#known = known;
  }

  /** At the end of the change. `enforcing`: QuotaExceeded where a file that is there already would come to be where there is no room. CrossMount. */
  settle(enforcing: boolean): void {
    const changes = new Map<InodeId, number>();
    const add = (quota: InodeId, id: InodeId, bytes: number): void => {
      const {countedTo} = getQuota(this.tx, quota) ?? {};
      if (bytes !== 0 && (countedTo === undefined || id <= countedTo)) changes.set(quota, (changes.get(quota) ?? 0) + bytes);
    };
    for (const [id, {inode: was, quotas}] of this.#touched) {
      const inode = this.#inode(id);
      const now = inode ? this.#quotasOf(inode) : [];
      if (was && inode?.kind === 'directory' && !isSame(quotas, now) && !isEmpty(this.tx, id)) throw new WeirError('CrossMount', 'a directory that is not empty cannot be moved between directories of different quotas');
      for (const quota of quotas) add(quota, id, -bytesOf(was!));
      for (const quota of now) add(quota, id, bytesOf(inode!));
      if (enforcing && was && inode && !isSame(quotas, now)) this.#refuse(now.filter(quota => !quotas.includes(quota)), bytesOf(inode));
    }
    for (const [id, change] of changes) {
      const quota = getQuota(this.tx, id);
      if (quota) putQuota(this.tx, id, {...quota, used: Math.max(0, quota.used + change)});
    }
  }

  #refuse(quotas: readonly InodeId[], bytes: number): void {
    for (const id of quotas) {
      const quota = getQuota(this.tx, id);
      if (quota && quota.used + bytes > quota.limit) throw new WeirError('QuotaExceeded', `the quota of ${quota.limit} bytes has no room for ${bytes} more`);
    }
  }

  protected override changing(key: ByteString): void {
    if (key.charCodeAt(0) !== inodeLetter) return;
    const id = idOfKey(key) as InodeId;
    if (this.#touched.has(id)) return;
    const inode = this.#inode(id);
    this.#touched.set(id, {inode, quotas: inode ? this.#quotasOf(inode) : []});
  }

  #inode(id: InodeId): Inode | undefined {
    const record = this.tx.get(inodeKey(id));
    return record && decodeInode(id, record, noKey);
  }

  /** The root lies in no directory. */
  #quotasOf({id, parent}: Inode): readonly InodeId[] {
    if (id === rootInodeId) return [];
    let above = this.#above.get(parent);
    if (!above) this.#above.set(parent, (above = quotasAbove(this.tx, parent, this.#known, gone => this.#touched.get(gone)?.inode)));
    return above;
  }
}

function isSame(a: readonly InodeId[], b: readonly InodeId[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
