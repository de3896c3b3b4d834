/** Object lock: the bucket's configuration, retention and legal hold of versions, and the headers that begin and show them. */
import {isKind} from '#base/errors.ts';
import {legalHoldXml, objectLockXml, parseLegalHold, parseObjectLock, parseRetention, retentionXml} from '#codec/s3/object-lock-xml.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {remainingDays} from '#frontends/s3/access/facts.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {documentOf, type Upload} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {refuseMarker, versionOf} from '#frontends/s3/versions.ts';
import {encodeRetention, legalHoldAttribute, legalHoldOff, legalHoldOn, lockOf, objectLockSetting, parseDefaultRetention, retentionAttribute} from '#model/object-lock.ts';

async function settingOf(request: S3Request): Promise<string | undefined> {
  const bucket = bucketOf(request);
  const info = await requireBucket(request, bucket);
  if (info.inode.settings === undefined) return undefined;
  return (await request.files.getSettings(bucketPath(bucket), request.context)).settings[objectLockSetting];
}

export const getObjectLock: Operation = async (request) => {
  const value = await settingOf(request);
  if (value === undefined) throw new S3Error('ObjectLockConfigurationNotFoundError', 'Object Lock configuration does not exist for this bucket.');
  await xml(request, objectLockXml(parseDefaultRetention(value)));
};

export const putObjectLock: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const document = await documentOf(request);
  if (document.length === 0) throw new S3Error('MissingRequestBodyError', 'Request Body is empty');
  const standard = parseObjectLock(document);
  try {
    await request.files.setSetting(bucketPath(bucket), objectLockSetting, JSON.stringify(standard ?? {}), request.context);
  } catch (error) {
    if (!isKind(error, 'Conflict')) throw error;
    throw new S3Error('InvalidBucketState', 'Versioning must be \'Enabled\' on the bucket to apply a Object Lock configuration');
  }
  await answer(request, 200);
};

/** Asked before a lock is shown or changed. InvalidRequest. */
async function requireLock(request: S3Request, message = 'Bucket is missing Object Lock Configuration'): Promise<void> {
  if ((await settingOf(request)) === undefined) throw new S3Error('InvalidRequest', message);
}

async function statLocked(request: S3Request): Promise<FileInfo> {
  const info = await request.files.stat(objectPath(bucketOf(request), keyOf(request)), {kind: 'file', ...lockedVersion(request)}, request.context);
  refuseMarker(info);
  await requireLock(request);
  return info;
}

const notLocked = (): S3Error => new S3Error('NoSuchObjectLockConfiguration', 'The specified object does not have a ObjectLock configuration.');

/** Some clients send an empty one for none. */
function lockedVersion(request: S3Request): {readonly version?: string} {
  return request.query('versionId') === '' ? {} : versionOf(request);
}

/** What S3 says of a change that a lock forbids. */
export function protectedError(error: unknown): S3Error | undefined {
  if (!isKind(error, 'PermissionDenied') || !error.details['locked']) return undefined;
  return new S3Error('AccessDenied', 'Access Denied because object protected by object lock.', {}, {cause: error});
}

export const getRetention: Operation = async (request) => {
  const {retention} = lockOf((await statLocked(request)).inode);
  if (!retention) throw notLocked();
  await xml(request, retentionXml(retention));
};

export const putRetention: Operation = async (request) => {
  const retention = parseRetention(await documentOf(request));
  const until = retention ? new Date(retention.untilMs).toISOString() : undefined;
  const stated = {
    's3:object-lock-mode': retention?.mode, 's3:object-lock-retain-until-date': until, 's3:object-lock-remaining-retention-days': remainingDays(until, request.nowMs),
  };
  await request.access.demand(needs.putObjectRetention, undefined, {stated});
  const bypassGovernance = request.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true' && (await request.access.may(needs.bypassGovernance));
  if (retention && retention.untilMs <= request.nowMs) throw new S3Error('InvalidArgument', 'The retain until date must be in the future!');
  await statLocked(request);
  try {
    await request.files.setLock(objectPath(bucketOf(request), keyOf(request)), {retention, bypassGovernance}, {kind: 'file', ...lockedVersion(request)}, request.context);
  } catch (error) {
    throw protectedError(error) ?? error;
  }
  await answer(request, 200);
};

