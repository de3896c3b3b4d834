/**
 * What the tests with real parts stand on: a real S3 server, a link in front of it (delayed, throttled, counted), and `weir up` as a
 * process of its own that can be killed and started again on the same home and the same ports.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chown, mkdtemp, readdir, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {type Link, startLink} from '#runtime/node/link/link.ts';
import {freePort} from '../servers/daemon.ts';
import {type S3Server, startVersitygw} from '../servers/s3-servers.ts';
import {command} from '../servers/tools.ts';
import {S3Client} from './s3-client.ts';

const root = path.resolve(import.meta.dirname, '../..');
const readyMsMax = 30_000;
const stopMsMax = 15_000;
const logBytesMax = 256 * 1024;

/** The line that `weir up --json` prints when everything answers. */
export interface Ready {
  readonly pid: number;
  readonly home: string;
  readonly s3: string;
  readonly http: string;
  readonly rpc: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface WeirOptions {
  /** What follows `weir up`: URIs, `-o k=v`, `--disk DIR:SIZE` … */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Whose processes they are; the home is his. */
  readonly user?: {readonly uid: number; readonly gid: number};
}

/** One home; the process on it comes and goes. */
export class Weir implements AsyncDisposable {
  readonly home: string;
  readonly #options: WeirOptions;
  readonly #ports: readonly number[];
  #child: ChildProcess | undefined;
  #ready: Ready | undefined;
  #log = '';

  private constructor(home: string, ports: readonly number[], options: WeirOptions) {
    this.home = home;
    this.#ports = ports;
    this.#options = options;
  }

  static async start(options: WeirOptions): Promise<Weir> {
    const home = await mkdtemp(path.join(tmpdir(), 'weir-home-'));
    if (options.user) await chown(home, options.user.uid, options.user.gid);
    const weir = new Weir(home, [await freePort(), await freePort(), await freePort()], options);
    try {
      await weir.up();
      return weir;
    } catch (error) {
      await weir[Symbol.asyncDispose]();
      throw error;
    }
  }

  get ready(): Ready {
    if (!this.#ready) throw new Error('weir is not running');
    return this.#ready;
  }

  get pid(): number {
    return this.ready.pid;
  }

  get running(): boolean {
    return this.#ready !== undefined;
  }

  /** The end of what the processes on this home have printed on stderr. */
  get log(): string {
    return this.#log;
  }

  get s3(): S3Client {
    const {s3, accessKeyId, secretAccessKey} = this.ready;
    return new S3Client({endpoint: s3, accessKeyId, secretAccessKey});
  }

  /** For stock clients. */
  get awsEnvironment(): Record<string, string> {
    const {s3, accessKeyId, secretAccessKey} = this.ready;
    return {AWS_ENDPOINT_URL: s3, AWS_ENDPOINT_URL_S3: s3, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: 'us-east-1', AWS_DEFAULT_REGION: 'us-east-1'};
  }

  /** Starts the process, perhaps with more arguments; resolves when it has said that it is ready. */
  async up(...more: readonly string[]): Promise<void> {
    const [s3, http, rpc] = this.#ports;
    const args = ['--conditions=source', path.join(root, 'src/process/main.ts'), 'up', ...this.#options.args, ...more];
    args.push('--json', '--home', this.home, '--s3-port', String(s3), '--http-port', String(http), '--rpc-port', String(rpc));
    // What ./weir execs, without its set-up: so that the child's id is Weir's.
    const child = spawn(process.execPath, args, {cwd: this.home, env: {...process.env, UV_THREADPOOL_SIZE: '16', ...this.#options.env}, stdio: ['ignore', 'pipe', 'pipe'], ...this.#options.user});
    this.#child = child;
    const onExit = (): void => void child.kill('SIGKILL');
    process.once('exit', onExit);
    child.once('exit', (code, signal) => {
      process.off('exit', onExit);
      this.#ready = undefined;
      this.#keep(`\n[exit ${code ?? signal}]\n`);
    });
    child.stderr.on('data', (chunk: Buffer) => this.#keep(chunk.toString()));
    let out = '';
    const ready = new Promise<Ready>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
        const end = out.indexOf('\n');
        if (end >= 0) resolve(JSON.parse(out.slice(0, end)) as Ready);
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => reject(new Error(`weir up ended with ${code ?? signal}: ${out}${this.#log.slice(-3000)}`)));
    });
    this.#ready = await Promise.race([ready, sleep(readyMsMax, undefined, {ref: false}).then(() => Promise.reject(new Error(`weir up is not ready after ${readyMsMax} ms: ${this.#log.slice(-3000)}`)))]);
  }

  #keep(text: string): void {
    this.#log = (this.#log + text).slice(-logBytesMax);
  }

  /** Ends the process and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#ready = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    await gone;
    clearTimeout(timer);
    child.stdout?.destroy();
    child.stderr?.destroy();
  }

  /** What `weir …` prints about this home. */
  async command(...args: readonly string[]): Promise<string> {
    return await command(process.execPath, ['--conditions=source', path.join(root, 'src/process/main.ts'), ...args, '--home', this.home]);
  }

  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.kill(signal);
    await this.up();
  }

  /** Anonymous memory of the process, bytes. */
  async anonymousBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** An answer of REST, parsed; throws on any status but 2xx. */
  async rest<T = unknown>(method: string, target: string, body?: unknown): Promise<T> {
    const response = await this.restResponse(method, target, body === undefined ? {} : {body: JSON.stringify(body), headers: {'content-type': 'application/json'}});
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${target}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text.trim().split('\n').at(-1)!)) as T;
  }

