/** DeleteObject and DeleteObjects. */
import {fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {deletePrecondition, writePrecondition} from '#codec/s3/conditions.ts';
import {accessDenied, S3Error, toS3Error} from '#codec/s3/s3-error.ts';
import {keyBytesMax} from '#codec/s3/target.ts';
import {parseDelete} from '#codec/s3/xml-read.ts';
import {element, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {RemoveResult} from '#contracts/master-api.ts';
import type {Precondition} from '#contracts/writing.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {protectedError} from '#frontends/s3/object-lock.ts';
import {versionOf, versionOption} from '#frontends/s3/versions.ts';

/** Of one request at a time: so many share a sync of the log, and of a directory. Batches of the whole list would hold its slowest. */
const deletesInFlightMax = 128;

/** What is not there is deleted already; so is a version of which nobody knows. */
async function removeKey(request: S3Request, bucket: ByteString, key: ByteString, version: {readonly version?: string}, precondition: Precondition | undefined): Promise<RemoveResult> {
  const bypass = request.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true' && (await request.access.may(needs.bypassGovernance, {bucket, key}));
  const options = {kind: 'file', recursive: false, deleteMarker: true, ...version, ...(precondition ? {precondition} : {}), ...(bypass ? {bypassGovernance: true} : {})} as const;
  try {
    return await request.files.remove(objectPath(bucket, key), options, request.context);
  } catch (error) {
    const named = version.version === undefined ? {} : {versionId: version.version};
    // A marker whose directory has children: the key goes, the directory stays.
    if (isKind(error, 'NotFound', 'NotADirectory', 'IsADirectory')) return named;
    if (key.endsWith('/') && isKind(error, 'DirectoryNotEmpty')) return named;
    throw protectedError(error) ?? error;
  }
}

export const deleteObject: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const more = deletePrecondition(undefined, request.header('x-amz-if-match-size'), request.header('x-amz-if-match-last-modified-time'));
  const etags = writePrecondition((name) => request.header(name));
  const {versionId, deleteMarker} = await removeKey(request, bucket, keyOf(request), versionOf(request), more ? {...etags, ...more} : etags);
  await answer(request, 204, [...(versionId === undefined ? [] : ['x-amz-version-id', versionId]), ...(deleteMarker ? ['x-amz-delete-marker', 'true'] : [])]);
};

export const deleteObjects: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const {quiet, objects} = parseDelete(await documentOf(request));
  const results = new Array<string>(objects.length);
  let next = 0;
  let denied = 0;
  const one = async (index: number): Promise<void> => {
    const {key, etag, versionId, size, lastModified} = objects[index]!;
    try {
      const bytes = fromText(key);
      if (bytes === '' || bytes.length > keyBytesMax) throw new S3Error('KeyTooLongError', 'Your key is too long');
      await request.access.demand(needs.deleteObject, {bucket, key: bytes, versionId});
      if (etag !== undefined && etag !== '*') await request.access.demand(needs.getObject, {bucket, key: bytes, versionId});
      const removed = await removeKey(request, bucket, bytes, versionOption(versionId), deletePrecondition(etag, size, lastModified));
      const named = versionId === undefined ? '' : '<DeleteMarker>false</DeleteMarker>';
      const marker = removed.deleteMarker ? `<DeleteMarker>true</DeleteMarker>${optionalElement('DeleteMarkerVersionId', removed.versionId)}` : named;
      results[index] = quiet ? '' : `<Deleted>${element('Key', key)}${optionalElement('VersionId', versionId)}${marker}</Deleted>`;
    } catch (error) {
      const known = toS3Error(error) ?? new S3Error('InternalError', 'We encountered an internal error. Please try again.');
      if (known.code === 'AccessDenied') denied++;
      results[index] = `<Error>${element('Key', key)}${optionalElement('VersionId', versionId)}${element('Code', known.code)}${element('Message', known.message)}</Error>`;
    }
  };
  await Promise.all(
    Array.from({length: Math.min(deletesInFlightMax, objects.length)}, async () => {
      while (next < objects.length) await one(next++);
    }),
  );
  // Nobody in particular is not told which of the keys it may not delete.
  if (!request.access.caller && denied === objects.length) throw accessDenied();
  await xml(request, xmlDocument('DeleteResult', results.join('')));
};
