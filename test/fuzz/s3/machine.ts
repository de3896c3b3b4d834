/**
 * The S3 front end in this process, over a real client, worker and master on stores in memory: bytes of a connection in, bytes of an answer
 * out, through the real parser and the real exchange; no socket, no disk, and a clock that stands still.
 */
import type {Socket} from 'node:net';
import type {ByteString} from '#base/byte-string.ts';
import {systemContext} from '#contracts/context.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import type {FileSystem} from '#client/file-system.ts';
import {HeadTemplates} from '#codec/http/head-template.ts';
import {RequestParser} from '#codec/http/request-parser.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {s3Handler} from '#frontends/s3/server.ts';
import {Identity} from '#master/identity/identity.ts';
import {Master} from '#master/master.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Metastore} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {Log, LogFields} from '#runtime/log.ts';
import {type ExchangeConnection, ServerExchange} from '#runtime/node/http/http-exchange.ts';
import type {ServerConnections} from '#runtime/node/http/server-connections.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {Life} from '#runtime/sim/life.ts';
import {Scheduler} from '#runtime/sim/scheduler.ts';
import {SimDisk} from '#runtime/sim/sim-disk.ts';
import {SimRandom} from '#runtime/sim/sim-random.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {MemoryBlocks} from '#worker/fixture.test.ts';
import {Worker} from '#worker/worker.ts';
import type {FuzzRequest} from './request.ts';
import {encode, type Key} from './sign.ts';

export const nowMs = Date.UTC(2026, 10, 21, 17, 18, 10);
export const host = 's3.test';
/** One may be opened by everybody, keeps versions, locks; one is as it was made. */
export const buckets = ['plain', 'versioned', 'locked', 'public'] as const;

/** A machine's life whose disk takes no time. */
class StillLife extends Life {
  override pause(): Promise<void> {
    return Promise.resolve();
  }
}

function runtimeOf(problems: string[]): Runtime {
  const node = createNodeRuntime();
  const random = new SimRandom(1);
  const say = (message: string, fields?: LogFields): void => void problems.push(`${message}: ${fields?.['error'] instanceof Error ? (fields['error'].stack ?? '') : ''}`);
  const quiet = (): void => {};
  const log: Log = {debug: quiet, info: quiet, warn: quiet, error: say, child: () => log};
  // Time passes by being asked for: a tenth of a millisecond a question, because a listing waits until the moment of a change is over.
  let micros = nowMs * 1000;
  const clock: Runtime['clock'] = {
    nowMs: () => Math.floor((micros += 100) / 1000), nowNs: () => BigInt((micros += 100)) * 1000n, steadyMs: () => Math.floor((micros += 100) / 1000),
    monotonicMs: () => node.clock.monotonicMs(), sleep: (ms, options) => node.clock.sleep(ms, {...options, unref: true}),
    after: (ms, fn) => node.clock.after(ms, fn), yield: () => node.clock.yield(),
  };
  const disk = new SimDisk().mount(new StillLife('fuzz', new Scheduler(), new SimRandom(3), quiet));
  return {...node, clock, random, log, disk};
}

export interface MachineOptions {
  /** Plants a fault below the front end. */
  readonly wrap?: (files: FileSystem) => FileSystem;
  /** Plants one in the heads of answers. */
  readonly head?: (text: string) => string;
}

export class S3Machine implements AsyncDisposable {
  readonly keys: Key[] = [{accessKeyId: 'ROOTKEYROOTKEYROOTKE', secretAccessKey: 'rootSecretRootSecretRootSecretRootSecret'}];
  /** What was logged as somebody's bug. */
  readonly problems: string[];
  readonly #metastore: Metastore;
  readonly #files: FileSystem;
  readonly #head: (text: string) => string;
  readonly #handler: ReturnType<typeof s3Handler>;
  readonly #stop: () => Promise<void>;
  /** Of an upload that is under way, and of a version that is kept. */
  readonly live = {uploadId: '', versionId: '', etag: ''};

