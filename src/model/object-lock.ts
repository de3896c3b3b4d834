/**
 * Object lock ("How S3 Object Lock works", S3 User Guide): a version is not deleted before its retention ends, nor while a legal hold is on.
 * Both are extended attributes of the version's inode, so that they go where it goes.
 */
import {WeirError} from '#base/errors.ts';
import type {TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';

export type RetentionMode = 'GOVERNANCE' | 'COMPLIANCE';

export interface Retention {
  readonly mode: RetentionMode;
  /** Wall ms. */
  readonly untilMs: number;
}

export interface ObjectLock {
  readonly retention?: Retention;
  readonly legalHold?: boolean;
}

export const retentionAttribute = 'weir.s3.retention';
export const legalHoldAttribute = 'weir.s3.legal-hold';

export function encodeRetention({mode, untilMs}: Retention): Uint8Array {
  return Buffer.from(`${mode} ${untilMs}`, 'latin1');
}

export const legalHoldOn: Uint8Array = Buffer.from('ON', 'latin1');
export const legalHoldOff: Uint8Array = Buffer.from('OFF', 'latin1');

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** What locks an inode; of a legal hold also that it was taken off. Corrupt. */
export function lockOf({xattrs}: Pick<Inode, 'xattrs'>): ObjectLock {
  if (!xattrs) return {};
  const retention = xattrs[retentionAttribute];
  const hold = xattrs[legalHoldAttribute];
  return {...(retention ? {retention: decodeRetention(retention)} : {}), ...(hold ? {legalHold: textOf(hold) === 'ON'} : {})};
}

function decodeRetention(bytes: Uint8Array): Retention {
  const [mode, until] = textOf(bytes).split(' ');
  const untilMs = Number(until);
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || !Number.isSafeInteger(untilMs)) throw new WeirError('Corrupt', 'a stored retention cannot be read');
  return {mode, untilMs};
}

/** Why the version may not be deleted now; undefined: it may. `bypass`: the caller may override governance and says so. */
export function lockedBy(inode: Pick<Inode, 'xattrs'>, now: TimeNs, bypass: boolean): string | undefined {
  const {retention, legalHold} = lockOf(inode);
  if (legalHold) return 'a legal hold is on it';
  if (!retention || retention.untilMs <= Number(now / 1_000_000n)) return undefined;
  if (retention.mode === 'GOVERNANCE' && bypass) return undefined;
  return `it is retained until ${new Date(retention.untilMs).toISOString()} (${retention.mode})`;
}
