/** PutObject. */
import {defaultAlgorithm} from '#codec/s3/checksums.ts';
import {writePrecondition} from '#codec/s3/conditions.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {CreateOptions} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {type Encryption, encryptionHeaders, encryptionOf, keptEncryption} from '#frontends/s3/encryption.ts';
import {aclAttributes} from '#frontends/s3/access/granting.ts';
import {metadataOf, objectChecksumPairs} from '#frontends/s3/object-headers.ts';
import {expirationHeaders} from '#frontends/s3/expiration.ts';
import {lockAttributes, requireDigest} from '#frontends/s3/object-lock.ts';
import {answer, bucketOf, bucketPath, etagOf, keyOf, objectPath, type Operation, type S3Request} from '#frontends/s3/request.ts';
import {taggingOf} from '#frontends/s3/tagging.ts';
import {uploadOf} from '#frontends/s3/request-body.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {sealWhole, writeSealed} from '#frontends/s3/sealing.ts';
import {versionHeaders} from '#frontends/s3/versions.ts';
import {persistHeaders, writeTypeOf} from '#frontends/s3/write-type.ts';

/** What comes becomes the object, whole or not at all. */
export async function storeObject(request: S3Request, origin?: 'post'): Promise<{readonly info: FileInfo; readonly encryption: Encryption}> {
  const bucket = bucketOf(request);
  // An appendix must not become the object (PutObject, x-amz-write-offset-bytes: of directory buckets alone).
  if (request.header('x-amz-write-offset-bytes') !== undefined) throw new S3Error('NotImplemented', 'A header you provided implies functionality that is not implemented.', {Header: 'x-amz-write-offset-bytes'});
  const upload = uploadOf(request);
  const algorithm = upload.algorithm ?? defaultAlgorithm;
  const precondition = writePrecondition((name) => request.header(name));
  const {files, context} = request;
  const encryption = await encryptionOf(request, files.statNow(bucketPath(bucket), {kind: 'directory'}, context) ?? (await requireBucket(request, bucket)));
  const sealed = encryption.key && sealWhole(request, encryption.key);
  const lock = await lockAttributes(request);
  if (origin === undefined) requireDigest(request, upload, Object.keys(lock).length > 0, 'Put Object');
  const path = objectPath(bucket, keyOf(request));
  const options: CreateOptions = {
    kind: 'file',
    parents: 'implied',
    metadata: {...metadataOf(request), ...(sealed?.metadata ?? keptEncryption(encryption))},
    xattrs: {...taggingOf(request), ...lock, ...aclAttributes(request)},
    checksums: sealed ? [] : [algorithm],
    ...(upload.length === undefined ? {} : {length: upload.length}),
    ...(precondition ? {precondition} : {}),
    ...(origin ? {origin} : {}),
    ...writeTypeOf(request),
  };
  const writer = (sealed ? undefined : files.createNow(path, options, context)) ?? (await files.create(path, options, context));
  try {
    if (sealed) {
      const kept = await writeSealed(request, writer, upload.bytes, {sealing: sealed.sealing, checksums: [algorithm], expected: upload.expected});
      return {info: await writer.commit({}, kept), encryption};
    }
    const whole = upload.whole();
    if (writer.copies && !whole) request.exchange.body.lend?.();
    if (whole) for (const chunk of whole) await writer.write(chunk);
    else for await (const chunk of upload.bytes) await writer.write(chunk);
    return {info: await writer.commit(upload.expected()), encryption};
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

export const putObject: Operation = async (request) => {
  const {info, encryption} = await storeObject(request);
  const told = [...versionHeaders(info), ...expirationHeaders(request, info), ...encryptionHeaders(encryption), ...persistHeaders(info)];
  await answer(request, 200, ['ETag', `"${etagOf(info)}"`, 'x-amz-object-size', String(info.inode.content?.length ?? info.length), ...told, ...objectChecksumPairs(info.inode.content?.checksums ?? {})]);
};
