/**
 * Retention and legal hold of one version. What is retained is not let go: a retention in force is only made longer, unless it is GOVERNANCE
 * and the caller may override that.
 */
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {LockChange} from '#contracts/master-api.ts';
import {denied, isUnchecked, owns} from '#master/namespace/access.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {changeVersion} from '#master/namespace/change-version.ts';
import {resolve, shown} from '#master/namespace/resolve.ts';
import {isLockBucket} from '#master/namespace/versioning.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {encodeRetention, legalHoldAttribute, legalHoldOff, legalHoldOn, lockOf, type Retention, retentionAttribute} from '#model/object-lock.ts';
import type {Path} from '#model/path.ts';

/** NotFound, PermissionDenied (rights, or a retention would be shortened), InvalidArgument (`s3`: InvalidRequest, no object lock there). */
export function setLock(tx: Transaction, op: Operation, path: Path, change: LockChange, version: string | undefined): FileInfo {
  const {top} = resolve(tx, path);
  if (top === undefined || !isLockBucket(tx, top)) throw new WeirError('InvalidArgument', 'Bucket is missing ObjectLockConfiguration', {details: {s3: 'InvalidRequest'}});
  return changeVersion(tx, op, path, version, inode => {
    if (!isUnchecked(op.principal) && !owns(inode, op.principal)) throw denied(op.principal, 'lock', inode);
    if (change.retention !== undefined) checkRetention(op, inode, change, path);
    return locked(inode, change);
  });
}

function checkRetention(op: Operation, inode: Inode, {retention: wanted, bypassGovernance}: LockChange, path: Path): void {
  const {retention: had} = lockOf(inode);
  if (!had || had.untilMs <= millisecondsOf(op.now) || keeps(had, wanted ?? undefined)) return;
  if (had.mode === 'GOVERNANCE' && bypassGovernance) return;
  throw new WeirError('PermissionDenied', `${shown(path)} (${toText(inode.name)}) is retained (${had.mode}) and cannot be let go before`, {details: {locked: 1}});
}

/** Whether a retention holds at least what the other did. */
function keeps(had: Retention, wanted: Retention | undefined): boolean {
  return wanted !== undefined && wanted.mode === had.mode && wanted.untilMs >= had.untilMs;
}

function locked(inode: Inode, {retention, legalHold}: LockChange): Inode {
  const {xattrs: had, ...kept} = inode;
  const xattrs: Record<string, Uint8Array> = {...had};
  if (retention === null) delete xattrs[retentionAttribute];
  else if (retention) xattrs[retentionAttribute] = encodeRetention(retention);
  if (legalHold !== undefined) xattrs[legalHoldAttribute] = legalHold ? legalHoldOn : legalHoldOff;
  return Object.keys(xattrs).length > 0 ? {...kept, xattrs} : kept;
}
