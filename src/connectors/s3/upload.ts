/** Multipart uploads, their parts, and copies within the store. */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {GiB} from '#base/units.ts';
import type {ContentMetadata} from '#model/content.ts';
import type {StoreCallOptions, StoreObject, StorePart, StoreRange, StoreWriteRequest} from '#understore/under-store.ts';
import type {S3Client} from '#connectors/s3/client.ts';
import {metadataHeaders} from '#connectors/s3/metadata.ts';
import {conditionHeaders, makeObject, unquote} from '#connectors/s3/objects.ts';
import {statObject} from '#connectors/s3/read.ts';
import {uriEncode} from '#connectors/s3/sign.ts';
import {childText, escapeXml} from '#connectors/s3/xml.ts';

const copyBytesMax = 5 * GiB;
const copyPartBytes = GiB;
const copyPartsInFlightMax = 4;

export async function createUpload(client: S3Client, request: Pick<StoreWriteRequest, 'key' | 'metadata'>, {signal}: StoreCallOptions): Promise<string> {
  const {document} = await client.sendForXml({method: 'POST', key: request.key, query: [['uploads', fromText('')]], headers: metadataHeaders(request.metadata), signal}, 'InitiateMultipartUploadResult');
  const id = childText(document, 'UploadId');
  if (!id) throw new WeirError('Unavailable', `the store opened an upload of ${toText(request.key)} without a name`);
  return id;
}

/** An upload of our own, which no caller knows. */
export async function openOwnUpload(client: S3Client, request: Pick<StoreWriteRequest, 'key' | 'metadata'>, options: StoreCallOptions): Promise<string> {
  const id = await createUpload(client, request, options);
  await client.uploads?.opened(request.key, id);
  return id;
}

