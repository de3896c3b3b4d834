/** `weir fuse` as a process that comes and goes, on one directory. */
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

  private constructor(place: string, weir: Weir, options: readonly string[]) {
    this.place = place;
    this.#weir = weir;
    this.#options = options;
  }

  static async start(weir: Weir, ...options: readonly string[]): Promise<OwnMount> {
    const mount = new OwnMount(await mkdtemp(path.join(tmpdir(), 'weir-own-')), weir, options);
    await mount.up();
    return mount;
  }

  at(...names: readonly string[]): string {
    return path.join(this.place, 'box', ...names);
  }

  async up(): Promise<void> {
    const child = spawn(process.execPath, ['--conditions=source', main, 'fuse', this.place, '--home', this.#weir.home, ...this.#options], {stdio: ['ignore', 'pipe', 'inherit']});
    this.#child = child;
    const failed = once(child, 'exit').then(([status]) => Promise.reject(new Error(`weir fuse ended with ${status}`)));
    await Promise.race([once(child.stdout, 'data'), failed]);
    failed.catch(() => undefined);
  }

  async end(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child!;
    if (child.exitCode !== null || child.signalCode !== null) return;
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
