/** The S3 front end over a real client, worker and master on a store in memory, and the official SDK speaking to it without a network. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {Readable} from 'node:stream';
import {S3Client, S3ServiceException} from '@aws-sdk/client-s3';
import {SignatureV4} from '@smithy/signature-v4';
import {FileSystemClient} from '#client/file-system-client.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {s3Handler} from '#frontends/s3/server.ts';
import {websiteHandler} from '#frontends/s3/website/server.ts';
import {Identity} from '#master/identity/identity.ts';
import {Master} from '#master/master.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {HttpExchange} from '#runtime/http.ts';
import type {Log, LogFields} from '#runtime/log.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {bytesOf, MemoryBlocks} from '#worker/fixture.test.ts';
import {Worker} from '#worker/worker.ts';

const host = 's3.test';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What the client sees: nothing for HEAD, 204 and 304. */
  readonly body: Buffer;
  /** What the operation handed over, all the same. */
  readonly handedBytes: number;
}

export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly headers?: readonly string[];
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array;
  /** To the listener of websites. */
  readonly site?: true;
}

type Handler = (exchange: HttpExchange) => Promise<void>;

interface LogLine {
  readonly message: string;
  readonly fields: LogFields | undefined;
}

function collecting(lines: LogLine[]): Log {
  const add = (message: string, fields?: LogFields): void => void lines.push({message, fields});
  const log: Log = {debug: add, info: add, warn: add, error: add, child: () => log};
  return log;
}

export class Gateway implements AsyncDisposable {
  readonly store: MemoryUnderStore;
  /** What other front ends use. */
  readonly files: FileSystemClient;
  /** What the front end has logged. */
  readonly lines: LogLine[];
  readonly identity: Identity;
  readonly audit: Readonly<Record<string, unknown>>[];
  readonly sdk: S3Client;
  /** How requests come. */
  link = {from: '127.0.0.1', secure: false};
  readonly #handlers: {readonly s3: Handler; readonly site: Handler};
  readonly #stop: () => Promise<void>;

  static async start(): Promise<Gateway> {
    const runtime = createNodeRuntime();
    const directory = await mkdtemp(path.join(tmpdir(), 'weir-s3-'));
    const metastore = await openMetastore({runtime, directory, engine: memoryEngine(runtime, new MemoryMedium()), recalled: isDirectoryRow});
    const store = new MemoryUnderStore({clock: runtime.clock});
    const stores = {schemes: ['mem'], describe: async (uri: string) => ({place: uri, defaultName: 'mem', secrets: []}), open: async (): Promise<UnderStore> => store};
    const master = await Master.open({metastore, runtime, stores, root: {uri: 'mem://home/', options: {}, freshness: {kind: 'immutable'}}});
    const worker = new Worker({runtime, blocks: new MemoryBlocks(), stores: master.stores, drafts: '/drafts'});
    const files = new FileSystemClient({master, worker, here: {master, worker}, drafts: new OpenDrafts({master, worker, here: {master, worker}})});
    const identity = await Identity.open({metastore, runtime, rootKey: {accessKeyId: 'key', secretAccessKey: 'secret'}});
    const lines: LogLine[] = [];
    const audit: Readonly<Record<string, unknown>>[] = [];
    const s3 = s3Handler({files, runtime: {...runtime, log: collecting(lines)}, baseDomains: [host], identity: identity.directory, audit: (entry) => void audit.push(entry)});
    const site = websiteHandler({files, runtime: {...runtime, log: collecting(lines)}, identity: identity.directory});
    return new Gateway(store, files, lines, identity, audit, {s3, site}, async () => {
      await master.close();
      await metastore.close();
      await rm(directory, {recursive: true});
    });
  }

  private constructor(
    store: MemoryUnderStore, files: FileSystemClient, lines: LogLine[], identity: Identity, audit: Readonly<Record<string, unknown>>[],
    handlers: {readonly s3: Handler; readonly site: Handler}, stop: () => Promise<void>,
  ) {
    this.store = store;
    this.files = files;
    this.lines = lines;
    this.identity = identity;
    this.audit = audit;
    this.#handlers = handlers;
    this.#stop = stop;
    this.sdk = this.client({accessKeyId: 'key', secretAccessKey: 'secret'});
  }