export async function completeOwnUpload(client: S3Client, key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject> {
  const object = await completeUpload(client, key, uploadId, parts, condition, options);
  client.uploads?.closed(uploadId);
  return object;
}

/** Fails as abortUpload does; then it stays noted. */
export async function abortOwnUpload(client: S3Client, key: ByteString, uploadId: string): Promise<void> {
  await abortUpload(client, key, uploadId, {signal: new AbortController().signal});
  client.uploads?.closed(uploadId);
}

export async function uploadPart(client: S3Client, key: ByteString, uploadId: string, partNumber: number, body: Uint8Array | AsyncIterable<Uint8Array>, length: number, {signal}: StoreCallOptions): Promise<StorePart> {
  const query: [string, ByteString][] = [['partNumber', fromText(String(partNumber))], ['uploadId', fromText(uploadId)]];
  const response = await client.sendForHeaders({method: 'PUT', key, query, body, bodyLength: length, signal});
  return {partNumber, token: requireEtag(response.header('etag'), key), length};
}

/** The store compares the source's version itself. */
export async function copyPart(client: S3Client, key: ByteString, uploadId: string, partNumber: number, {key: from, fingerprint, offset, length}: StoreRange, {signal}: StoreCallOptions): Promise<StorePart> {
  const query: [string, ByteString][] = [['partNumber', fromText(String(partNumber))], ['uploadId', fromText(uploadId)]];
  const headers = {...copySource(client, from, fingerprint), 'x-amz-copy-source-range': `bytes=${offset}-${offset + length - 1}`};
  try {
    const {document} = await client.sendForXml({method: 'PUT', key, query, headers, signal}, 'CopyPartResult');
    return {partNumber, token: requireEtag(childText(document, 'ETag'), key), length};
  } catch (error) {
    throw asChanged(error, from);
  }
}

export async function completeUpload(client: S3Client, key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], {signal}: StoreCallOptions): Promise<StoreObject> {
  const list = parts.map(part => `<Part><PartNumber>${part.partNumber}</PartNumber><ETag>&quot;${escapeXml(part.token)}&quot;</ETag></Part>`);
  const body = Buffer.from(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${list.join('')}</CompleteMultipartUpload>`);
  const headers = {'content-type': 'application/xml', ...writeCondition(client, condition)};
  try {
    const {document, response} = await client.sendForXml({method: 'POST', key, query: [['uploadId', fromText(uploadId)]], headers, body, signal}, 'CompleteMultipartUploadResult');
    const etag = requireEtag(childText(document, 'ETag'), key);
    return makeObject(key, {etag, length: parts.reduce((sum, part) => sum + part.length, 0), modified: response.header('date')});
  } catch (error) {
    throw asPrecondition(error, condition, key);
  }
}

export async function abortUpload(client: S3Client, key: ByteString, uploadId: string, {signal}: StoreCallOptions): Promise<void> {
  try {
    await client.sendForHeaders({method: 'DELETE', key, query: [['uploadId', fromText(uploadId)]], signal});
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
  }
}

export async function copyObject(client: S3Client, from: ByteString, to: ByteString, request: {metadata?: ContentMetadata; ifFingerprint?: string}, options: StoreCallOptions): Promise<StoreObject> {
  const source = await statObject(client, from, options);
  if (!source) throw new WeirError('NotFound', `${toText(from)} does not exist`);
  if (request.ifFingerprint !== undefined && request.ifFingerprint !== source.fingerprint) throw new WeirError('ContentChanged', `${toText(from)} is another version now`);
  try {
    if (source.length > copyBytesMax) return await copyInParts(client, source, to, request.metadata ?? source.metadata ?? {}, options);
    const directive = request.metadata ? {'x-amz-metadata-directive': 'REPLACE', ...metadataHeaders(request.metadata)} : {'x-amz-metadata-directive': 'COPY'};
    const {document} = await client.sendForXml({method: 'PUT', key: to, headers: {...copySource(client, from, source.fingerprint), ...directive}, signal: options.signal}, 'CopyObjectResult');
    return makeObject(to, {etag: requireEtag(childText(document, 'ETag'), to), length: source.length, modified: childText(document, 'LastModified')});
  } catch (error) {
    throw asChanged(error, from);
  }
}

function copySource(client: S3Client, key: ByteString, fingerprint: string): Record<string, string> {
  return {'x-amz-copy-source': `/${client.config.bucket}/${uriEncode(client.fullKey(key), true)}`, ...conditionHeaders(fingerprint, 'copy')};
}

function asChanged(error: unknown, source: ByteString): unknown {
  return isKind(error, 'PreconditionFailed') ? new WeirError('ContentChanged', `${toText(source)} is another version now`, {cause: error}) : error;
}

async function copyInParts(client: S3Client, source: StoreObject, to: ByteString, metadata: ContentMetadata, options: StoreCallOptions): Promise<StoreObject> {
  const uploadId = await openOwnUpload(client, {key: to, metadata}, options);
  const count = Math.ceil(source.length / copyPartBytes);
  const parts: StorePart[] = new Array(count);
  const numbers = parts.keys();
  try {
    await Promise.all(
      Array.from({length: Math.min(copyPartsInFlightMax, count)}, async () => {
        for (const i of numbers) {
          const start = i * copyPartBytes;
          const end = Math.min(source.length, start + copyPartBytes);
          parts[i] = await copyPart(client, to, uploadId, i + 1, {key: source.key, fingerprint: source.fingerprint, offset: start, length: end - start}, options);
        }
      }),
    );
    return await completeOwnUpload(client, to, uploadId, parts, undefined, options);
  } catch (error) {
    await abortOwnUpload(client, to, uploadId).catch(() => {});
    throw error;
  }
}

/** Headers of a conditional write. Unsupported where the store is not known to honour them. */
export function writeCondition(client: S3Client, condition: StoreWriteRequest['condition']): Record<string, string> {
  if (!condition) return {};
  if (!client.config.conditionalWrites) throw new WeirError('Unsupported', 'this store is not known to honour conditional writes (option conditionalWrites=true says that it does)');
  return 'ifAbsent' in condition ? {'if-none-match': '*'} : conditionHeaders(condition.ifFingerprint, 'write');
}

/** `If-Match` on a key that is not there answers 404. */
export function asPrecondition(error: unknown, condition: StoreWriteRequest['condition'], key: ByteString): unknown {
  const absent = condition && 'ifFingerprint' in condition && isKind(error, 'NotFound') && error.details['code'] !== 'NoSuchUpload';
  return absent ? new WeirError('PreconditionFailed', `${toText(key)} does not exist`, {cause: error}) : error;
}

export function requireEtag(etag: string | undefined, key: ByteString): string {
  const plain = unquote(etag ?? '');
  if (plain === '') throw new WeirError('Unavailable', `the store has written ${toText(key)} and did not say as which version`);
  return plain;
}
