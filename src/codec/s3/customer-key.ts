/**
 * The key that a request brings for server-side encryption (SSE-C): three headers that belong together, for the object itself and, in copies,
 * for the source. "Using server-side encryption with customer-provided keys", S3 User Guide. No error says anything of the key.
 */
import {createHash, timingSafeEqual} from 'node:crypto';
import {S3Error} from '#codec/s3/s3-error.ts';

export interface CustomerKey {
  /** 32 bytes. */
  readonly bytes: Uint8Array;
  /** Of the key, base64, as it was sent: what answers say of it. */
  readonly md5: string;
}

const target = 'x-amz-server-side-encryption-customer-';
const source = 'x-amz-copy-source-server-side-encryption-customer-';
const keyBytes = 32;

/** Undefined when the request brings no key. InvalidArgument, InvalidEncryptionAlgorithmError. */
export function parseCustomerKey(header: (name: string) => string | undefined, of: 'target' | 'source' = 'target'): CustomerKey | undefined {
  const prefix = of === 'target' ? target : source;
  const algorithm = header(`${prefix}algorithm`);
  const key = header(`${prefix}key`);
  const md5 = header(`${prefix}key-md5`);
  if (algorithm === undefined && key === undefined && md5 === undefined) return undefined;
  const invalid = (name: string, message: string) => new S3Error('InvalidArgument', message, {ArgumentName: `${prefix}${name}`, ArgumentValue: 'null'});
  if (algorithm === undefined) throw invalid('algorithm', 'Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.');
  if (algorithm !== 'AES256') {
    const fields = {ArgumentName: `${prefix}algorithm`, ArgumentValue: algorithm};
    throw new S3Error('InvalidEncryptionAlgorithmError', 'The encryption request you specified is not valid. The valid value is AES256.', fields);
  }
  if (key === undefined) throw invalid('key', 'Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.');
  if (md5 === undefined) throw invalid('key-MD5', 'Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.');
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== keyBytes) throw invalid('key', 'The secret key was invalid for the specified algorithm.');
  const announced = Buffer.from(md5, 'base64');
  const computed = createHash('md5').update(bytes).digest();
  if (announced.length !== computed.length || !timingSafeEqual(announced, computed)) throw invalid('key-MD5', 'The calculated MD5 hash of the key did not match the hash that was provided.');
  return {bytes, md5: computed.toString('base64')};
}

/** What an answer says of the key that it was given. */
export function customerKeyHeaders(key: CustomerKey | undefined): readonly string[] {
  return key ? [`${target}algorithm`, 'AES256', `${target}key-MD5`, key.md5] : [];
}
