/**
 * Noncurrent versions and delete markers: what a key had before, the newest first. The current version is the namespace's own entry and
 * not here; a key without an entry whose newest row is a delete marker is deleted, as S3 sees it. The rows belong to a key of a bucket,
 * not to a directory: implied directories vanish with their last file, whatever versions there are below, and a renamed tree
 * leaves its history under the old keys.
 *
 * Invariants: the current version is newer than all rows (`order`); at most one version of a key, current or not, is null; every row's
 * bytes lie at a place of their own in the store.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {nullVersionKey, partsOfVersionKey, versionKey, versionsFrom, versionsOf, versionUsageKey, versionUsageTable} from '#codec/namespace/keys.ts';
import {decodeNextId, decodeUsage, encodeNextId, encodeUsage, type Usage} from '#codec/namespace/usage-record.ts';
import {decodeVersion, encodeVersion, type VersionRecord} from '#codec/namespace/version-record.ts';
import {makerOf} from '#master/namespace/beginnings.ts';
import {discard} from '#master/namespace/garbage.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {noUsage, plus} from '#master/namespace/usage.ts';
import type {Keeping} from '#master/namespace/versioning.ts';
import type {KeyValue, Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {parseVersionId} from '#model/version.ts';

/** A noncurrent version or delete marker of a key. */
export interface Noncurrent extends VersionRecord {
  readonly key: ByteString;
  /** Greater is newer; the version's number where it has one. */
  readonly order: number;
}

type KeyOf = Pick<Keeping, 'bucket' | 'key'>;

export function decodeRow({key, value}: KeyValue): Noncurrent {
  return {...decodeVersion(value), ...partsOfVersionKey(key)};
}

/** The newest row that is older than `before`. */
export function newestOf(reader: Reader, {bucket, key}: KeyOf, before?: number): Noncurrent | undefined {
  for (const row of reader.range({...versionsOf(bucket, key, before), limit: 1})) return decodeRow(row);
  return undefined;
}

/** By a version id; undefined when the key has no such noncurrent version (any more). */
export function noncurrentOf(reader: Reader, {bucket, key}: KeyOf, versionId: string): Noncurrent | undefined {
  const number = parseVersionId(versionId);
  if (number === undefined) return undefined;
  const order = number ?? nullOrder(reader, bucket, key);
  if (order === undefined) return undefined;
  const row = versionKey(bucket, key, order);
  const value = reader.get(row);
  const found = value && decodeRow({key: row, value});
  return found && (found.inode.version === undefined) === (number === null) ? found : undefined;
}

function nullOrder(reader: Reader, bucket: InodeId, key: ByteString): number | undefined {
  const record = reader.get(nullVersionKey(bucket, key));
  return record && decodeNextId(record);
}

/**
 * What was current becomes the newest row. Its content says already where the bytes are from now on. The inode's own record and entry are
 * the caller's. A version that came to this key with a renamed tree, below newer rows, is given a new number.
 */
export function addVersion(tx: Transaction, op: Operation, keeping: KeyOf, inode: Inode): Noncurrent {
  const {version} = inode;
  if (version === undefined) dropNull(tx, keeping);
  const newest = newestOf(tx, keeping);
  const fits = version !== undefined && version > (newest?.order ?? -1);
  const order = fits ? version : op.ids.next();
  return addRow(tx, keeping, order, {inode: version === undefined ? inode : {...inode, version: order}, deleteMarker: false, since: op.now});
}

/** Under suspended versioning the marker is the null version and takes its place. */
export function addDeleteMarker(tx: Transaction, op: Operation, keeping: Keeping): Noncurrent {
  const order: number = op.ids.next();
  const numbered = keeping.status === 'enabled';
  if (!numbered) dropNull(tx, keeping);
  const inode: Inode = {
    id: order as InodeId, kind: 'file', parent: keeping.bucket, name: keeping.key, mode: 0, ...makerOf(op), atime: op.now, mtime: op.now, ctime: op.now, checkedAt: 0, ...(numbered ? {version: order} : {}),
  };
  return addRow(tx, keeping, order, {inode, deleteMarker: true, since: op.now});
}

function addRow(tx: Transaction, {bucket, key}: KeyOf, order: number, record: VersionRecord): Noncurrent {
  tx.put(versionKey(bucket, key, order), encodeVersion(record));
  if (record.inode.version === undefined) tx.put(nullVersionKey(bucket, key), encodeNextId(order));
  count(tx, bucket, record, 1);
  return {...record, key, order};
}

/** Writes a row whose attributes or place in the store have changed. */
export function rewriteRow(tx: Transaction, bucket: InodeId, row: Noncurrent): void {
  tx.put(versionKey(bucket, row.key, row.order), encodeVersion(row));
}

/** The row goes; with `bytes` its object in the store as well, behind the commit. */
export function dropRow(tx: Transaction, bucket: InodeId, row: Noncurrent, bytes: 'drop' | 'keep'): void {
  if (bytes === 'drop') discard(tx, row.inode, true);
  tx.delete(versionKey(bucket, row.key, row.order));
  if (row.inode.version === undefined) tx.delete(nullVersionKey(bucket, row.key));
  count(tx, bucket, row, -1);
}

/** The noncurrent null version of a key, if there is one, gives way to another. */
export function dropNull(tx: Transaction, {bucket, key}: KeyOf): void {
  const order = nullOrder(tx, bucket, key);
  const value = order === undefined ? undefined : tx.get(versionKey(bucket, key, order));
  if (value) dropRow(tx, bucket, decodeRow({key: versionKey(bucket, key, order!), value}), 'drop');
}

/** In a usage's words: `files` noncurrent versions, `directories` delete markers, `bytes` of the former. */
export function versionUsageOf(reader: Reader, bucket: InodeId): Usage {
  const record = reader.get(versionUsageKey(bucket));
  return record ? decodeUsage(record) : noUsage;
}

export function versionUsageOfAll(reader: Reader): Usage {
  let sum = noUsage;
  for (const {value} of reader.range(versionUsageTable)) sum = plus(sum, decodeUsage(value));
  return sum;
}

/** Whether a bucket has versions of keys that start with `prefix`. */
export function hasVersions(reader: Reader, bucket: InodeId, prefix: ByteString): boolean {
  for (const {key} of reader.range({...versionsFrom(bucket, prefix), limit: 1})) return partsOfVersionKey(key).key.startsWith(prefix);
  return false;
}

function count(tx: Transaction, bucket: InodeId, {inode, deleteMarker}: VersionRecord, by: 1 | -1): void {
  const change = deleteMarker ? {files: 0, directories: by, bytes: 0} : {files: by, directories: 0, bytes: by * (inode.content?.length ?? 0)};
  const sum = plus(versionUsageOf(tx, bucket), change);
  if (sum.files === 0 && sum.directories === 0) tx.delete(versionUsageKey(bucket));
  else tx.put(versionUsageKey(bucket), encodeUsage(sum));
}