  client(credentials: {accessKeyId: string; secretAccessKey: string}, more: Partial<ConstructorParameters<typeof S3Client>[0]> = {}): S3Client {
    return new S3Client({
      endpoint: `http://${host}`, region: 'us-east-1', forcePathStyle: true, maxAttempts: 1, credentials,
      requestHandler: {
        handle: async (request: {method: string; path: string; query?: Record<string, unknown>; headers: Record<string, string>; body?: unknown}) => {
          const answer = await this.send({
            method: request.method, target: request.path + queryString(request.query ?? {}), headers: Object.entries(request.headers).flat(),
            ...(request.body === undefined ? {} : {body: typeof request.body === 'string' ? Buffer.from(request.body) : (request.body as Uint8Array)}),
          });
          return {response: {statusCode: answer.status, headers: {...answer.headers}, body: Readable.from(answer.body.length > 0 ? [answer.body] : [])}};
        },
      },
      ...more,
    });
  }

  async send({method, target, headers = [], body, site}: RawRequest): Promise<Answer> {
    const header = (name: string): string | undefined => {
      const values = headers.filter((_, i) => i % 2 === 1 && headers[i - 1]!.toLowerCase() === name);
      return values.length > 0 ? values.join(', ') : undefined;
    };
    let answer: Answer | undefined;
    const chunks = body instanceof Uint8Array ? [body] : (body ?? []);
    const exchange: HttpExchange = {
      method, target, header, remote: {host: this.link.from, port: 1}, secure: this.link.secure, expectsContinue: false, signal: new AbortController().signal, rawHeaders: headers,
      body: Object.assign({async *[Symbol.asyncIterator]() { for await (const chunk of chunks) yield Buffer.from(chunk); }}, {trailers: []}),
      respond: async (status, flat, content) => {
        assert.equal(answer, undefined, 'answered once');
        const empty = method === 'HEAD' || status === 204 || status === 304;
        const handed = !content || empty ? Buffer.alloc(0) : await bytesOf(content);
        const fields = Object.fromEntries(Array.from({length: flat.length / 2}, (_, i) => [flat[2 * i]!.toLowerCase(), flat[2 * i + 1]!]));
        answer = {status, headers: {'content-length': String(content?.length ?? 0), ...fields}, body: handed, handedBytes: content?.length ?? 0};
      },
      respondStream: () => assert.fail('S3 answers have a length'),
    };
    await this.#handlers[site ? 'site' : 's3'](exchange);
    assert.ok(answer, 'answered');
    return answer;
  }

  /** Signed by the SDK's signer, and then changed. */
  async signed(
    method: string, target: string, change: (headers: Record<string, string>) => Record<string, string> = (headers) => headers, body?: string, signingDate = new Date(), more: Record<string, string> = {},
  ): Promise<Answer> {
    const signer = new SignatureV4({credentials: {accessKeyId: 'key', secretAccessKey: 'secret'}, region: 'us-east-1', service: 's3', sha256: Sha256, uriEscapePath: false});
    const [path = '', search = ''] = target.split('?');
    const query = Object.fromEntries(new URLSearchParams(search));
    const covered = {host, 'x-amz-content-sha256': createHash('sha256').update(body ?? '').digest('hex'), ...more};
    const request = await signer.sign({method, protocol: 'http:', hostname: host, path, query, headers: covered}, {signingDate});
    const raw: RawRequest = {method, target, headers: Object.entries({...change({...request.headers}), ...(body === undefined ? {} : {'content-length': String(body.length)})}).flat()};
    return this.send(body === undefined ? raw : {...raw, body: Buffer.from(body)});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sdk.destroy();
    await this.#stop();
  }
}

class Sha256 {
  readonly #hash = createHash('sha256');
  readonly #secret: string | Uint8Array | undefined;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined || typeof secret === 'string' ? secret : new Uint8Array(ArrayBuffer.isView(secret) ? secret.buffer.slice(secret.byteOffset, secret.byteOffset + secret.byteLength) : secret);
    if (this.#secret !== undefined) this.#hash.update(this.#pad(0x36));
  }
  #pad(byte: number): Buffer {
    const key = Buffer.alloc(64);
    Buffer.from(this.#secret as string).copy(key);
    return Buffer.from(key.map((value) => value ^ byte));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === 'string' ? data : Buffer.from(data as Uint8Array));
  }
  digest(): Promise<Uint8Array> {
    const inner = this.#hash.digest();
    return Promise.resolve(this.#secret === undefined ? inner : createHash('sha256').update(this.#pad(0x5c)).update(inner).digest());
  }
  reset(): void {}
}

function queryString(query: Record<string, unknown>): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((item) => `${escape(name)}=${escape(String(item ?? ''))}`));
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}

const escape = (text: string): string => encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The code of the error that a call ends with. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof S3ServiceException) return error.name;
    throw error;
  }
  return 'none';
}

export const codeIn = (answer: Answer): string => /<Code>(\w+)<\/Code>/.exec(answer.body.toString())?.[1] ?? '';
