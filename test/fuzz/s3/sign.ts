/** Signs a request that was changed, so that it gets past the signature, or so that it must not. */
import {createHash} from 'node:crypto';
import {crc32} from 'node:zlib';
import {canonicalRequest, hmacSha256, type Scope, SigningKeys} from '#codec/s3/sigv4.ts';
import {parseQuery, parseTarget} from '#codec/s3/target.ts';
import {dataOf, type FuzzRequest, type Frames, headerOf, isFrames, queryText, setHeader, wireOf} from './request.ts';

export interface Key {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface SignPlan {
  readonly how: 'header' | 'query' | 'form' | 'none' | 'as it was';
  readonly key: Key;
  readonly nowMs: number;
  /** One digit of the signature is changed: it must be refused. */
  readonly broken?: boolean;
  /** Instead of the right ones. */
  readonly scope?: Partial<Scope>;
  /** The announced digests stay, whatever the body is now. */
  readonly keepHash?: boolean;
  readonly expires?: string;
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const emptyHash = sha256('');
const keys = new SigningKeys();
const stampOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
const signingNames = /^(authorization|x-amz-date|x-amz-security-token)$/i;
const signingParameters = /^(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token)|AWSAccessKeyId|Signature|Expires)$/;
/** Another digit in the middle of a signature. */
const spoil = (signature: string): string => `${signature.slice(0, 20)}${signature[20] === '0' ? '1' : '0'}${signature.slice(21)}`;

/** The bytes to send. What cannot be signed, because nobody can read it, is sent with a signature of something else. */
export function encode(request: FuzzRequest, plan: SignPlan): Buffer {
  const {body} = request;
  if (isFrames(body)) setHeader(request, 'x-amz-decoded-content-length', request.decodedLength ?? String(dataOf(body).length));
  if (!plan.keepHash) mendDigests(request);
  if (plan.how === 'as it was') return wireOf(request, isFrames(body) ? writeFrames(body, () => 'a'.repeat(64), () => 'b'.repeat(64), false) : body);
  request.headers = request.headers.filter(([name]) => !signingNames.test(name));
  request.query = request.query.filter(([name]) => !signingParameters.test(name));
  const unsigned = (): Buffer => wireOf(request, isFrames(body) ? writeFrames(body, undefined, undefined, false) : body);
  if (plan.how === 'none') return unsigned();
  const timestamp = stampOf(plan.nowMs);
  const scope: Scope = {date: timestamp.slice(0, 8), region: 'us-east-1', service: 's3', ...plan.scope};
  const signingKey = keys.get(plan.key.secretAccessKey, scope);
  const credential = `${plan.key.accessKeyId}/${scope.date}/${scope.region}/${scope.service}/aws4_request`;
  if (plan.how === 'form') return wireOf(request, isFrames(body) ? dataOf(body) : signForm(body, credential, timestamp, (policy) => hmacSha256(signingKey, policy), plan.broken === true));
  const sign = (signedHeaders: string[], payloadHash: string): string => {
    const rawHeaders = request.headers.flat();
    const mark = queryText(request.query);
    let canonical: string;
    try {
      const {rawPath} = parseTarget(request.path, undefined);
      canonical = canonicalRequest({method: request.method, rawPath, query: parseQuery(mark), rawHeaders, payloadHash}, signedHeaders);
    } catch {
      canonical = 'what nobody can read';
    }
    const signature = hmacSha256(signingKey, `AWS4-HMAC-SHA256\n${timestamp}\n${scope.date}/${scope.region}/${scope.service}/aws4_request\n${sha256(Buffer.from(canonical, 'latin1'))}`);
    return plan.broken ? spoil(signature) : signature;
  };
  if (plan.how === 'query') {
    const add = (name: string, value: string): void => void request.query.push([name, encodeURIComponent(value)]);
    add('X-Amz-Algorithm', 'AWS4-HMAC-SHA256');
    add('X-Amz-Credential', credential);
    add('X-Amz-Date', timestamp);
    add('X-Amz-Expires', plan.expires ?? '900');
    if (plan.key.sessionToken !== undefined) add('X-Amz-Security-Token', plan.key.sessionToken);
    const names = signedNames(request);
    add('X-Amz-SignedHeaders', names.join(';'));
    add('X-Amz-Signature', sign(names, headerOf(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD'));
    return unsigned();
  }
  setHeader(request, 'x-amz-date', timestamp);
  if (plan.key.sessionToken !== undefined) setHeader(request, 'x-amz-security-token', plan.key.sessionToken);
  const announced = headerOf(request, 'x-amz-content-sha256');
  if (announced === undefined || (/^[0-9a-f]{64}$/.test(announced) && !plan.keepHash)) setHeader(request, 'x-amz-content-sha256', isFrames(body) ? 'UNSIGNED-PAYLOAD' : sha256(body));
  const payloadHash = headerOf(request, 'x-amz-content-sha256')!;
  const names = signedNames(request);
  let previous = sign(names, payloadHash);
  request.headers.push(['Authorization', `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${previous}`]);
  if (!isFrames(body)) return wireOf(request, body);
  const chain = (kind: string, text: string): string => (previous = hmacSha256(signingKey, `AWS4-HMAC-SHA256-${kind}\n${timestamp}\n${scope.date}/${scope.region}/${scope.service}/aws4_request\n${previous}\n${text}`));
  const signsChunks = payloadHash.startsWith('STREAMING-AWS4-HMAC');
  return wireOf(request, writeFrames(body, signsChunks ? (data) => chain('PAYLOAD', `${emptyHash}\n${sha256(data)}`) : undefined, signsChunks ? (lines) => chain('TRAILER', sha256(lines)) : undefined,
    payloadHash.endsWith('-TRAILER')));
}

/** Digests that have the right form say what the body is now: otherwise none that was changed would get any further. */
function mendDigests(request: FuzzRequest): void {
  const data = dataOf(request.body);
  const crc = (): string => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(crc32(data));
    return bytes.toString('base64');
  };
  const digest = (name: string) => (): string => createHash(name).update(data).digest('base64');
  const lists = isFrames(request.body) ? [request.headers, request.body.trailers] : [request.headers];
  for (const [name, of] of [['content-md5', digest('md5')], ['x-amz-checksum-crc32', crc], ['x-amz-checksum-sha1', digest('sha1')], ['x-amz-checksum-sha256', digest('sha256')]] as const) {
    for (const list of lists) {
      const pair = list.find(([candidate]) => candidate.toLowerCase() === name);
      if (!pair) continue;
      const right = of();
      if (pair[1].length === right.length) pair[1] = right;
    }
  }
}

/** All that must be signed, and what was. */
function signedNames(request: FuzzRequest): string[] {
  const names = new Set(request.headers.map(([name]) => name.toLowerCase()).filter((name) => name === 'host' || name.startsWith('x-amz-') || name === 'content-md5'));
  return [...names.add('host')].sort();
}

function writeFrames({frames, trailers, cut}: Frames, signChunk: ((data: Buffer) => string) | undefined, signTrailer: ((lines: string) => string) | undefined, trailing: boolean): Buffer {
  const extension = (data: Buffer): string => (signChunk ? `;chunk-signature=${signChunk(data)}` : '');
  const pieces = frames.flatMap(({data, size, extension: own, end}) => {
    const signature = extension(data);
    return [Buffer.from(`${size ?? data.length.toString(16)}${own ?? signature}\r\n`, 'latin1'), data, Buffer.from(end ?? '\r\n', 'latin1')];
  });
  if (cut) return Buffer.concat(pieces);
  const own = trailers.filter(([name]) => name.toLowerCase() !== 'x-amz-trailer-signature');
  const last = `0${extension(Buffer.alloc(0))}\r\n`;
  const signature = signTrailer && trailing ? `x-amz-trailer-signature:${signTrailer(own.map(([name, value]) => `${name}:${value}\n`).join(''))}\r\n` : '';
  return Buffer.concat([...pieces, Buffer.from(`${last}${own.map(([name, value]) => `${name}:${value}\r\n`).join('')}${signature}\r\n`, 'latin1')]);
}

/** The fields that sign a browser's form, where they are. */
function signForm(body: Buffer, credential: string, timestamp: string, sign: (policy: string) => string, broken: boolean): Buffer {
  const field = (text: string, name: string, value: string): string => text.replace(new RegExp(`(name="${name}"\r\n\r\n)[^\r]*`, 'i'), (_, head: string) => head + value);
  const text = field(field(body.toString('latin1'), 'x-amz-credential', credential), 'x-amz-date', timestamp);
  const policy = /name="policy"\r\n\r\n([^\r]*)/i.exec(text)?.[1] ?? '';
  const signature = sign(policy);
  return Buffer.from(field(text, 'x-amz-signature', broken ? spoil(signature) : signature), 'latin1');
}