  async restResponse(method: string, target: string, init: RequestInit = {}): Promise<Response> {
    const {http, accessKeyId, secretAccessKey} = this.ready;
    const authorization = `Basic ${Buffer.from(`${accessKeyId}:${secretAccessKey}`).toString('base64')}`;
    return await fetch(`${http}/api/v1/${target}`, {...init, method, headers: {...(init.headers as Record<string, string> | undefined), authorization}});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill('SIGTERM');
    await rm(this.home, {recursive: true, force: true});
  }
}

/** The keeper of a mount, by its title; undefined when there is none. */
export async function keeperOf(place: string): Promise<number | undefined> {
  for (const id of await readdir('/proc')) {
    const title = /^\d+$/.test(id) ? await readFile(`/proc/${id}/cmdline`, 'latin1').catch(() => '') : '';
    if (title.replaceAll('\0', ' ').trim() === `weir-keeper ${place}`) return Number(id);
  }
  return undefined;
}

export interface Stack extends AsyncDisposable {
  readonly store: S3Server;
  /** Straight to the store, past Weir. */
  readonly direct: S3Client;
  readonly link: Link;
  readonly weir: Weir;
  readonly bucket: string;
}

export interface StackOptions {
  readonly bucket?: string;
  /** Of the mount, as `weir up` takes them: `maxAge=always` … */
  readonly mountOptions?: readonly string[];
  readonly args?: readonly string[];
  readonly rttMs?: number;
  readonly bytesPerSecond?: number;
  /** Something between the link and the store: the port to use instead of the store's. */
  readonly between?: (storePort: number) => Promise<number>;
}

/** The store, the link and Weir on `s3://BUCKET`. Undefined where the store cannot be had. */
export async function startStack(forWhat: string, options: StackOptions = {}): Promise<Stack | undefined> {
  const store = await startVersitygw(forWhat);
  if (!store) return undefined;
  const cleanUp: (() => PromiseLike<unknown>)[] = [() => store.stop()];
  const dispose = async (): Promise<void> => {
    for (const step of cleanUp.toReversed()) await step();
  };
  try {
    const bucket = options.bucket ?? 'lake';
    await store.makeBucket(bucket);
    const port = options.between ? await options.between(store.port) : store.port;
    const link = await startLink({target: {host: '127.0.0.1', port}, rttMs: options.rttMs ?? 2, bytesPerSecond: options.bytesPerSecond ?? 500e6});
    cleanUp.push(() => link[Symbol.asyncDispose]());
    const weir = await Weir.start({
      args: [`s3://${bucket}`, ...(options.mountOptions ?? []).flatMap(option => ['-o', option]), ...(options.args ?? [])],
      env: {
        AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${link.address.port}`,
        AWS_ACCESS_KEY_ID: store.accessKeyId,
        AWS_SECRET_ACCESS_KEY: store.secretAccessKey,
        AWS_REGION: store.region,
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONFIG_FILE: '/dev/null',
        AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      },
    });
    cleanUp.push(() => weir[Symbol.asyncDispose]());
    return {store, direct: new S3Client({endpoint: store.endpoint, accessKeyId: store.accessKeyId, secretAccessKey: store.secretAccessKey}), link, weir, bucket, [Symbol.asyncDispose]: dispose};
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** How many requests the kernel has sent to an instance's mounts, of some kinds or of all. */
export async function kernelRequests(weir: Weir, ...operations: readonly string[]): Promise<number> {
  const text = await (await fetch(`${weir.ready.http}/metrics`)).text();
  const counted = [...text.matchAll(/^weir_fuse_requests_total\{operation="(\w+)",mount="[^"]*"\} (\d+)/gm)];
  return counted.reduce((sum, [, operation, count]) => sum + (operations.length === 0 || operations.includes(operation!) ? Number(count) : 0), 0);
}

/** Tries until it is true; fails with what it last said. */
export async function eventually(what: string, check: () => Promise<boolean>, msMax = 20_000): Promise<void> {
  const deadline = Date.now() + msMax;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`after ${msMax} ms still not true: ${what}`);
    await sleep(50);
  }
}

/** A seeded source of random numbers (mulberry32); its seed is printed by whoever makes one, so that a run can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
