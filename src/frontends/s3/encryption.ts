/**
 * Server-side encryption in requests and answers. A key of the client's own (SSE-C) is used by Weir (sealing.ts, opening.ts). `AES256` is a wish that the
 * store behind carries out, or the disk below: Weir keeps it with the object and says so again, as S3 does (docs/s3.md). Keys of a key
 * management service are refused: nothing is stored in the clear by somebody who asked for more.
 */
import {type CustomerKey, customerKeyHeaders, parseCustomerKey} from '#codec/s3/customer-key.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {bucketPath, bucketOf, type S3Request} from '#frontends/s3/request.ts';
import type {ContentMetadata} from '#model/content.ts';
import {withoutSeal} from '#model/seal.ts';

const header = 'x-amz-server-side-encryption';

const invalid = (message: string, name = header, value = '') => new S3Error('InvalidArgument', message, {ArgumentName: name, ArgumentValue: value});
const notCarriedOut = (what: string) => new S3Error('NotImplemented', `Server-side encryption with ${what} is not implemented.`, {Header: header});

const loopback = /^(::ffff:)?127\.|^::1$/i;

/**
 * The key that the request brings, for its object or for what it copies. InvalidArgument, InvalidEncryptionAlgorithmError; InvalidRequest where
 * others could read it on its way: over neither TLS nor this machine's own loopback.
 */
export function customerKeyOf(request: S3Request, of: 'target' | 'source' = 'target'): CustomerKey | undefined {
  const key = parseCustomerKey((name) => request.header(name), of);
  if (key && !request.exchange.secure && !loopback.test(request.exchange.remote.host)) {
    throw new S3Error('InvalidRequest', 'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.');
  }
  return key;
}

/** How a new object will be encrypted: at most one of the two. */
export interface Encryption {
  readonly algorithm?: 'AES256';
  readonly key?: CustomerKey;
}

/**
 * What the request asks for, else what its bucket does. InvalidArgument, InvalidRequest, InvalidEncryptionAlgorithmError, NotImplemented.
 */
export async function encryptionOf(request: S3Request, bucket: FileInfo): Promise<Encryption> {
  const algorithm = request.header(header);
  const keyId = request.header(`${header}-aws-kms-key-id`);
  const key = customerKeyOf(request);
  if (algorithm !== undefined && algorithm !== 'AES256' && algorithm !== 'aws:kms' && algorithm !== 'aws:kms:dsse') throw invalid('The encryption method specified is not supported', header, algorithm);
  if (key && algorithm !== undefined) throw invalid('Server Side Encryption with Customer provided key is incompatible with the encryption method specified', header, algorithm);
  if (keyId !== undefined && (algorithm === undefined || algorithm === 'AES256')) {
    throw invalid('Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms', header, algorithm);
  }
  if (key) return {key};
  const used = algorithm ?? (await defaultOf(request, bucket));
  if (used === undefined) return {};
  if (used !== 'AES256') throw notCarriedOut('keys of a key management service');
  return {algorithm: used};
}

async function defaultOf(request: S3Request, bucket: FileInfo): Promise<string | undefined> {
  if (bucket.inode.settings === undefined) return undefined;
  const {settings} = await request.files.getSettings(bucketPath(bucketOf(request)), request.context);
  return settings['encryption']?.split(' ')[0];
}

/** A copy of an object onto itself may be for this alone. */
export const asksForEncryption = (request: S3Request): boolean => request.header(header) !== undefined || request.header(`${header}-customer-algorithm`) !== undefined;

/** What is kept with an object whose bytes Weir does not encrypt. */
export const keptEncryption = ({algorithm}: Encryption): ContentMetadata => (algorithm ? {[header]: algorithm} : {});

/** What a copy does not take from its source. */
export function withoutEncryption(metadata: ContentMetadata): ContentMetadata {
  const {[header]: _, ...others} = withoutSeal(metadata);
  return others;
}

/** What an answer says of the object's encryption. */
export function encryptionHeaders({algorithm, key}: Encryption): readonly string[] {
  return algorithm ? [header, algorithm] : customerKeyHeaders(key);
}

/** Of an object that is there already, for answers that have no other headers of it. */
export function encryptionOfObject(metadata: ContentMetadata | undefined, key?: CustomerKey): Encryption {
  if (metadata?.[header] === 'AES256') return {algorithm: 'AES256'};
  return key ? {key} : {};
}

/** The encryption of what is there is not the reader's to choose. InvalidArgument. */
export function refuseEncryptionHeader(request: S3Request): void {
  const algorithm = request.header(header);
  if (algorithm !== undefined) throw invalid(`${header} header is not supported for this operation.`, header, algorithm);
}
