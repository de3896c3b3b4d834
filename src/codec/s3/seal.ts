/**
 * Seals: what is kept of an object under a customer's key, so that its bytes can be opened when the key is shown again, and another key is
 * recognised as such. Never the key, nor anything that helps to find a key of 256 random bits.
 *
 *     whole   HKDF-SHA-256(key, salt) = 32 bytes of a content key | 32 bytes of proof; all bytes are under the content key
 *     parts   the same, of which only the proof is used; each part has a salt of its own, and its key is HKDF-SHA-256(key, that salt)
 *
 * Salts are 32 random bytes, new with every object and every upload of a part: no two plaintexts ever share a key, so each may count its
 * blocks from zero (sealed-bytes.ts). RFC 5869; docs/decisions/0003-customer-keys.md.
 */
import {hkdfSync, timingSafeEqual} from 'node:crypto';
import {WeirError} from '#base/errors.ts';

export interface Seal {
  readonly form: 'whole' | 'parts';
  readonly salt: Uint8Array;
  readonly proof: Uint8Array;
}

export const saltBytes = 32;
const derivedBytes = 32;
const objectInfo = 'weir sse-c object 1';
const partInfo = 'weir sse-c part 1';

/** Content key and proof. */
function derive(key: Uint8Array, salt: Uint8Array): {readonly contentKey: Uint8Array; readonly proof: Uint8Array} {
  const derived = new Uint8Array(hkdfSync('sha256', key, salt, objectInfo, 2 * derivedBytes));
  return {contentKey: derived.subarray(0, derivedBytes), proof: derived.subarray(derivedBytes)};
}

/** `salt`: 32 random bytes that were never used before. */
export function makeSeal(key: Uint8Array, form: Seal['form'], salt: Uint8Array): {readonly seal: Seal; readonly contentKey: Uint8Array} {
  const {contentKey, proof} = derive(key, salt);
  return {seal: {form, salt, proof}, contentKey};
}

/** The content key where this is the key that the seal was made with, undefined where it is another; in the same time. */
export function openSeal(key: Uint8Array, {salt, proof}: Seal): Uint8Array | undefined {
  const derived = derive(key, salt);
  return timingSafeEqual(derived.proof, proof) ? derived.contentKey : undefined;
}

export function keyOfPart(key: Uint8Array, salt: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, partInfo, derivedBytes));
}

const letters = {whole: 'w', parts: 'p'} as const;
const written = /^1([wp])\.([\w-]{43})\.([\w-]{43})$/;

/** Text for an entry of the metadata. */
export function encodeSeal({form, salt, proof}: Seal): string {
  return `1${letters[form]}.${Buffer.from(salt).toString('base64url')}.${Buffer.from(proof).toString('base64url')}`;
}

/** Corrupt. */
export function decodeSeal(text: string): Seal {
  const [, letter, salt = '', proof = ''] = written.exec(text) ?? [];
  if (letter === undefined) throw new WeirError('Corrupt', 'what is kept of the encryption with a customer’s key cannot be read');
  return {form: letter === 'w' ? 'whole' : 'parts', salt: Buffer.from(salt, 'base64url'), proof: Buffer.from(proof, 'base64url')};
}
