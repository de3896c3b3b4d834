/** DeleteObject and DeleteObjects. */
import {fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {writePrecondition} from '#codec/s3/conditions.ts';
import {S3Error, toS3Error} from '#codec/s3/s3-error.ts';
import {keyBytesMax} from '#codec/s3/target.ts';
import {parseDelete} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {Precondition} from '#contracts/master-api.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';

/** At the store, at a time: batches of the whole list would hold its slowest. */
const deletesInFlightMax = 32;

/** What is not there is deleted already. */
async function removeKey(request: S3Request, bucket: ByteString, key: ByteString, precondition: Precondition | undefined): Promise<void> {
  try {
    await request.files.remove(objectPath(bucket, key), {kind: 'file', recursive: false, ...(precondition ? {precondition} : {})}, request.context);
  } catch (error) {
    // A marker whose directory has children: the key goes, the directory stays.
    if (isKind(error, 'NotFound', 'NotADirectory', 'IsADirectory')) return;
    if (key.endsWith('/') && isKind(error, 'DirectoryNotEmpty')) return;
    throw error;
  }
}

export const deleteObject: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  await removeKey(request, bucket, keyOf(request), writePrecondition((name) => request.header(name)));
  await answer(request, 204);
};

export const deleteObjects: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const {quiet, objects} = parseDelete(await documentOf(request));
  const results = new Array<string>(objects.length);
  let next = 0;
  const one = async (index: number): Promise<void> => {
    const {key, etag, versionId} = objects[index]!;
    try {
      const bytes = fromText(key);
      if (bytes === '' || bytes.length > keyBytesMax) throw new S3Error('KeyTooLongError', 'Your key is too long');
      if (versionId !== undefined && versionId !== 'null') throw new S3Error('NoSuchVersion', 'The specified version does not exist.');
      await removeKey(request, bucket, bytes, etag === undefined ? undefined : {ifMatch: etag.replace(/^"|"$/g, '')});
      results[index] = quiet ? '' : `<Deleted>${element('Key', key)}</Deleted>`;
    } catch (error) {
      const known = toS3Error(error) ?? new S3Error('InternalError', 'We encountered an internal error. Please try again.');
      results[index] = `<Error>${element('Key', key)}${element('Code', known.code)}${element('Message', known.message)}</Error>`;
    }
  };
  await Promise.all(
    Array.from({length: Math.min(deletesInFlightMax, objects.length)}, async () => {
      while (next < objects.length) await one(next++);
    }),
  );
  await xml(request, xmlDocument('DeleteResult', results.join('')));
};
