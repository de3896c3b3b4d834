/**
 * Temporary credentials without a table: the token says who it is for, until when and with which policy, sealed by a key of the
 * instance; the secret follows from the access key id. So any number may be issued, and nothing has to be cleaned up.
 */
import {createHmac, timingSafeEqual} from 'node:crypto';
import {setOwn} from '#codec/namespace/content.ts';

export interface SessionToken {
  readonly accessKeyId: string;
  /** Name of the user; undefined: the instance's root. */
  readonly user?: string;
  /** Wall milliseconds at which the user was made: another of the same name is somebody else. */
  readonly userSince: number;
  readonly sessionName: string;
  readonly policy?: string;
  readonly expiresAt: number;
}

const fields = {accessKeyId: 'k', user: 'u', userSince: 's', sessionName: 'n', policy: 'p', expiresAt: 'e'} as const;

function mac(seal: Uint8Array, purpose: string, text: string): Buffer {
  return createHmac('sha256', seal).update(`${purpose}\0${text}`).digest();
}

export function secretOf(seal: Uint8Array, accessKeyId: string): string {
  return mac(seal, 'secret', accessKeyId).subarray(0, 30).toString('base64url');
}

export function sealToken(seal: Uint8Array, token: SessionToken): string {
  const short: Record<string, unknown> = {};
  for (const [name, letter] of Object.entries(fields)) setOwn(short, letter, token[name as keyof SessionToken]);
  const body = Buffer.from(JSON.stringify(short), 'utf8').toString('base64url');
  return `${body}.${mac(seal, 'token', body).toString('base64url')}`;
}

/** Undefined for whatever this instance has not sealed. */
export function openToken(seal: Uint8Array, text: string): SessionToken | undefined {
  const dot = text.indexOf('.');
  const body = text.slice(0, dot);
  const given = Buffer.from(text.slice(dot + 1), 'base64url');
  const expected = mac(seal, 'token', body);
  if (dot < 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const short = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(fields).flatMap(([name, letter]) => (short[letter] === undefined ? [] : [[name, short[letter]]]))) as unknown as SessionToken;
}
