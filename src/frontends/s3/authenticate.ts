/** Who asks: the signature of a request, in its headers or its query, checked against the secret of its access key. */
import {createHmac, hash} from 'node:crypto';
import {accessDenied, S3Error} from '#codec/s3/s3-error.ts';
import {
  canonicalRequest, checkTime, type Claim, claimOfHeader, claimOfQuery, HeaderClaims, hmacSha256, parseCredential, sameSignature, signatureOf, SigningKeys, stringToSign, timeOf,
} from '#codec/s3/sigv4.ts';
import type {ChunkSigner} from '#codec/s3/aws-chunked.ts';
import {verifyPresignedV2} from '#codec/s3/presigned-v2.ts';
import type {S3Target} from '#codec/s3/target.ts';
import type {Caller, Credential, IdentityDirectory} from '#contracts/identity-api.ts';
import type {HttpExchange} from '#runtime/http.ts';

/** Words in `x-amz-content-sha256` that are not a hash. */
export type PayloadKind = 'hashed' | 'unsigned' | 'signed-chunks' | 'signed-chunks-trailer' | 'unsigned-chunks-trailer';

export interface Identity {
  /** Undefined: nobody signed, anybody may have sent it. */
  readonly caller?: Caller;
  /** How it was signed, as policies name it (`s3:authType`). */
  readonly authType?: 'REST-HEADER' | 'REST-QUERY-STRING' | 'POST';
  /** For policies (`s3:signatureversion`). */
  readonly signatureVersion?: 'AWS4-HMAC-SHA256' | 'AWS';
  /** Wall ms, where the signature says when it was made. */
  readonly signedAtMs?: number;
  readonly payload: PayloadKind;
  /** Hexadecimal SHA-256 of the body, when it was announced. */
  readonly payloadHash?: string;
  /** What signs the chunks of a chunk-signed body. */
  readonly chunks?: ChunkSigner;
}

const unsignedPayload = 'UNSIGNED-PAYLOAD';
const payloadWords = `${unsignedPayload}, STREAMING-UNSIGNED-PAYLOAD-TRAILER, ${['HMAC-SHA256', 'ECDSA-P256-SHA256'].map((name) => `STREAMING-AWS4-${name}-PAYLOAD, STREAMING-AWS4-${name}-PAYLOAD-TRAILER`).join(', ')}`;
const emptyHash = hash('sha256', '', 'hex');
const streams: ReadonlyMap<string, PayloadKind> = new Map([
  [unsignedPayload, 'unsigned'],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'signed-chunks'],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', 'signed-chunks-trailer'],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'unsigned-chunks-trailer'],
]);

export class Authenticator {
  readonly #directory: IdentityDirectory;
  readonly #keys = new SigningKeys();
  readonly #claims = new HeaderClaims();

  constructor(directory: IdentityDirectory) {
    this.#directory = directory;
  }

