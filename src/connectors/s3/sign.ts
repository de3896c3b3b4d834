/**
 * Signature Version 4 for requests to S3, in headers. Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API
 * reference. Bodies are not hashed (`UNSIGNED-PAYLOAD`, which every S3 accepts), unless they are streamed: see signed-chunks.ts.
 * The day's key is derived once; a signature then costs two hashes and one HMAC.
 */
import {createHmac, hash} from 'node:crypto';
import type {SignChunk} from '#connectors/s3/signed-chunks.ts';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Wall milliseconds; absent: for good. */
  readonly expiresAt?: number;
}

export interface SignableRequest {
  readonly method: string;
  /** As sent: percent-encoded once, `/` between segments. */
  readonly path: string;
  /** Names and values, not encoded. */
  readonly query: readonly (readonly [name: string, value: string])[];
  /** Lower-case names; all are signed. `host` must be among them. */
  readonly headers: Readonly<Record<string, string>>;
}

export const unsignedPayload = 'UNSIGNED-PAYLOAD';
export const emptyPayload = hash('sha256', '');

const reserved = /[^A-Za-z0-9\-._~]/g;
const reservedButSlash = /[^A-Za-z0-9\-._~/]/g;

/** Percent-encodes all bytes (one character each) but the unreserved ones; `/` too unless kept. */
export function uriEncode(bytes: string, keepSlash: boolean): string {
  return bytes.replace(keepSlash ? reservedButSlash : reserved, c => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** The query string, encoded and in the order that the signature demands; the same is sent. Values are latin-1 bytes. */
export function canonicalQuery(query: SignableRequest['query']): string {
  return query
    .map(([name, value]) => `${uriEncode(name, false)}=${uriEncode(value, false)}`)
    .sort()
    .join('&');
}

export class Signer {
  readonly #region: string;
  #day = '';
  #secret = '';
  #key: Buffer = Buffer.alloc(0);

  constructor(region: string) {
    this.#region = region;
  }

  /** The headers to send: those given, and `x-amz-date`, `x-amz-content-sha256`, `authorization` and the session token. */
  sign(request: SignableRequest, payloadHash: string, credentials: Credentials, nowMs: number): Record<string, string> {
    const now = new Date(nowMs).toISOString();
    const day = now.slice(0, 4) + now.slice(5, 7) + now.slice(8, 10);
    const stamp = `${day}T${now.slice(11, 13)}${now.slice(14, 16)}${now.slice(17, 19)}Z`;
    const headers: Record<string, string> = {...request.headers, 'x-amz-content-sha256': payloadHash, 'x-amz-date': stamp};
    if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
    const names = Object.keys(headers).sort();
    let canonicalHeaders = '';
    for (const name of names) canonicalHeaders += `${name}:${headers[name]!.trim().replace(/ {2,}/g, ' ')}\n`;
    const signedNames = names.join(';');
    const canonical = `${request.method}\n${request.path}\n${canonicalQuery(request.query)}\n${canonicalHeaders}\n${signedNames}\n${payloadHash}`;
    const scope = `${day}/${this.#region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hash('sha256', Buffer.from(canonical, 'latin1'))}`;
    const signature = createHmac('sha256', this.#dayKey(day, credentials.secretAccessKey)).update(toSign).digest('hex');
    headers['authorization'] = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signedNames}, Signature=${signature}`;
    return headers;
  }

  /** What signs the chunks of a streamed body, given the headers that `sign` has made, and the seed that it begins with. */
  chunkSigner(headers: Readonly<Record<string, string>>, credentials: Credentials): {readonly seed: string; readonly sign: SignChunk} {
    const stamp = headers['x-amz-date']!;
    const day = stamp.slice(0, 8);
    const key = this.#dayKey(day, credentials.secretAccessKey);
    const before = `AWS4-HMAC-SHA256-PAYLOAD\n${stamp}\n${day}/${this.#region}/s3/aws4_request\n`;
    return {
      seed: headers['authorization']!.slice(-64),
      sign: (previous, payloadHash) => createHmac('sha256', key).update(`${before}${previous}\n${emptyPayload}\n${payloadHash}`).digest('hex'),
    };
  }

  #dayKey(day: string, secret: string): Buffer {
    if (day !== this.#day || secret !== this.#secret) {
      const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
      this.#key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), this.#region), 's3'), 'aws4_request');
      this.#day = day;
      this.#secret = secret;
    }
    return this.#key;
  }
}
