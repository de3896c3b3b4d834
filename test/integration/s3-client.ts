/**
 * The smallest S3 client that can also be wrong on purpose: SigV4 over the target exactly as it is given, nothing normalised, every
 * header in the caller's hands. Written apart from the product's signer, so that the two check each other.
 */
import {createHash, createHmac} from 'node:crypto';
import http from 'node:http';

export interface S3Access {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3RequestOptions {
  /** Without `?`; sorted and encoded as sent. */
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Instead of the body's hash. */
  readonly payloadHash?: string;
  /** Instead of now. */
  readonly time?: Date;
  readonly region?: string;
  readonly service?: string;
  readonly signal?: AbortSignal;
}

export interface S3Response {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** What broke the answer off before its promised end. */
  readonly broken?: Error;
  /** The code of an error document; '' when there is none. */
  readonly code: string;
}

const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: Uint8Array | string, text: string): Buffer => createHmac('sha256', key).update(text, 'latin1').digest();

/** A key as it stands in a target; a key given as Buffer may hold any bytes. */
export function encodeKey(key: string | Buffer): string {
  let encoded = '';
  for (const byte of Buffer.from(key as string)) {
    const char = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9._~/-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

export class S3Client {
  readonly access: S3Access;
  readonly #agent = new http.Agent({keepAlive: true, maxSockets: 64});

  constructor(access: S3Access) {
    this.access = access;
  }

  /** Headers of a signed request. `target` is the raw path. */
  sign(method: string, target: string, options: S3RequestOptions = {}): Record<string, string> {
    const {accessKeyId, secretAccessKey, endpoint} = this.access;
    const stamp = `${(options.time ?? new Date()).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
    const scope = `${stamp.slice(0, 8)}/${options.region ?? 'us-east-1'}/${options.service ?? 's3'}/aws4_request`;
    const payloadHash = options.payloadHash ?? sha256(options.body ?? '');
    const headers: Record<string, string> = {host: new URL(endpoint).host, 'x-amz-content-sha256': payloadHash, 'x-amz-date': stamp};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = value;
    const names = Object.keys(headers).filter(name => name !== 'content-length' && name !== 'transfer-encoding').sort();
    const query = (options.query ?? '').split('&').filter(part => part !== '').map(part => (part.includes('=') ? part : `${part}=`)).sort().join('&');
    const canonical = [method, target, query, ...names.map(name => `${name}:${headers[name]!.trim()}`), '', names.join(';'), payloadHash].join('\n');
    const toSign = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical, 'latin1').digest('hex')].join('\n');
    const key = scope.split('/').reduce<Buffer | string>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`);
    const signature = hmac(key, toSign).toString('hex');
    return {...headers, authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`};
  }

  /** Signs and sends; an answer that breaks off is an answer with `broken`. */
  async request(method: string, target: string, options: S3RequestOptions = {}): Promise<S3Response> {
    return await this.send(method, target + (options.query ? `?${options.query}` : ''), this.sign(method, target, options), options.body, options.signal);
  }

  /** Sends headers as they are. */
  async send(method: string, target: string, headers: Record<string, string>, body?: Uint8Array | string, signal?: AbortSignal): Promise<S3Response> {
    try {
      return await this.#send(method, target, headers, body, signal);
    } catch (error) {
      // A kept connection that the server closed just as it was used again: no answer to this request.
      if (!(error as {reused?: boolean}).reused) throw error;
      return await this.#send(method, target, headers, body, signal);
    }
  }

  async #send(method: string, target: string, headers: Record<string, string>, body?: Uint8Array | string, signal?: AbortSignal): Promise<S3Response> {
    const {hostname, port} = new URL(this.access.endpoint);
    return await new Promise<S3Response>((resolve, reject) => {
      const length = body === undefined ? {} : {'content-length': String(Buffer.byteLength(body))};
      const request = http.request({hostname, port, method, path: target, agent: this.#agent, headers: {...length, ...headers}, ...(signal ? {signal} : {})});
      request.once('error', (error: NodeJS.ErrnoException) => reject(Object.assign(error, {reused: request.reusedSocket && error.code === 'ECONNRESET'})));
      request.once('response', response => {
        const chunks: Buffer[] = [];
        const done = (broken?: Error): void => {
          const bytes = Buffer.concat(chunks);
          const code = /<Code>([^<]*)<\/Code>/.exec(response.statusCode! >= 400 || bytes.length < 2000 ? bytes.toString() : '')?.[1] ?? '';
          resolve({status: response.statusCode!, headers: response.headers, body: bytes, code, ...(broken ? {broken} : {})});
        };
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => done());
        response.once('error', done);
      });
      request.end(body);
    });
  }

  /** Throws unless the status is 2xx and the answer is whole. */
  async must(method: string, target: string, options: S3RequestOptions = {}): Promise<S3Response> {
    const response = await this.request(method, target, options);
    if (response.status >= 300 || response.broken) throw new Error(`${method} ${target}: ${response.status} ${response.code} ${response.broken?.message ?? ''}`);
    return response;
  }

  async put(bucket: string, key: string, body: Uint8Array | string): Promise<string> {
    return (await this.must('PUT', `/${bucket}/${encodeKey(key)}`, {body})).headers.etag!;
  }

  /** Undefined when there is none. */
  async get(bucket: string, key: string): Promise<Buffer | undefined> {
    const response = await this.request('GET', `/${bucket}/${encodeKey(key)}`);
    if (response.status === 404) return undefined;
    if (response.status !== 200 || response.broken) throw new Error(`GET ${key}: ${response.status} ${response.code} ${response.broken?.message ?? ''}`);
    return response.body;
  }

  async remove(bucket: string, key: string): Promise<void> {
    await this.must('DELETE', `/${bucket}/${encodeKey(key)}`);
  }

  /** All keys below a prefix, in the order of the answer. */
  async keys(bucket: string, prefix = ''): Promise<string[]> {
    const keys: string[] = [];
    let token = '';
    do {
      const query = [...(token ? [`continuation-token=${encodeURIComponent(token)}`] : []), 'encoding-type=url', 'list-type=2', `prefix=${encodeURIComponent(prefix)}`].join('&');
      const document = (await this.must('GET', `/${bucket}`, {query})).body.toString();
      const encoded = document.includes('<EncodingType>url');
      for (const [, key] of document.matchAll(/<Key>([^<]*)<\/Key>/g)) {
        keys.push(encoded ? decodeURIComponent(unescapeXml(key!).replaceAll('+', ' ')) : unescapeXml(key!));
      }
      token = unescapeXml(/<NextContinuationToken>([^<]*)</.exec(document)?.[1] ?? '');
    } while (token !== '');
    return keys;
  }

  close(): void {
    this.#agent.destroy();
  }
}

function unescapeXml(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code))).replaceAll('&amp;', '&');
}
