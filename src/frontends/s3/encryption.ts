/**
 * Server-side encryption in requests and answers. `AES256` is a wish that the store behind carries out, or the disk below: Weir keeps it with the
 * object and says so again, as S3 does (docs/s3.md). Keys of a key management service, and keys of the client's own, are not carried out, so they
 * are refused: nothing is stored in the clear by somebody who asked for more.
 */
import {hash} from 'node:crypto';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import {bucketPath, bucketOf, type S3Request} from '#frontends/s3/request.ts';
import type {ContentMetadata} from '#model/content.ts';

const header = 'x-amz-server-side-encryption';
const customer = `${header}-customer-`;
const keyBytes = 32;

const invalid = (message: string, name = header, value = '') => new S3Error('InvalidArgument', message, {ArgumentName: name, ArgumentValue: value});

/** Whether the request brings a key of its own. InvalidArgument, InvalidRequest: it does so wrongly. */
function checkCustomerKey(request: S3Request): boolean {
  const [algorithm, key, md5] = ['algorithm', 'key', 'key-md5'].map((part) => request.header(customer + part));
  if (algorithm === undefined && key === undefined && md5 === undefined) return false;
  if (algorithm === undefined) throw invalid('Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.', `${customer}algorithm`);
  if (algorithm !== 'AES256') {
    const fields = {ArgumentName: `${customer}algorithm`, ArgumentValue: algorithm};
    throw new S3Error('InvalidEncryptionAlgorithmError', 'The encryption request you specified is not valid. The valid value is AES256.', fields);
  }
  if (key === undefined) throw invalid('Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.', `${customer}key`);
  if (md5 === undefined) throw invalid('Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.', `${customer}key-MD5`);
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== keyBytes) throw invalid('The secret key was invalid for the specified algorithm.', `${customer}key`);
  if (hash('md5', bytes, 'base64') !== md5) throw invalid('The calculated MD5 hash of the key did not match the hash that was provided.', `${customer}key-MD5`);
  return true;
}

const notCarriedOut = (what: string) => new S3Error('NotImplemented', `Server-side encryption with ${what} is not implemented.`, {Header: header});

/**
 * What is kept with a new object of this request: what it asks for, else what its bucket does. InvalidArgument, InvalidRequest,
 * InvalidEncryptionAlgorithmError, NotImplemented.
 */
export async function encryptionOf(request: S3Request, bucket: FileInfo): Promise<ContentMetadata> {
  const algorithm = request.header(header);
  const keyId = request.header(`${header}-aws-kms-key-id`);
  const own = checkCustomerKey(request);
  if (algorithm !== undefined && algorithm !== 'AES256' && algorithm !== 'aws:kms' && algorithm !== 'aws:kms:dsse') throw invalid('The encryption method specified is not supported', header, algorithm);
  if (own && algorithm !== undefined) throw invalid('Server Side Encryption with Customer provided key is incompatible with the encryption method specified', header, algorithm);
  if (keyId !== undefined && (algorithm === undefined || algorithm === 'AES256')) {
    throw invalid('Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms', header, algorithm);
  }
  if (own) throw notCarriedOut('keys of your own');
  const used = algorithm ?? (await defaultOf(request, bucket));
  if (used === undefined) return {};
  if (used !== 'AES256') throw notCarriedOut('keys of a key management service');
  return {[header]: used};
}

async function defaultOf(request: S3Request, bucket: FileInfo): Promise<string | undefined> {
  if (bucket.inode.settings === undefined) return undefined;
  const {settings} = await request.files.getSettings(bucketPath(bucketOf(request)), request.context);
  return settings['encryption']?.split(' ')[0];
}

/** A copy of an object onto itself may be for this alone. */
export const asksForEncryption = (request: S3Request): boolean => request.header(header) !== undefined;

/** What a copy does not take from its source. */
export function withoutEncryption(metadata: ContentMetadata): ContentMetadata {
  const {[header]: _, ...others} = metadata;
  return others;
}

/** For answers that have no other headers of the object. */
export function encryptionHeaders(metadata: ContentMetadata | undefined): readonly string[] {
  const algorithm = metadata?.[header];
  return algorithm === undefined ? [] : [header, algorithm];
}

/** What S3 does not take with a read: the encryption of what is there is not the reader's to choose. InvalidArgument. */
export function checkReadEncryption(request: S3Request): void {
  const algorithm = request.header(header);
  if (algorithm !== undefined) throw invalid(`${header} header is not supported for this operation.`, header, algorithm);
  if (checkCustomerKey(request)) throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.');
}
