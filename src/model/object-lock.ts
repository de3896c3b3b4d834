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
export const lockAttributeNames = [retentionAttribute, legalHoldAttribute] as const;

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

/** What every new version of a bucket is retained for, unless its writer says otherwise. */
export interface DefaultRetention {
  readonly mode: RetentionMode;
  readonly days?: number;
  readonly years?: number;
}

export const objectLockSetting = 'object-lock';

/** As that setting has it: JSON, an empty object where nothing is retained by default. InvalidArgument. */
export function parseDefaultRetention(text: string): DefaultRetention | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null) throw invalidDefault();
  const {mode, days, years} = value as Partial<Record<'mode' | 'days' | 'years', unknown>>;
  if (mode === undefined && days === undefined && years === undefined) return undefined;
  const number = days ?? years;
  if ((mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') || (days === undefined) === (years === undefined) || !Number.isSafeInteger(number) || (number as number) < 1 || (number as number) > 36_500) throw invalidDefault();
  return days === undefined ? {mode, years: number as number} : {mode, days: number as number};
}

function invalidDefault(): WeirError {
  return new WeirError('InvalidArgument', 'the setting object-lock is {} or has a mode and either days or years');
}

export function retentionFrom({mode, days, years}: DefaultRetention, nowMs: number): Retention {
  if (days !== undefined) return {mode, untilMs: nowMs + days * 86_400_000};
  const until = new Date(nowMs);
  until.setUTCFullYear(until.getUTCFullYear() + years!);
  return {mode, untilMs: until.getTime()};
}
