/** One signed request to a bucket and its answer. No retries: the layers around the connector do that. */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import type {HttpClientResponse} from '#runtime/http.ts';
import type {ConnectorEnvironment, UploadNotes} from '#understore/under-store.ts';
import type {S3Config} from '#connectors/s3/config.ts';
import {credentialSource, type CredentialSource} from '#connectors/s3/credentials.ts';
import {errorCode, errorOf} from '#connectors/s3/errors.ts';
import {Signer, canonicalQuery, unsignedPayload, uriEncode} from '#connectors/s3/sign.ts';
import {chunkedLength, signedChunks, streamingPayload} from '#connectors/s3/signed-chunks.ts';
import {parseXml, type XmlElement} from '#connectors/s3/xml.ts';

/** A listing of 1000 keys of 1024 escaped bytes has 4 MiB. */
const documentBytesMax = 16 * MiB;
const errorBytesMax = 64 * KiB;
/** HttpClientRequest.body. */
const ownedBytesMax = 16 * KiB;

export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Relative to the mount; absent for requests to the bucket. */
  readonly key?: ByteString;
  /** Values are bytes, like keys. */
  readonly query?: readonly (readonly [name: string, value: ByteString])[];
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Needed with a body that is a stream. */
  readonly bodyLength?: number;
  readonly signal: AbortSignal;
}

export class S3Client {
  readonly config: S3Config;
  readonly uploads: UploadNotes | undefined;
  readonly #environment: ConnectorEnvironment;
  readonly #credentials: CredentialSource;
  readonly #host: string;
  readonly #bucketPath: string;
  #signer: Signer | undefined;

  constructor(config: S3Config, environment: ConnectorEnvironment) {
    this.config = config;
    this.uploads = environment.uploads;
    this.#environment = environment;
    this.#credentials = credentialSource(config, environment.variables, environment.clock);
    this.#host = config.virtualHost ? `${config.bucket}.${config.endpoint.host}` : config.endpoint.host;
    this.#bucketPath = config.virtualHost ? '/' : `/${config.bucket}/`;
  }

  /** The key in the bucket. */
  fullKey(key: ByteString): ByteString {
    return (this.config.prefix + key) as ByteString;
  }

  /** The path of a key as it is sent, `/bucket/key` or `/key`. */
  pathOf(key: ByteString | undefined): string {
    if (key === undefined) return this.config.virtualHost ? '/' : `/${this.config.bucket}`;
    return this.#bucketPath + uriEncode(this.fullKey(key), true);
  }

  /** An answer with a status of 2xx; its body must be read or destroyed. Any other status is a WeirError. */
  async send(request: S3Request): Promise<HttpClientResponse> {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#sendOnce(request);
      if (response.status >= 200 && response.status < 300) return response;
      const body = request.method === 'HEAD' ? (response.body.destroy(), '') : (await readAll(response, errorBytesMax)).toString();
      // Temporary credentials may expire early; a request without a stream can be signed again.
      if (attempt === 1 && errorCode(body) === 'ExpiredToken' && (request.body === undefined || request.body instanceof Uint8Array) && this.#credentials.refused()) continue;
      throw errorOf({status: response.status, body, header: name => response.header(name), what: this.describe(request), bucket: this.config.bucket});
    }
  }

  /** Like send, for answers whose body says nothing. */
  async sendForHeaders(request: S3Request): Promise<HttpClientResponse> {
    const response = await this.send(request);
    if (request.method === 'HEAD') response.body.destroy();
    else await readAll(response, errorBytesMax);
    return response;
  }

  /** The document of an answer; an error document in an answer of 200 (long copies, completions) fails as if its status had said so. */
  async sendForXml(request: S3Request, root: string): Promise<{document: XmlElement; response: HttpClientResponse}> {
    const response = await this.send(request);
    const text = (await readAll(response, documentBytesMax)).toString();
    const document = parseXml(text);
    if (document.name === 'Error') throw errorOf({status: 500, body: text, header: name => response.header(name), what: this.describe(request), bucket: this.config.bucket});
    if (document.name !== root) throw new WeirError('Unavailable', `${this.describe(request)}: the store answered with <${document.name.slice(0, 50)}> instead of <${root}>`);
    return {document, response};
  }

  describe({method, key}: Pick<S3Request, 'method' | 'key'>): string {
    return `${method} of ${this.config.bucket}/${key === undefined ? '' : toText(this.fullKey(key))}`;
  }

  async #sendOnce(request: S3Request): Promise<HttpClientResponse> {
    request.signal.throwIfAborted();
    const path = this.pathOf(request.key);
    const query = request.query ?? [];
    const headers: Record<string, string> = {...request.headers, host: this.#host};
    if (this.config.requestPayer) headers['x-amz-request-payer'] = 'requester';
    const length = request.body instanceof Uint8Array ? request.body.length : request.bodyLength;
    const credentials = await this.#credentials.get();
    this.#signer ??= new Signer(this.config.region ?? (await this.#credentials.region()) ?? 'us-east-1');
    const signer = this.#signer;
    const stream = credentials && length !== undefined && !(request.body instanceof Uint8Array) ? request.body : undefined;
    if (stream) headers['x-amz-decoded-content-length'] = String(length);
    const payload = stream ? streamingPayload : unsignedPayload;
    const sent = credentials ? signer.sign({method: request.method, path, query, headers}, payload, credentials, this.#environment.clock.nowMs()) : headers;
    let {body} = request;
    // Some stores want a length with every PUT and POST, also with none to send.
    let contentLength = length ?? (request.method === 'PUT' || request.method === 'POST' ? 0 : undefined);
    if (credentials && stream) {
      const {seed, sign} = signer.chunkSigner(sent, credentials);
      body = signedChunks(stream, length!, seed, sign);
      contentLength = chunkedLength(length!);
    } else if (body && !(body instanceof Uint8Array)) body = ownedPieces(body);
    const flat: string[] = [];
    for (const name in sent) flat.push(name, sent[name]!);
    if (contentLength !== undefined) flat.push('content-length', String(contentLength));
    const search = query.length === 0 ? '' : `?${canonicalQuery(query)}`;
    return await this.#environment.http.request({
      method: request.method,
      url: `${this.config.endpoint.protocol}//${this.#host}${path}${search}`,
      headers: flat,
      signal: request.signal,
      ...(body === undefined ? {} : {body}),
    });
  }
}

/** Whoever makes them may use their memory again when the next is asked for; what is small may wait longer to be sent. */
async function* ownedPieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of body) yield piece.length < ownedBytesMax ? Uint8Array.prototype.slice.call(piece) : piece;
}

/** The whole body. Unavailable when it is larger than any answer of this kind. */
async function readAll(response: HttpClientResponse, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > bytesMax) throw new WeirError('Unavailable', `the store's answer is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Decodes what `encoding-type=url` has encoded: percent signs, and `+` for a space. */
export function decodeKey(text: string): ByteString {
  return fromText(text.replace(/\+/g, ' ')).replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) as ByteString;
}
