/** Starts and stops servers of others: on a free loopback port, with everything they write in a temporary folder. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {connect, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';

const readyMsMax = 30_000;
const stopMsMax = 10_000;
const logBytesMax = 64 * 1024;

export interface Daemon extends AsyncDisposable {
  readonly port: number;
  /** For what the server writes; removed when it is stopped. */
  readonly directory: string;
  readonly pid: number;
  /** The end of what it has printed. */
  log(): string;
  stop(): Promise<void>;
}

export interface DaemonOptions {
  readonly name: string;
  /** May prepare files in `directory`; `port` is free. */
  readonly command: (port: number, directory: string) => Promise<{program: string; args: readonly string[]; env?: Record<string, string>}>;
  /** Asked until it is true. */
  readonly ready: (port: number) => Promise<boolean>;
}

/** A loopback port on which nobody listens now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  const {port} = server.address() as {port: number};
  await new Promise(resolve => server.close(resolve));
  return port;
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const directory = await mkdtemp(path.join(tmpdir(), `weir-${options.name}-`));
  const port = await freePort();
  const {program, args, env} = await options.command(port, directory);
  const child = spawn(program, args, {env: {...process.env, ...env}, stdio: ['ignore', 'pipe', 'pipe'], cwd: directory});
  let log = '';
  const keep = (chunk: Buffer): void => void (log = (log + chunk.toString()).slice(-logBytesMax));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()).once('error', error => (keep(Buffer.from(String(error))), resolve())));
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);

  const stop = async (): Promise<void> => {
    process.off('exit', onExit);
    await end(child, exited);
    await rm(directory, {recursive: true, force: true});
  };
  const deadline = Date.now() + readyMsMax;
  while (!(await options.ready(port).catch(() => false))) {
    if (child.exitCode !== null || child.pid === undefined || Date.now() > deadline) {
      await stop();
      throw new Error(`${options.name} did not start: ${log.slice(-2000)}`);
    }
    await sleep(30);
  }
  return {port, directory, pid: child.pid!, log: () => log, stop, [Symbol.asyncDispose]: stop};
}

async function end(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    await exited;
    clearTimeout(timer);
  }
  child.stdout?.destroy();
  child.stderr?.destroy();
}

/** True when the URL answers with this status. */
export async function answers(url: string, status = 200): Promise<boolean> {
  const response = await fetch(url, {signal: AbortSignal.timeout(2000)});
  await response.body?.cancel();
  return response.status === status;
}

/** True when something takes connections there. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}
