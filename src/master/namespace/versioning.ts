/**
 * Whether versions of a key are kept, and where. A bucket is a directory of the root; its setting `versioning` says `Enabled` or
 * `Suspended`, and without it nothing here costs more than a look at its inode's flags. Only files have versions (not markers
 * of directories, not links), and only under keys that S3 can name.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {peekInode} from '#codec/namespace/inode-record.ts';
import {inodeKey, settingKey, versionedKeyBytesMax} from '#codec/namespace/keys.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {objectLockSetting, parseDefaultRetention, retentionAttribute, encodeRetention, retentionFrom} from '#model/object-lock.ts';
import type {TimeNs} from '#model/content.ts';
import type {Path} from '#model/path.ts';
import type {VersioningStatus} from '#model/version.ts';

export const versioningSetting = 'versioning';
const enabled = 'Enabled';
const suspended = 'Suspended';

/** A key whose versions are kept. */
export interface Keeping {
  readonly status: Exclude<VersioningStatus, 'off'>;
  readonly bucket: InodeId;
  /** Relative to the bucket. */
  readonly key: ByteString;
}

export function statusOf(reader: Reader, bucket: InodeId): VersioningStatus {
  const record = reader.look(inodeKey(bucket));
  if (!record || !peekInode(record).hasSettings) return 'off';
  const value = reader.look(settingKey(bucket, versioningSetting));
  if (!value) return 'off';
  return value.length === enabled.length ? 'enabled' : 'suspended';
}

/** `top`: the directory that the path's first name leads to. Undefined when no versions of the path are kept. */
export function keepingOf(reader: Reader, {names, kind}: Path, top: InodeId | undefined): Keeping | undefined {
  if (top === undefined || kind === 'directory' || names.length < 2) return undefined;
  const status = statusOf(reader, top);
  if (status === 'off') return undefined;
  const key = names.slice(1).join('/') as ByteString;
  return key.length > versionedKeyBytesMax || key.includes('\0') ? undefined : {status, bucket: top, key};
}

/** Whether versions of the bucket can be locked; that is so from when it was made, or never ends. */
export function isLockBucket(reader: Reader, bucket: InodeId): boolean {
  const record = reader.get(inodeKey(bucket));
  return record !== undefined && peekInode(record).hasSettings && reader.get(settingKey(bucket, objectLockSetting)) !== undefined;
}

/**
 * What may be set of these two. Versioning that was on is never off again, only suspended; and not that while versions can be locked,
 * which never ends either. InvalidArgument, Conflict (`s3`: InvalidBucketState).
 */
export function checkVersioning(reader: Reader, bucket: Pick<Inode, 'id'>, name: string, value: string | null): void {
  if (name === objectLockSetting) {
    if (value === null) throw new WeirError('InvalidArgument', 'object lock cannot be taken from a bucket');
    parseDefaultRetention(value);
    if (statusOf(reader, bucket.id) !== 'enabled') throw notNow('object lock needs versioning that is enabled');
    return;
  }
  if (value !== enabled && value !== suspended) throw new WeirError('InvalidArgument', `versioning is ${enabled} or ${suspended}; once it was on it cannot be removed`);
  if (value === suspended && isLockBucket(reader, bucket.id)) throw notNow('versioning cannot be suspended on a bucket with object lock');
}

function notNow(message: string): WeirError {
  return new WeirError('Conflict', message, {details: {s3: 'InvalidBucketState'}});
}

/** The attributes that a new version begins with, the bucket's default retention among them. */
export function attributesOfNew(reader: Reader, {bucket}: Pick<Keeping, 'bucket'>, xattrs: Inode['xattrs'], now: TimeNs): Inode['xattrs'] {
  const document = reader.get(settingKey(bucket, objectLockSetting));
  if (!document || xattrs?.[retentionAttribute]) return xattrs;
  const standard = parseDefaultRetention(Buffer.from(document).toString('utf8'));
  return standard ? {...xattrs, [retentionAttribute]: encodeRetention(retentionFrom(standard, Number(now / 1_000_000n)))} : xattrs;
}