  static async start({wrap = (files) => files, head = (text) => text}: MachineOptions = {}): Promise<S3Machine> {
    const problems: string[] = [];
    const runtime = runtimeOf(problems);
    await runtime.disk.makeDirectory('/log', {recursive: true});
    const metastore = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, new MemoryMedium()), recalled: isDirectoryRow});
    const store = new MemoryUnderStore({clock: runtime.clock});
    const stores = {schemes: ['mem'], describe: async (uri: string) => ({place: uri, defaultName: 'mem', secrets: []}), open: async (): Promise<UnderStore> => store};
    const master = await Master.open({metastore, runtime, stores, root: {uri: 'mem://home/', options: {}, freshness: {kind: 'immutable'}}});
    const worker = new Worker({runtime, blocks: new MemoryBlocks(), stores: master.stores, drafts: '/drafts'});
    const files = wrap(new FileSystemClient({master, worker, here: {master, worker}}));
    const machine = new S3Machine(problems, metastore, runtime, files, head, async () => {
      await master.close();
      await metastore.close();
    });
    await machine.#furnish(runtime);
    return machine;
  }

  private constructor(problems: string[], metastore: Metastore, runtime: Runtime, files: FileSystem, head: (text: string) => string, stop: () => Promise<void>) {
    this.#files = files;
    this.#head = head;
    this.problems = problems;
    this.#metastore = metastore;
    this.#stop = stop;
    this.#identity = Identity.open({metastore, runtime, rootKey: this.keys[0]!});
    const ready = this.#identity.then((identity) => s3Handler({files, runtime, baseDomains: [host], identity: identity.directory, audit: () => {}}));
    this.#handler = async (exchange) => await (await ready)(exchange);
  }

  readonly #identity: Promise<Identity>;

  async lookAt(bucket: ByteString, key: ByteString | undefined): Promise<void> {
    for (const path of [`/${bucket}/`, ...(key === undefined ? [] : [`/${bucket}/${key}`])]) await this.#files.stat(path as ByteString, {}, systemContext).catch(() => undefined);
  }

  get secrets(): readonly string[] {
    return this.keys.map(({secretAccessKey}) => secretAccessKey);
  }

  /** Of the metadata: whatever changes anything moves it. */
  get sequence(): number {
    return this.#metastore.sequence;
  }

  /** Whatever a client may find: users of every sort, and buckets with something in them. */
  async #furnish(runtime: Runtime): Promise<void> {
    const identity = await this.#identity;
    await identity.addUser('alice', {}, systemContext);
    await identity.putPolicy('reader', JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: ['s3:Get*', 's3:List*'], Resource: '*'}]}), systemContext);
    await identity.addUser('bob', {policies: ['reader']}, systemContext);
    const imported = async (user: string, letter: string, expiresAt?: number): Promise<void> => {
      const key: Key = {accessKeyId: letter.repeat(20), secretAccessKey: `${user}Secret`.padEnd(40, letter)};
      await identity.addKey(user, {...key, ...(expiresAt === undefined ? {} : {expiresAt})}, systemContext);
      this.keys.push(key);
    };
    await imported('alice', 'A');
    await imported('bob', 'B');
    await imported('bob', 'E', nowMs - 1000);
    const {caller} = identity.directory.find(this.keys[0]!.accessKeyId)!;
    const temporary = identity.directory.issue(caller, {expiresAt: runtime.clock.nowMs() + 3_600_000, sessionName: 'fuzz'});
    this.keys.push(temporary);
    for (const bucket of buckets) await this.call('PUT', `/${bucket}`, bucket === 'locked' ? ['x-amz-bucket-object-lock-enabled', 'true'] : []);
    await this.call('PUT', '/versioned?versioning', [], '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>');
    await this.call('PUT', '/public?policy', [], JSON.stringify({Statement: {Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: ['arn:aws:s3:::public', 'arn:aws:s3:::public/*']}}));
    for (const bucket of buckets) {
      for (const key of ['k', 'dir/a', 'dir/b', 'dir/', '%C3%A9%20%2B']) {
        const put = await this.call('PUT', `/${bucket}/${key}`, ['x-amz-meta-a', 'b', 'x-amz-tagging', 'a=b'], key.endsWith('/') ? '' : `content of ${key}`);
        if (bucket === 'versioned') Object.assign(this.live, {versionId: /x-amz-version-id: (\S+)/i.exec(put)?.[1] ?? '', etag: /ETag: "(\w+)"/i.exec(put)?.[1] ?? ''});
      }
    }
    // What reading finds in the store is noted: once, before anybody looks whether something has changed.
    for (const target of ['/', ...buckets.map((bucket) => `/${bucket}?list-type=2`)]) await this.call('GET', target);
    this.live.uploadId = /<UploadId>(.*?)</.exec(await this.call('POST', '/plain/up?uploads'))?.[1] ?? '';
    await this.call('PUT', `/plain/up?partNumber=1&uploadId=${this.live.uploadId}`, [], 'part');
  }

  /** As the owner of everything; the whole answer as text. Throws when it is an error. */
  async call(method: string, target: string, headers: readonly string[] = [], body = ''): Promise<string> {
    const [path = '', query] = target.split('?');
    const request: FuzzRequest = {
      method, path, query: query === undefined ? [] : query.split('&').map((pair) => pair.split('=') as [string, string | undefined]), framing: 'right', body: Buffer.from(body),
      headers: [['Host', host], ...Array.from({length: headers.length / 2}, (_, i): [string, string] => [headers[2 * i]!, headers[2 * i + 1]!])],
    };
    const answer = (await this.send(encode(request, {how: 'header', key: this.keys[0]!, nowMs})))?.toString('latin1') ?? '';
    if (!/^HTTP\/1.1 2/.test(answer)) throw new Error(`${method} ${target}: ${answer}`);
    return answer;
  }

  /** Undefined: this is no whole request head, and HTTP itself has refused it. What the handler throws is thrown. */
  async send(wire: Buffer): Promise<Buffer | undefined> {
    const parser = new RequestParser(64 * 1024);
    const written: Buffer[] = [];
    let head;
    try {
      parser.push(wire);
      head = parser.readHead();
    } catch {
      return undefined;
    }
    if (!head) return undefined;
    const socket = {
      destroyed: false, writableLength: 0, writableNeedDrain: false, cork: () => {}, uncork: () => {},
      write(chunk: string | Uint8Array, ...rest: unknown[]): boolean {
        written.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : Buffer.from(chunk));
        const done = rest.at(-1);
        if (typeof done === 'function') queueMicrotask(done as () => void);
        return true;
      },
      destroy(): void { socket.destroyed = true; },
      resetAndDestroy(): void { socket.destroyed = true; },
    };
    const connection: ExchangeConnection = {
      socket: socket as unknown as Socket, parser, remote: {host: '127.0.0.1', port: 1}, inputEnded: false, stalled: false,
      serves: () => true, handOn: () => false, input: () => Promise.resolve(false), answered: () => {},
      server: {secure: false, closing: false, keepAliveLines: '', heads: new HeadTemplates(), date: () => 'Date: Sat, 21 Nov 2026 17:18:10 GMT\r\n'} as unknown as ServerConnections,
    };
    const exchange = new ServerExchange(connection, head);
    await this.#handler(exchange);
    exchange.finish();
    const answer = Buffer.concat(written).toString('latin1');
    const end = answer.indexOf('\r\n\r\n');
    return Buffer.from(this.#head(answer.slice(0, end)) + answer.slice(end), 'latin1');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
  }
}
