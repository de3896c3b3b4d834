/** `weir fuse` as a process that comes and goes, on one directory; it serves the mount by itself, or the instance does. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import type {Weir} from './harness.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');

export class OwnMount implements AsyncDisposable {
  readonly place: string;
  readonly #weir: Weir;
  readonly #options: readonly string[];
  #child: ChildProcess | undefined;
  /** What it has printed. */
  said = '';
  /** Of the processes that begin from now on, beside the environment. */
  env: Readonly<Record<string, string>> = {};

  private constructor(place: string, weir: Weir, options: readonly string[]) {
    this.place = place;
    this.#weir = weir;
    this.#options = options;
  }

  /** Serves the mount by itself. */
  static async start(weir: Weir, ...options: readonly string[]): Promise<OwnMount> {
    return await OwnMount.served(weir, '--own-process', ...options);
  }

  /** Supervises one that the instance serves, if nothing else is said. */
  static async served(weir: Weir, ...options: readonly string[]): Promise<OwnMount> {
    const mount = new OwnMount(await mkdtemp(path.join(tmpdir(), 'weir-own-')), weir, options);
    await mount.up();
    return mount;
  }

  at(...names: readonly string[]): string {
    return path.join(this.place, 'box', ...names);
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Rejects when it ends before it is mounted. */
  async up(): Promise<void> {
    const child = spawn(process.execPath, ['--conditions=source', main, 'fuse', this.place, '--home', this.#weir.home, ...this.#options], {stdio: ['ignore', 'pipe', 'inherit'], env: {...process.env, ...this.env}});
    this.#child = child;
    const failed = once(child, 'exit').then(([status]) => Promise.reject(new Error(`weir fuse ended with ${status}`)));
    const [said] = (await Promise.race([once(child.stdout, 'data'), failed])) as [Buffer];
    this.said = said.toString();
    failed.catch(() => undefined);
  }

  /** The status with which the process ends. */
  async ended(): Promise<number | null> {
    const child = this.#child!;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    return child.exitCode;
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child!;
    if (!this.running) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM');
    await run('umount', ['-l', this.place]).catch(() => undefined);
    await rm(this.place, {recursive: true, force: true});
  }
}
