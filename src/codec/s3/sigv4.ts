/**
 * Signature Version 4, the verifying side. Source: "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference.
 *
 * A signature costs three hashes of short texts: the canonical request, and the two halves of one HMAC. `createHmac` costs three times
 * that for its object alone, so the pads are applied by hand to one-shot hashes; the signing key of a day is derived once.
 */
import {hash} from 'node:crypto';
import {S3Error} from '#codec/s3/s3-error.ts';

export const algorithm = 'AWS4-HMAC-SHA256';
const skewMs = 15 * 60_000;
const presignedSecondsMax = 7 * 86_400;
const blockBytes = 64;
const signatureDigits = 64;

export interface Scope {
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** What a request says about its own signature. */
export interface Claim {
  readonly accessKeyId: string;
  readonly scope: Scope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `yyyymmddThhmmssZ`. */
  readonly timestamp: string;
  readonly presigned: boolean;
  /** Seconds, for presigned ones. */
  readonly expires?: number;
}

/** A query as decoded pairs of bytes (latin-1), in the order sent. */
export type QueryPairs = readonly (readonly [name: string, value: string])[];

/** `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`. AuthorizationHeaderMalformed. `other`: a service that it may be signed for beside S3. */
export function claimOfHeader(authorization: string, timestamp: string | undefined, other?: string): Claim {
  const malformed = (what: string) => new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${what}`);
  const space = authorization.indexOf(' ');
  if (space < 0) throw new S3Error('InvalidArgument', "Authorization header is invalid -- one and only one ' ' (space) required.", {ArgumentName: 'Authorization', ArgumentValue: authorization});
  if (authorization.slice(0, space) !== algorithm) throw new S3Error('InvalidArgument', 'Unsupported Authorization Type', {ArgumentName: 'Authorization', ArgumentValue: authorization.slice(0, space)});
  const parts = authorization.slice(space + 1).split(',');
  if (parts.length !== 3) throw malformed('the authorization header requires three components: Credential, SignedHeaders, and Signature.');
  let credential: string | undefined;
  let signedHeaders: string | undefined;
  let signature: string | undefined;
  for (const part of parts) {
    const text = part.trim();
    const equals = text.indexOf('=');
    if (equals < 0) throw malformed(`the authorization component "${text}" is malformed.`);
    const value = text.slice(equals + 1);
    if (text.startsWith('Credential=')) credential = value;
    else if (text.startsWith('SignedHeaders=')) signedHeaders = value;
    else if (text.startsWith('Signature=')) signature = value;
  }
  if (!credential) throw malformed('missing Credential.');
  if (!signedHeaders) throw malformed('missing SignedHeaders.');
  if (!signature) throw malformed('missing Signature.');
  const {accessKeyId, scope} = parseCredential(credential, malformed, other);
  if (timestamp === undefined || !isTimestamp(timestamp)) throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header.');
  if (!timestamp.startsWith(scope.date)) throw malformed('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP');
  return {accessKeyId, scope, signedHeaders: signedHeaders.split(';'), signature, timestamp, presigned: false};
}

/**
 * Reads Authorization headers. What stands in them before the signature is the same all day for one client that signs the same headers,
 * so it is read once: for clients that have proved who they are, lest others fill the memory. Bounded.
 */
export class HeaderClaims {
  static readonly entriesMax = 1000;
  readonly #known = new Map<string, Claim>();
  /** The last that was found: a client sends many requests, and to compare costs less than to look up. */
  #lastBefore = '';
  #last: Claim | undefined;

  /** As claimOfHeader. */
  read(authorization: string, timestamp: string | undefined): Claim {
    const known = timestamp === undefined || !isTimestamp(timestamp) ? undefined : this.#find(authorization);
    if (!known || !timestamp!.startsWith(known.scope.date)) return claimOfHeader(authorization, timestamp);
    const {accessKeyId, scope, signedHeaders} = known;
    return {accessKeyId, scope, signedHeaders, signature: authorization.slice(-signatureDigits), timestamp: timestamp!, presigned: false};
  }

  /** The signature of this claim, read from this header, is right. */
  verified(authorization: string, claim: Claim): void {
    // Who was found has the scope of who was read once.
    if (claim.scope === this.#last?.scope) return;
    const before = authorization.slice(0, -signatureDigits);
    // The signature must be all that may differ the next time.
    if (claim.signature.length !== signatureDigits || !before.endsWith('Signature=') || !authorization.endsWith(claim.signature) || this.#known.has(before)) return;
    if (this.#known.size >= HeaderClaims.entriesMax) this.#known.clear();
    this.#known.set(before, claim);
  }

  #find(authorization: string): Claim | undefined {
    if (this.#last && authorization.length === this.#lastBefore.length + signatureDigits && authorization.startsWith(this.#lastBefore)) return this.#last;
    const before = authorization.slice(0, -signatureDigits);
    const known = this.#known.get(before);
    if (known) [this.#lastBefore, this.#last] = [before, known];
    return known;
  }
}

/** `X-Amz-Algorithm=…&X-Amz-Credential=…`: undefined when the query has no signature. AuthorizationQueryParametersError. */
export function claimOfQuery(query: QueryPairs): Claim | undefined {
  if (query.length === 0) return undefined;
  const get = (name: string) => query.find(([candidate]) => candidate === name)?.[1];
  if (get('X-Amz-Algorithm') === undefined && get('X-Amz-Signature') === undefined) return undefined;
  const malformed = (what: string) => new S3Error('AuthorizationQueryParametersError', what);
  const [credential, signedHeaders, signature, timestamp, expires] = ['Credential', 'SignedHeaders', 'Signature', 'Date', 'Expires'].map((name) => get(`X-Amz-${name}`));
  if (!credential || !signedHeaders || !signature || !timestamp || expires === undefined || !get('X-Amz-Algorithm')) {
    throw malformed('Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.');
  }
  if (get('X-Amz-Algorithm') === 'AWS4-ECDSA-P256-SHA256') throw malformed(`X-Amz-Algorithm only supports "${algorithm}"`);
  if (get('X-Amz-Algorithm') !== algorithm) throw malformed(`X-Amz-Algorithm only supports "${algorithm} and AWS4-ECDSA-P256-SHA256"`);
  const {accessKeyId, scope} = parseCredential(credential, (what) => malformed(`Error parsing the X-Amz-Credential parameter; ${what}`));
  if (!isTimestamp(timestamp)) throw malformed('X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd\'T\'HHmmss\'Z\'"');
  if (!timestamp.startsWith(scope.date)) throw malformed(`Invalid credential date "${scope.date}". This date is not the same as X-Amz-Date: "${timestamp.slice(0, 8)}".`);
  if (!/^-?\d{1,15}$/.test(expires)) throw malformed('X-Amz-Expires should be a number');
  if (Number(expires) < 0) throw malformed('X-Amz-Expires must be non-negative');
  if (Number(expires) > presignedSecondsMax) throw malformed('X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds');
  return {accessKeyId, scope, signedHeaders: signedHeaders.split(';'), signature, timestamp, presigned: true, expires: Number(expires)};
}

export function parseCredential(credential: string, malformed: (what: string) => S3Error, other?: string): Pick<Claim, 'accessKeyId' | 'scope'> {
  const parts = credential.split('/');
  if (parts.length !== 5) throw malformed('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  const [accessKeyId, date, region, service, terminal] = parts as [string, string, string, string, string];
  if (terminal !== 'aws4_request') throw malformed(`incorrect terminal "${terminal.slice(0, 40)}". This endpoint uses "aws4_request".`);
  if (service !== 's3' && service !== other) throw malformed(`incorrect service "${service.slice(0, 40)}". This endpoint belongs to "s3".`);
  if (!/^\d{8}$/.test(date)) throw malformed(`incorrect date format "${date.slice(0, 40)}". This date in the credential must be in the format "yyyyMMdd".`);
  return {accessKeyId, scope: {date, region, service}};
}

/** Clients sign in the same second again and again. */
let lastTimestamp: string | undefined;
let lastTimeMs = NaN;

function isTimestamp(text: string): boolean {
  return text === lastTimestamp || /^\d{8}T\d{6}Z$/.test(text);
}

/** Wall milliseconds of a timestamp; NaN for impossible dates. */
export function timeOf(timestamp: string): number {
  const t = timestamp;
  if (t !== lastTimestamp) {
    lastTimeMs = Date.parse(`${t.slice(0, 4)}-${t.slice(4, 6)}-${t.slice(6, 8)}T${t.slice(9, 11)}:${t.slice(11, 13)}:${t.slice(13, 15)}Z`);
    lastTimestamp = t;
  }
  return lastTimeMs;
}

/** RequestTimeTooSkewed, AccessDenied (expired, or the scope is of another day). */
export function checkTime(claim: Claim, nowMs: number): void {
  const then = timeOf(claim.timestamp);
  if (claim.presigned) {
    if (!(then - skewMs <= nowMs)) throw new S3Error('AccessDenied', 'Request is not valid yet.');
    const until = then + claim.expires! * 1000;
    if (!(nowMs <= until)) {
      // Impossible dates have passed, and have no form.
      const Expires = Number.isNaN(until) ? '' : new Date(until).toISOString();
      throw new S3Error('AccessDenied', 'Request has expired.', {'X-Amz-Expires': String(claim.expires), Expires, ServerTime: new Date(nowMs).toISOString()});
    }
  } else if (!(Math.abs(nowMs - then) <= skewMs)) {
    throw new S3Error('RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.', {RequestTime: claim.timestamp, MaxAllowedSkewMilliseconds: String(skewMs)});
  }
}

const unreservedPath = /^[A-Za-z0-9\-._~/]*$/;
const hexDigits = '0123456789ABCDEF';

/** Percent-encodes bytes (one character each); unreserved ones stay, `/` stays when `slash`. */
export function uriEncode(bytes: string, slash: boolean): string {
  let out = '';
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes.charCodeAt(i);
    const plain = (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e || (slash && code === 0x2f);
    out += plain ? bytes[i]! : `%${hexDigits[(code >> 4) & 15]}${hexDigits[code & 15]}`;
  }
  return out;
}

/** Bytes of percent-encoded text; a broken escape stays as it is. */
export function uriDecode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The path of a canonical request: decoded, then encoded once; never normalised. */
export function canonicalPath(rawPath: string): string {
  return unreservedPath.test(rawPath) ? rawPath : uriEncode(uriDecode(rawPath), true);
}

function canonicalQuery(query: QueryPairs): string {
  if (query.length === 0) return '';
  const encoded = query.filter(([name]) => name !== 'X-Amz-Signature').map(([name, value]): [string, string] => [uriEncode(name, false), uriEncode(value, false)]);
  encoded.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0));
  return encoded.map(([name, value]) => `${name}=${value}`).join('&');
}

/** All values of a header, trimmed, inner runs of spaces made one, joined by commas; undefined when it was not sent. */
function canonicalHeader(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const candidate = rawHeaders[i]!;
    if (candidate.length !== name.length || (candidate !== name && candidate.toLowerCase() !== name)) continue;
    const value = rawHeaders[i + 1]!.trim();
    const tidy = value.includes('  ') ? value.replace(/ +/g, ' ') : value;
    found = found === undefined ? tidy : `${found},${tidy}`;
  }
  return found;
}

export interface SignedRequest {
  readonly method: string;
  /** Before the `?`, as sent. */
  readonly rawPath: string;
  readonly query: QueryPairs;
  /** [name, value, name, value …] as sent. */
  readonly rawHeaders: readonly string[];
  /** `x-amz-content-sha256`, or what stands for it. */
  readonly payloadHash: string;
}

/**
 * AccessDenied when a header that must be signed is not: `host`, and whatever begins with `x-amz-`, because it changes what is asked
 * for (as S3 does: whoever sees a signed request on its way must not be able to make a copy or a grant of it).
 */
export function canonicalRequest(request: SignedRequest, signedHeaders: readonly string[]): string {
  const {method, rawPath, query, payloadHash} = request;
  return `${method}\n${canonicalPath(rawPath)}\n${canonicalQuery(query)}\n${canonicalHeaders(request, signedHeaders)}\n${payloadHash}`;
}

/** What was made of the headers of the last request: a client's next ones say the same until its clock moves on, but for the signature. */
let lastHeaders: {readonly raw: readonly string[]; readonly signed: readonly string[]; readonly canonical: string} | undefined;

function canonicalHeaders({rawHeaders}: SignedRequest, signedHeaders: readonly string[]): string {
  if (lastHeaders && lastHeaders.signed === signedHeaders && sameButAuthorization(rawHeaders, lastHeaders.raw)) return lastHeaders.canonical;
  let headers = '';
  let host = false;
  for (const name of signedHeaders) {
    if (name === 'host') host = true;
    headers += `${name}:${canonicalHeader(rawHeaders, name) ?? ''}\n`;
  }
  const unsigned = host ? unsignedAmz(rawHeaders, signedHeaders) : 'host';
  if (unsigned !== '') throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {HeadersNotSigned: unsigned});
  const canonical = `${headers}\n${signedHeaders.join(';')}`;
  if (rawHeaders.length <= lastHeadersMax && !signedHeaders.includes('authorization')) lastHeaders = {raw: rawHeaders, signed: signedHeaders, canonical};
  return canonical;
}

/** Names and values that are compared. */
const lastHeadersMax = 64;

function sameButAuthorization(rawHeaders: readonly string[], last: readonly string[]): boolean {
  if (rawHeaders.length !== last.length) return false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i] !== last[i]) return false;
    if (rawHeaders[i + 1] !== last[i + 1] && (rawHeaders[i]!.length !== 13 || rawHeaders[i]!.toLowerCase() !== 'authorization')) return false;
  }
  return true;
}

/** Their names, sorted; empty when there are none. */
function unsignedAmz(rawHeaders: readonly string[], signedHeaders: readonly string[]): string {
  let found: string[] | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    // Most names do not begin with an x, and most that do were signed as they were sent.
    if ((name.charCodeAt(0) | 0x20) !== 0x78 || signedHeaders.includes(name) || !/^x-amz-/i.test(name)) continue;
    const lower = name.toLowerCase();
    if (!signedHeaders.includes(lower)) (found ??= []).push(lower);
  }
  return found ? found.sort().join(', ') : '';
}

export function stringToSign(claim: Claim, canonical: string): string {
  return textToSign(claim, sha256OfBytes(canonical));
}

function textToSign({timestamp, scope: {date, region, service}}: Claim, digest: string): string {
  return `${algorithm}\n${timestamp}\n${date}/${region}/${service}/aws4_request\n${digest}`;
}

/** Digests as strings: one that comes in a Buffer of its own costs three times as much. */
const scratch = Buffer.allocUnsafeSlow(16 * 1024);
const digestBytes = 32;
const outer = Buffer.allocUnsafeSlow(blockBytes + digestBytes);

/** In hexadecimal, of one byte a character. */
function sha256OfBytes(text: string): string {
  if (text.length > scratch.length) return hash('sha256', Buffer.from(text, 'latin1'), 'hex');
  scratch.write(text, 0, text.length, 'latin1');
  return hash('sha256', scratch.subarray(0, text.length), 'hex');
}

/** The two padded blocks of an HMAC-SHA256 key (RFC 2104). */
export interface HmacKey {
  readonly inner: Buffer;
  readonly outer: Buffer;
}

export function hmacKey(key: Uint8Array): HmacKey {
  const short = key.length > blockBytes ? hash('sha256', key, 'buffer') : key;
  const inner = Buffer.alloc(blockBytes, 0x36);
  const outer = Buffer.alloc(blockBytes, 0x5c);
  for (let i = 0; i < short.length; i++) {
    inner[i]! ^= short[i]!;
    outer[i]! ^= short[i]!;
  }
  return {inner, outer};
}

/** In hexadecimal. `text`: one byte a character. */
export function hmacSha256(key: HmacKey, text: string): string {
  return hash('sha256', outerMessage(key, text), 'hex');
}

/** The inner half of an HMAC up to the digest that ends a string to sign: the same for all that a client signs within a second. */
const signing = Buffer.allocUnsafeSlow(512);
let signed: {readonly key: HmacKey; readonly scope: Scope; readonly timestamp: string; readonly digestAt: number; readonly whole: Uint8Array} | undefined;

/** `hmacSha256(key, stringToSign(claim, canonical))`, at less cost. */
export function signatureOf(key: HmacKey, claim: Claim, canonical: string): string {
  const {scope, timestamp} = claim;
  const digest = sha256OfBytes(canonical);
  if (signed?.key !== key || signed.scope !== scope || signed.timestamp !== timestamp) {
    const text = textToSign(claim, '');
    const digestAt = blockBytes + text.length;
    if (digestAt + digest.length > signing.length) return hmacSha256(key, text + digest);
    signing.set(key.inner);
    signing.write(text, blockBytes, 'latin1');
    signed = {key, scope, timestamp, digestAt, whole: signing.subarray(0, digestAt + digest.length)};
  }
  signing.write(digest, signed.digestAt, digest.length, 'latin1');
  return hash('sha256', outerOf(key, signed.whole), 'hex');
}

/** What the outer of the two hashes is taken of; overwritten by the next call. */
function outerMessage(key: HmacKey, text: string): Uint8Array {
  const bytes = blockBytes + text.length;
  const message = bytes <= scratch.length ? scratch : Buffer.allocUnsafeSlow(bytes);
  message.set(key.inner);
  message.write(text, blockBytes, text.length, 'latin1');
  return outerOf(key, message.subarray(0, bytes));
}

function outerOf(key: HmacKey, inner: Uint8Array): Uint8Array {
  const digest = hash('sha256', inner, 'binary');
  outer.set(key.outer);
  outer.write(digest, blockBytes, digestBytes, 'latin1');
  return outer;
}

/** Signing keys by secret and scope. Bounded; a key is derived anew when it was dropped. */
export class SigningKeys {
  static readonly entriesMax = 1000;
  readonly #keys = new Map<string, HmacKey>();
  /** The last that was asked for, by the scope that HeaderClaims has read once: the same object, so that nothing is compared but the secret. */
  #last: {readonly secret: string; readonly scope: Scope; readonly key: HmacKey} | undefined;

  get(secret: string, scope: Scope): HmacKey {
    const last = this.#last;
    if (last && last.scope === scope && last.secret === secret) return last.key;
    const key = this.#find(secret, scope);
    this.#last = {secret, scope, key};
    return key;
  }

  #find(secret: string, {date, region, service}: Scope): HmacKey {
    const name = `${date}/${region}/${service}/${secret}`;
    let key = this.#keys.get(name);
    if (!key) {
      let step = hmacKey(Buffer.from(`AWS4${secret}`));
      for (const part of [date, region, service, 'aws4_request']) step = hmacKey(hash('sha256', outerMessage(step, part), 'buffer'));
      key = step;
      if (this.#keys.size >= SigningKeys.entriesMax) this.#keys.clear();
      this.#keys.set(name, key);
    }
    return key;
  }
}

/** In time that depends on lengths alone. */
export function sameSignature(expected: string, given: string): boolean {
  if (expected.length !== given.length) return false;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ given.charCodeAt(i);
  return difference === 0;
}
