/**
 * RestoreObject. Storage classes are kept and shown, and everything is at hand at once: so an archived object counts as restored from the moment
 * that it is asked for, until the midnight after its days, and is read before and after as well.
 */
import {httpDate, xmlDate} from '#codec/s3/http-date.ts';
import {parseRestore} from '#codec/s3/restore-xml.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {element} from '#codec/s3/xml-write.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, isShown, keyOf, objectPath, type Operation, type S3Request} from '#frontends/s3/request.ts';
import {refuseMarker, versionHeaders, versionOf} from '#frontends/s3/versions.ts';
import {s3XattrPrefix} from '#model/inode.ts';
import {midnightAfter} from '#model/lifecycle.ts';

/** Until when, wall ms, decimal. */
const restoredXattr = `${s3XattrPrefix}restored`;
const archived: ReadonlySet<string | undefined> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

function restoredUntil({inode}: FileInfo): number | undefined {
  const kept = inode.xattrs?.[restoredXattr];
  return kept && Number(Buffer.from(kept).toString('latin1'));
}

export const restoreObject: Operation = async (request) => {
  const days = parseRestore(await documentOf(request));
  const info = await request.files.stat(objectPath(bucketOf(request), keyOf(request)), {kind: 'file', ...versionOf(request)}, request.context);
  refuseMarker(info);
  if (!isShown(info)) throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: keyOf(request)});
  if (!archived.has(info.inode.content?.metadata['x-amz-storage-class'])) {
    throw new S3Error('InvalidObjectState', "Restore is not allowed for the object's current storage class");
  }
  const already = (restoredUntil(info) ?? 0) > request.nowMs;
  const xattrs = {[restoredXattr]: Buffer.from(String(midnightAfter(request.nowMs, days)), 'latin1')};
  await request.files.setAttributes(info.path, {xattrs}, {kind: info.inode.kind === 'directory' ? 'directory' : 'file', ...versionOf(request)}, request.context);
  await answer(request, already ? 200 : 202, versionHeaders(info));
};

/** `RestoreStatus` of entries of a listing, for those who ask for it (`x-amz-optional-object-attributes`). */
export function restoreStatusOf(request: S3Request): (info: FileInfo) => string {
  const asked = request.header('x-amz-optional-object-attributes')?.split(',').some((name) => name.trim() === 'RestoreStatus');
  if (!asked) return () => '';
  return (info) => {
    const until = restoredUntil(info);
    if (until === undefined || until <= request.nowMs) return '';
    return `<RestoreStatus>${element('IsRestoreInProgress', false)}${element('RestoreExpiryDate', xmlDate(BigInt(until) * 1_000_000n))}</RestoreStatus>`;
  };
}

/** Nothing of an object that nobody restored, or whose time is over. */
export function restoreHeaders(nowMs: number, info: FileInfo): readonly string[] {
  const until = restoredUntil(info);
  return until !== undefined && until > nowMs ? ['x-amz-restore', `ongoing-request="false", expiry-date="${httpDate(BigInt(until) * 1_000_000n)}"`] : [];
}
