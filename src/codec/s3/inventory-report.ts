/** What an inventory's files say: rows of CSV and the manifest. "Amazon S3 Inventory", S3 User Guide: location, manifest, format. */
import {uriEncode} from '#codec/s3/sigv4.ts';
import type {Inode} from '#model/inode.ts';
import type {Inventory, InventoryField} from '#model/inventory.ts';
import {lockOf} from '#model/object-lock.ts';
import {isSealed} from '#model/seal.ts';
import {versionIdOf} from '#model/version.ts';

/** One object, or version of one. */
export interface InventoryEntry {
  /** Bytes. */
  readonly key: string;
  readonly inode: Inode;
  readonly latest: boolean;
  readonly deleteMarker: boolean;
  readonly etag: string;
  /** ns. */
  readonly modified: bigint;
  readonly length: number;
}

const versionColumns = ['VersionId', 'IsLatest', 'IsDeleteMarker'];
const encryptionKey = 'x-amz-server-side-encryption';

/** Names of the columns, as manifests say them. The fields here stand in the order of reports. */
export function schemaOf({versions, fields}: Inventory): string {
  return ['Bucket', 'Key', ...(versions === 'All' ? versionColumns : []), ...fields].join(', ');
}

const isoDate = (ms: number): string => new Date(ms).toISOString();

/** Every value in quotes; the key is encoded as in URLs, so it holds none. */
export function rowOf(bucket: string, {versions, fields}: Inventory, entry: InventoryEntry): string {
  const {inode, latest, deleteMarker} = entry;
  const version = versions === 'All' ? `,"${inode.version === undefined ? '' : versionIdOf(inode)}","${latest}","${deleteMarker}"` : '';
  let row = `"${bucket}","${uriEncode(entry.key, true)}"${version}`;
  for (const field of fields) row += `,"${columns[field](entry)}"`;
  return `${row}\n`;
}

/** Of a delete marker there is only a date. */
const ofObject = (value: (entry: InventoryEntry) => string) => (entry: InventoryEntry) => (entry.deleteMarker ? '' : value(entry));

const columns: Readonly<Record<InventoryField, (entry: InventoryEntry) => string>> = {
  Size: ofObject(({length}) => String(length)),
  LastModifiedDate: ({modified}) => isoDate(Number(modified / 1_000_000_000n) * 1000),
  StorageClass: ofObject(({inode}) => inode.content?.metadata['x-amz-storage-class']?.replaceAll(/[^A-Z0-9_]/g, '') ?? 'STANDARD'),
  ETag: ofObject(({etag}) => etag.replaceAll('"', '')),
  IsMultipartUploaded: ofObject(({etag}) => String(/-\d+$/.test(etag))),
  ReplicationStatus: () => '',
  EncryptionStatus: ofObject(({inode: {content}}) => (content && isSealed(content) ? 'SSE-C' : content?.metadata[encryptionKey] === undefined ? 'NOT-SSE' : 'SSE-S3')),
  ObjectLockRetainUntilDate: ofObject(({inode}) => retainedUntil(inode)),
  ObjectLockMode: ofObject(({inode}) => lockOf(inode).retention?.mode ?? ''),
  ObjectLockLegalHoldStatus: ofObject(({inode}) => (lockOf(inode).legalHold === undefined ? '' : lockOf(inode).legalHold ? 'ON' : 'OFF')),
  IntelligentTieringAccessTier: () => '',
  BucketKeyStatus: ofObject(() => 'DISABLED'),
  ChecksumAlgorithm: ofObject(({inode}) => Object.keys(inode.content?.checksums ?? {}).map(name => name.toUpperCase()).join('|')),
};

function retainedUntil(inode: Inode): string {
  const {retention} = lockOf(inode);
  return retention ? isoDate(retention.untilMs) : '';
}

export interface ReportFile {
  readonly key: string;
  /** Bytes, compressed. */
  readonly size: number;
  readonly md5: string;
}

export function manifestOf(bucket: string, inventory: Inventory, files: readonly ReportFile[], startedMs: number): string {
  return JSON.stringify({
    sourceBucket: bucket, destinationBucket: `arn:aws:s3:::${inventory.destination}`, version: '2016-11-30', creationTimestamp: String(startedMs), fileFormat: 'CSV', fileSchema: schemaOf(inventory),
    files: files.map(({key, size, md5}) => ({key, size, MD5checksum: md5})),
  }, undefined, 2);
}

/** Where a report's files lie in the destination: text of keys. */
export function placesOf(bucket: string, {id, destinationPrefix = ''}: Inventory, startedMs: number) {
  const base = `${destinationPrefix === '' ? '' : `${destinationPrefix.replace(/\/$/, '')}/`}${bucket}/${id}/`;
  const minute = isoDate(startedMs).slice(0, 16).replace(':', '-');
  return {
    data: (name: string): string => `${base}data/${name}.csv.gz`,
    manifest: `${base}${minute}Z/manifest.json`,
    checksum: `${base}${minute}Z/manifest.checksum`,
    symlink: `${base}hive/dt=${minute.replace('T', '-')}/symlink.txt`,
  };
}
