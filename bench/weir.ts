/** Starts `weir up` for a bench, over a home of its own unless one is given, which is left as it is then: what `./weir` starts once it is set up. */
import {spawn} from 'node:child_process';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {createInterface} from 'node:readline';

export interface Weir extends AsyncDisposable {
  readonly pid: number;
  readonly s3: URL;
  readonly rpc: {readonly host: string; readonly port: number};
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** From the start of the command to its word that it is ready, and to the first answer by S3. */
  readonly readyMs: number;
  readonly firstAnswerMs: number;
  /** The end of what it has said on stderr. */
  readonly log: () => string;
}

export interface Mounted {
  readonly uri: string;
  readonly options: Readonly<Record<string, string>>;
}

const root = path.resolve(import.meta.dirname, '..');
const stopMsMax = 15_000;

export async function startWeir(mounts: readonly Mounted[], options: {readonly nodeOptions?: string; readonly flags?: readonly string[]; readonly home?: string} = {}): Promise<Weir> {
  const home = options.home ?? (await mkdtemp(path.join(tmpdir(), 'weir-bench-home-')));
  const args = mounts.flatMap(({uri, options: given}) => [uri, ...Object.entries(given).flatMap(([name, value]) => ['-o', `${name}=${value}`])]);
  const ports = ['--s3-port', '0', '--http-port', '0', '--rpc-port', '0'];
  const started = performance.now();
  const child = spawn(process.execPath, ['--conditions=source', path.join(root, 'src/process/main.ts'), 'up', '--json', '--home', home, ...ports, ...(options.flags ?? []), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, UV_THREADPOOL_SIZE: '16', ...(options.nodeOptions === undefined ? {} : {NODE_OPTIONS: options.nodeOptions})},
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-64 * 1024)));
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  const first = await createInterface({input: child.stdout})[Symbol.asyncIterator]().next();
  if (first.done === true) {
    await ended;
    throw new Error(`weir up did not start: ${log}`);
  }
  const readyMs = performance.now() - started;
  const info = JSON.parse(first.value) as {pid: number; s3: string; rpc: string; accessKeyId: string; secretAccessKey: string};
  await (await fetch(info.s3)).arrayBuffer();
  const firstAnswerMs = performance.now() - started;
  const [host, port] = info.rpc.split(':') as [string, string];
  return {
    pid: info.pid, s3: new URL(info.s3), rpc: {host, port: Number(port)}, accessKeyId: info.accessKeyId, secretAccessKey: info.secretAccessKey, readyMs, firstAnswerMs,
    log: () => log,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => process.kill(info.pid, 'SIGKILL'), stopMsMax);
      await ended;
      clearTimeout(timer);
      if (options.home === undefined) await rm(home, {recursive: true, force: true, maxRetries: 3});
    },
  };
}
