/**
 * Who is there: both sides prove that they know the secret of an access key, without sending it, before any call.
 *
 *   client → hello {version, accessKeyId, nonce}
 *   server → hello {version, nonce, proof = HMAC(secret, "server" nonceC nonceS)}
 *   client → hello {proof = HMAC(secret, "client" nonceC nonceS)}
 *
 * HMAC-SHA256 over fixed-length random nonces; a proof of one side is never a valid proof of the other. An unknown key is answered
 * with a proof from a random secret, so that guessing key ids and guessing secrets look the same.
 */
import {createHmac, timingSafeEqual} from 'node:crypto';
import {WeirError} from '#base/errors.ts';

export const nonceBytes = 32;

export function proof(secret: string, side: 'client' | 'server', clientNonce: Uint8Array, serverNonce: Uint8Array): Buffer {
  if (clientNonce.length !== nonceBytes || serverNonce.length !== nonceBytes) throw new WeirError('Unauthenticated', 'a handshake nonce has the wrong length');
  return createHmac('sha256', secret).update(`weir-rpc ${side} `).update(clientNonce).update(serverNonce).digest();
}

export function sameProof(expected: Uint8Array, given: unknown): boolean {
  return given instanceof Uint8Array && given.length === expected.length && timingSafeEqual(expected, given);
}
