/** ListObjectsV2, keys as bytes. */
import {type ByteString, fromText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {StoreCallOptions, StoreListPage, StoreListRequest, StoreObject} from '#understore/under-store.ts';
import {type S3Client, decodeKey} from '#connectors/s3/client.ts';
import {makeObject, unquote} from '#connectors/s3/objects.ts';
import {childText} from '#connectors/s3/xml.ts';

const keysPerPageMax = 1000;

export async function listObjects(client: S3Client, request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage> {
  const query: [string, ByteString][] = [['list-type', fromText('2')], ['encoding-type', fromText('url')], ['max-keys', fromText(String(Math.min(request.limit, keysPerPageMax)))]];
  const prefix = client.fullKey(request.prefix);
  if (prefix !== '') query.push(['prefix', prefix]);
  if (request.delimiter) query.push(['delimiter', fromText('/')]);
  if (request.after !== undefined) query.push(['start-after', client.fullKey(request.after)]);
  if (request.continuation !== undefined) query.push(['continuation-token', fromText(request.continuation)]);
  const {document} = await client.sendForXml({method: 'GET', query, signal: options.signal}, 'ListBucketResult');
  const decode = childText(document, 'EncodingType') === 'url' ? decodeKey : fromText;
  const relative = (text: string | undefined): ByteString => {
    const key = text === undefined ? undefined : decode(text);
    if (key === undefined || !key.startsWith(prefix)) throw new WeirError('Unavailable', `a listing of ${client.config.bucket} has keys that were not asked for`);
    return key.slice(client.config.prefix.length) as ByteString;
  };
  const objects: StoreObject[] = [];
  const prefixes: ByteString[] = [];
  for (const element of document.children) {
    if (element.name === 'Contents') {
      const key = relative(childText(element, 'Key'));
      const size = childText(element, 'Size') ?? '';
      if (!/^\d{1,15}$/.test(size)) throw new WeirError('Unavailable', `a listing of ${client.config.bucket} has an object without a size`);
      // The marker of the mounted prefix is the root itself.
      if (key !== '') objects.push(makeObject(key, {etag: unquote(childText(element, 'ETag') ?? ''), length: Number(size), modified: childText(element, 'LastModified')}));
    } else if (element.name === 'CommonPrefixes') {
      const folded = relative(childText(element, 'Prefix'));
      // Stores differ on whether a start within a folded directory shows it again.
      if (!request.after?.startsWith(folded)) prefixes.push(folded);
    }
  }
  const continuation = childText(document, 'IsTruncated') === 'true' ? childText(document, 'NextContinuationToken') : undefined;
  if (childText(document, 'IsTruncated') === 'true' && !continuation) throw new WeirError('Unavailable', `a listing of ${client.config.bucket} was cut without saying where to go on`);
  return {objects, prefixes, ...(continuation ? {continuation} : {})};
}
