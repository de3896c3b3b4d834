/**
 * Settings: named documents of a directory, kept beside its inode, so that a policy of 20 KiB is not read with every path that
 * leads through the directory. The inode carries their revision: without it there are none, and nothing need be looked up.
 */
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {nameOfSettingKey, quotaKey, settingKey, settingsOf} from '#codec/namespace/keys.ts';
import type {Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {denied, isUnchecked, owns} from '#master/namespace/access.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {infoOf, inodeAt, writeInode} from '#master/namespace/place.ts';
import {hasLinksBelow} from '#master/namespace/links.ts';
import {limitTo} from '#master/namespace/quotas.ts';
import {canonicalPath, existing, resolve, shown} from '#master/namespace/resolve.ts';
import {lifecycleSetting} from '#model/lifecycle.ts';
import {notificationSetting} from '#model/notification.ts';
import {setTimer} from '#master/namespace/timers.ts';
import {checkVersioning, statusOf, versioningSetting} from '#master/namespace/versioning.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode, Settings} from '#model/inode.ts';
import {parseWriteType, writeTypeSetting} from '#model/mount.ts';
import {objectLockSetting} from '#model/object-lock.ts';
import type {Path} from '#model/path.ts';

/** How many bytes may lie below the directory. */
export const quotaSetting = 'quota';
/** UTF-8 bytes of one document. */
export const settingBytesMax = MiB;
const namePattern = /^[a-z][a-z0-9-]{0,63}$/;

/** NotFound, NotADirectory, PermissionDenied. */
export function readSettings(reader: Reader, path: Path, principal: Principal | undefined): {readonly revision: number; readonly settings: Settings} {
  const {id, settings: revision} = inodeAt(reader, existing(reader, resolve(reader, path, principal)));
  if (revision === undefined) return {revision: 0, settings: {}};
  const rows = Array.from(reader.range(settingsOf(id)), ({key, value}) => [nameOfSettingKey(key), Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8')]);
  return {revision, settings: Object.fromEntries(rows) as Settings};
}

/** Null removes. Only the directory's owner may. NotFound, NotADirectory, PermissionDenied, InvalidArgument, TooLarge. */
export function setSetting(tx: Transaction, op: Operation, path: Path, name: string, value: string | null): FileInfo {
  if (!namePattern.test(name)) throw new WeirError('InvalidArgument', 'a setting is named by small letters, digits and hyphens, at most 64');
  const place = existing(tx, resolve(tx, path, op.principal));
  const {implied: _, ...old} = inodeAt(tx, place);
  if (op.principal !== undefined && !isUnchecked(op.principal) && !owns(old, op.principal)) throw denied(op.principal, 'change the settings of', old);
  if (name === writeTypeSetting && value !== null) parseWriteType(value);
  if (name === quotaSetting) setQuota(tx, op, old.id, value);
  if (name === versioningSetting || name === objectLockSetting) {
    if (statusOf(tx, old.id) === 'off' && hasLinksBelow(tx, canonicalPath(path, place))) {
      throw new WeirError('Conflict', `${shown(path)} has files of several names (hard links); where versions are kept a file has one`, {details: {s3: 'InvalidBucketState'}});
    }
    checkVersioning(tx, old, name, value);
  }
  if (name === notificationSetting && value !== null) op.events?.configured(tx, op, old, value);
  // What new rules end already ends now; of rules that are gone the timer finds none.
  if (name === lifecycleSetting && value !== null) setTimer(tx, {kind: 'lifecycle', subject: old.id, dueMs: Number(op.now / 1_000_000n)});
  if (value === null) tx.delete(settingKey(old.id, name));
  else {
    const bytes = Buffer.from(value, 'utf8');
    if (bytes.length > settingBytesMax) throw new WeirError('TooLarge', `setting ${name} has ${bytes.length} bytes; the most is ${settingBytesMax}`);
    tx.put(settingKey(old.id, name), bytes);
  }
  const inode: Inode = {...old, settings: (old.settings ?? 0) + 1, ctime: op.now};
  writeInode(tx, inode, place.storeKey);
  return infoOf(canonicalPath(path, place), inode, place.mount);
}

/** Who may do everything alone limits what others may. */
function setQuota(tx: Transaction, op: Operation, id: Inode['id'], value: string | null): void {
  if (!isUnchecked(op.principal)) throw new WeirError('PermissionDenied', 'a quota is set by the administrator');
  if (value === null) return tx.delete(quotaKey(id));
  const limit = Number(value);
  if (!/^[0-9]+$/.test(value) || !Number.isSafeInteger(limit)) throw new WeirError('InvalidArgument', 'a quota is a number of bytes');
  limitTo(tx, id, limit);
}

/** With the inode of a directory go its settings. */
export function dropSettings(tx: Transaction, {id, settings}: Pick<Inode, 'id' | 'settings'>): void {
  if (settings === undefined) return;
  tx.delete(quotaKey(id));
  for (const key of Array.from(tx.range(settingsOf(id)), row => row.key)) tx.delete(key);
}