export const getLegalHold: Operation = async (request) => {
  const {legalHold} = lockOf((await statLocked(request)).inode);
  if (legalHold === undefined) throw notLocked();
  await xml(request, legalHoldXml(legalHold));
};

export const putLegalHold: Operation = async (request) => {
  const legalHold = parseLegalHold(await documentOf(request));
  await request.access.demand(needs.putObjectLegalHold, undefined, {stated: {'s3:object-lock-legal-hold': legalHold ? 'ON' : 'OFF'}});
  await statLocked(request);
  await request.files.setLock(objectPath(bucketOf(request), keyOf(request)), {legalHold}, {kind: 'file', ...lockedVersion(request)}, request.context);
  await answer(request, 200);
};

/** What the headers of a write say about the lock of the new version, as attributes; nothing costs nothing. InvalidArgument, InvalidRequest. */
export async function lockAttributes(request: S3Request): Promise<Record<string, Uint8Array>> {
  const [mode, until, hold] = ['x-amz-object-lock-mode', 'x-amz-object-lock-retain-until-date', 'x-amz-object-lock-legal-hold'].map((name) => request.header(name));
  if (mode === undefined && until === undefined && hold === undefined) return {};
  if ((mode === undefined) !== (until === undefined)) {
    throw new S3Error('InvalidArgument', 'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied.');
  }
  const attributes: Record<string, Uint8Array> = {};
  if (mode !== undefined) {
    if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw new S3Error('InvalidArgument', 'Unknown wormMode directive.', {ArgumentName: 'x-amz-object-lock-mode', ArgumentValue: mode});
    const untilMs = Date.parse(until!);
    if (Number.isNaN(untilMs)) throw new S3Error('InvalidArgument', 'The retain until date must be provided in ISO 8601 format', {ArgumentName: 'x-amz-object-lock-retain-until-date', ArgumentValue: until!});
    if (untilMs <= request.nowMs) throw new S3Error('InvalidArgument', 'The retain until date must be in the future!', {ArgumentName: 'x-amz-object-lock-retain-until-date', ArgumentValue: until!});
    attributes[retentionAttribute] = encodeRetention({mode, untilMs});
  }
  if (hold !== undefined) {
    if (hold !== 'ON' && hold !== 'OFF') throw new S3Error('InvalidArgument', 'Legal Hold must be either of \'ON\' or \'OFF\'', {ArgumentName: 'x-amz-object-lock-legal-hold', ArgumentValue: hold});
    attributes[legalHoldAttribute] = hold === 'ON' ? legalHoldOn : legalHoldOff;
  }
  // The one word is how S3 says it of headers.
  await requireLock(request, 'Bucket is missing ObjectLockConfiguration');
  return attributes;
}

/**
 * Bytes that are locked as they come must prove to be what was sent (PutObject, Content-MD5): where the request says so of them (`locks`), or their
 * bucket of all. InvalidRequest.
 */
export function requireDigest(request: S3Request, {algorithm}: Pick<Upload, 'algorithm'>, locks: boolean, what: 'Put Object' | 'Put Part'): void {
  if (algorithm !== undefined || request.header('content-md5') !== undefined || !(locks || request.access.rules.retains)) return;
  throw new S3Error('InvalidRequest', `Content-MD5 OR x-amz-checksum- HTTP header is required for ${what} requests with Object Lock parameters`);
}

/** What GET and HEAD say of a locked version. */
export function lockHeaders({inode}: FileInfo): string[] {
  const {retention, legalHold} = lockOf(inode);
  const headers = retention ? ['x-amz-object-lock-mode', retention.mode, 'x-amz-object-lock-retain-until-date', new Date(retention.untilMs).toISOString()] : [];
  if (legalHold !== undefined) headers.push('x-amz-object-lock-legal-hold', legalHold ? 'ON' : 'OFF');
  return headers;
}