  /** AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed and the errors of malformed claims. */
  authenticate(exchange: HttpExchange, target: S3Target, nowMs: number): Identity {
    // An empty header says nothing.
    const authorization = exchange.header('authorization') || undefined;
    if (authorization?.startsWith('AWS ')) {
      throw new S3Error('InvalidRequest', 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.');
    }
    const inQuery = claimOfQuery(target.query);
    if (inQuery && authorization !== undefined) {
      throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified');
    }
    if (authorization !== undefined) {
      const claim = this.#claims.read(authorization, timestampOf(exchange));
      const identity = this.#verify(exchange, target, claim, nowMs);
      this.#claims.verified(authorization, claim);
      return identity;
    }
    if (inQuery) return this.#verify(exchange, target, inQuery, nowMs);
    return this.#presignedV2(exchange, target, nowMs);
  }

  /**
   * A form of a browser is signed by its policy. `field` by lower-case name. Without any of the fields that sign, nobody has.
   * InvalidArgument, InvalidAccessKeyId, SignatureDoesNotMatch.
   */
  authenticateForm(field: (name: string) => string | undefined, nowMs: number): Identity {
    const given = (name: string): string => {
      const value = field(name);
      if (value !== undefined) return value;
      throw new S3Error('InvalidArgument', `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`, {ArgumentName: name, ArgumentValue: ''});
    };
    const token = field('x-amz-security-token');
    if (field('awsaccesskeyid')) {
      const [policy, signature] = [given('policy'), given('signature')];
      const {caller, secret} = this.#find(field('awsaccesskeyid')!, token, nowMs);
      checkFormSignature(createHmac('sha1', secret).update(policy).digest('base64'), signature, policy, field('awsaccesskeyid')!);
      return {caller, payload: 'unsigned', authType: 'POST', signatureVersion: 'AWS'};
    }
    const names = ['policy', 'x-amz-signature', 'x-amz-credential', 'x-amz-date', 'x-amz-algorithm'];
    if (!names.some((name) => field(name) !== undefined)) return {payload: 'unsigned'};
    const [policy, signature, credential, date, algorithm] = names.map(given) as [string, string, string, string, string];
    if (algorithm !== 'AWS4-HMAC-SHA256') throw new S3Error('InvalidArgument', 'Only AWS4-HMAC-SHA256 is supported', {ArgumentName: 'X-Amz-Algorithm', ArgumentValue: algorithm});
    if (!/^\d{8}T\d{6}Z$/.test(date)) throw new S3Error('InvalidArgument', 'X-Amz-Date must be formated via ISO8601 Long format', {ArgumentName: 'X-Amz-Date', ArgumentValue: date});
    const {accessKeyId, scope} = parseCredential(credential, (what) => new S3Error('InvalidArgument', what, {ArgumentName: 'x-amz-credential', ArgumentValue: credential}));
    const {caller, secret} = this.#find(accessKeyId, token, nowMs);
    checkFormSignature(hmacSha256(this.#keys.get(secret, scope), policy), signature, policy, accessKeyId);
    return {caller, payload: 'unsigned', authType: 'POST', signatureVersion: 'AWS4-HMAC-SHA256', signedAtMs: timeOf(date)};
  }

  /** A form for the token service, signed in its headers for `sts` (or `s3`); its body counts whether or not a header says its hash. */
  authenticateSts(exchange: HttpExchange, target: S3Target, body: Uint8Array, nowMs: number): Caller {
    const authorization = exchange.header('authorization');
    if (authorization === undefined) throw accessDenied();
    const claim = claimOfHeader(authorization, timestampOf(exchange), 'sts');
    checkTime(claim, nowMs);
    const {secret, caller} = this.#find(claim.accessKeyId, exchange.header('x-amz-security-token'), nowMs);
    const {method, rawHeaders} = exchange;
    const canonical = canonicalRequest({method, rawPath: target.rawPath, query: target.query, rawHeaders, payloadHash: hash('sha256', body, 'hex')}, claim.signedHeaders);
    if (!sameSignature(signatureOf(this.#keys.get(secret, claim.scope), claim, canonical), claim.signature)) {
      throw new S3Error('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.');
    }
    return caller;
  }

  #verify(exchange: HttpExchange, target: S3Target, claim: Claim, nowMs: number): Identity {
    checkTime(claim, nowMs);
    const announced = exchange.header('x-amz-content-sha256') ?? target.query.find(([name]) => name === 'X-Amz-Content-Sha256')?.[1];
    if (announced === undefined && !claim.presigned) throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
    const payloadHash = announced ?? unsignedPayload;
    const payload = payloadKind(payloadHash);
    const known = this.#find(claim.accessKeyId, exchange.header('x-amz-security-token') ?? target.query.find(([name]) => name === 'X-Amz-Security-Token')?.[1], nowMs);
    const key = this.#keys.get(known.secret, claim.scope);
    const {method, rawHeaders} = exchange;
    const {rawPath, query} = target;
    const canonical = canonicalRequest({method, rawPath, query, rawHeaders, payloadHash}, claim.signedHeaders);
    if (!sameSignature(signatureOf(key, claim, canonical), claim.signature)) {
      const text = stringToSign(claim, canonical);
      throw new S3Error('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.', {
        AWSAccessKeyId: claim.accessKeyId,
        StringToSign: text,
        SignatureProvided: claim.signature,
        StringToSignBytes: spacedHex(text),
        CanonicalRequest: canonical,
        CanonicalRequestBytes: spacedHex(canonical),
      });
    }
    const {caller} = known;
    const signed = {caller, payload, authType: claim.presigned ? 'REST-QUERY-STRING' : 'REST-HEADER', signatureVersion: 'AWS4-HMAC-SHA256', signedAtMs: timeOf(claim.timestamp)} as const;
    if (payload === 'hashed') {
      checkEmptyBody(exchange, payloadHash);
      return {...signed, payloadHash: payloadHash.toLowerCase()};
    }
    if (payload !== 'signed-chunks' && payload !== 'signed-chunks-trailer') return signed;
    return {...signed, chunks: chunkSigner(claim, (line) => hmacSha256(key, line))};
  }

  #presignedV2(exchange: HttpExchange, target: S3Target, nowMs: number): Identity {
    const get = (name: string) => target.query.find(([candidate]) => candidate === name)?.[1];
    const accessKeyId = get('AWSAccessKeyId');
    if (accessKeyId === undefined || get('Signature') === undefined) return anonymous(exchange);
    const known = this.#find(accessKeyId, get('x-amz-security-token'), nowMs);
    verifyPresignedV2({method: exchange.method, resource: target.hostBucket ? `/${target.bucket ?? ''}${target.rawPath}` : target.rawPath, headers: exchange.rawHeaders, query: target.query, secret: known.secret, nowMs});
    return {caller: known.caller, payload: 'unsigned', authType: 'REST-QUERY-STRING', signatureVersion: 'AWS'};
  }

  /** InvalidAccessKeyId, InvalidToken, ExpiredToken. */
  #find(accessKeyId: string, sessionToken: string | undefined, nowMs: number): Credential {
    const known = this.#directory.find(accessKeyId, sessionToken);
    if (!known) {
      if (sessionToken !== undefined) throw new S3Error('InvalidToken', 'The provided token is malformed or otherwise invalid.');
      throw new S3Error('InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.', {AWSAccessKeyId: accessKeyId});
    }
    if (known.expiresAt !== undefined && known.expiresAt <= nowMs) throw new S3Error('ExpiredToken', 'The provided token has expired.');
    return known;
  }
}

/** Of bytes, one a character: two digits each. */
const spacedHex = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('hex').replace(/..(?=.)/g, '$& ');

function checkFormSignature(expected: string, signature: string, policy: string, accessKeyId: string): void {
  if (sameSignature(expected, signature)) return;
  throw new S3Error('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.', {
    AWSAccessKeyId: accessKeyId,
    StringToSign: policy,
    SignatureProvided: signature,
    StringToSignBytes: spacedHex(policy),
  });
}

/** Its body may be hashed or chunked all the same, but nobody has signed it. */
function anonymous(exchange: HttpExchange): Identity {
  const announced = exchange.header('x-amz-content-sha256');
  // What is neither a word nor a hash is no hash of any body, either.
  const payload = announced === undefined ? 'unsigned' : (streams.get(announced) ?? 'hashed');
  if (payload === 'signed-chunks' || payload === 'signed-chunks-trailer') {
    throw new S3Error('InvalidRequest', "Anonymous requests don't support this x-amz-content-sha256 value. Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.");
  }
  if (payload !== 'hashed') return {payload};
  checkEmptyBody(exchange, announced!);
  return {payload, payloadHash: announced!.toLowerCase()};
}

/** XAmzContentSHA256Mismatch. A body is hashed as it is read; where there is none nobody may read it. */
function checkEmptyBody(exchange: HttpExchange, announced: string): void {
  if (exchange.method !== 'PUT' && exchange.method !== 'POST') return;
  if (Number(exchange.header('content-length') ?? 0) > 0 || exchange.header('transfer-encoding') !== undefined || announced.toLowerCase() === emptyHash) return;
  throw new S3Error('XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.", {
    ClientComputedContentSHA256: announced.toLowerCase(),
    S3ComputedContentSHA256: emptyHash,
  });
}

/** `x-amz-date`, or what the Date header says in that form. */
function timestampOf(exchange: HttpExchange): string | undefined {
  const stamp = exchange.header('x-amz-date');
  if (stamp !== undefined) return stamp;
  const ms = Date.parse(exchange.header('date') ?? '');
  return Number.isNaN(ms) ? undefined : `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

function payloadKind(announced: string): PayloadKind {
  const stream = streams.get(announced);
  if (stream) return stream;
  if (announced.length === 64 && /^[0-9a-fA-F]{64}$/.test(announced)) return 'hashed';
  if (announced.startsWith('STREAMING-AWS4-ECDSA')) throw new S3Error('NotImplemented', 'Signature Version 4A is not implemented.');
  throw new S3Error('InvalidArgument', `x-amz-content-sha256 must be ${payloadWords} or a valid sha256 value.`, {ArgumentName: 'x-amz-content-sha256', ArgumentValue: announced.slice(0, 100)});
}

/** Each chunk's signature covers the one before; the first covers the request's (the seed). */
function chunkSigner(claim: Claim, sign: (text: string) => string): ChunkSigner {
  const {date, region, service} = claim.scope;
  const scope = `${date}/${region}/${service}/aws4_request`;
  let previous = claim.signature;
  const next = (text: string): string => (previous = sign(text));
  return {
    chunk: (sha256) => next(`AWS4-HMAC-SHA256-PAYLOAD\n${claim.timestamp}\n${scope}\n${previous}\n${emptyHash}\n${sha256}`),
    trailer: (sha256) => next(`AWS4-HMAC-SHA256-TRAILER\n${claim.timestamp}\n${scope}\n${previous}\n${sha256}`),
  };
}
