/** The mount outlives its daemon: killed, upgraded, or gone for good. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {type ChildProcess, execFile, fork} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, keeperOf, Weir} from './harness.ts';

const run = promisify(execFile);

const isGone = (error: unknown): boolean => ['ENOTCONN', 'ECONNABORTED'].includes((error as NodeJS.ErrnoException).code ?? '');

interface Mounted extends AsyncDisposable {
  readonly weir: Weir;
  readonly at: (...names: string[]) => string;
}

async function mounted(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Mounted> {
  const place = await mkdtemp(path.join(tmpdir(), 'weir-kept-'));
  const weir = await Weir.start({args: ['--fuse', place, ...args], env});
  await weir.s3.must('PUT', '/box');
  return {
    weir, at: (...names) => path.join(place, 'box', ...names),
    [Symbol.asyncDispose]: async () => {
      await weir.kill('SIGTERM');
      await run('umount', ['-l', place]).catch(() => undefined);
      await weir[Symbol.asyncDispose]();
      await rm(place, {recursive: true, force: true});
    },
  };
}

class Program implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor(directory: string) {
    this.#child = fork(new URL('kept-programs.ts', import.meta.url), [directory]);
  }

  async run(step: string): Promise<void> {
    const answered = once(this.#child, 'message') as Promise<[{readonly failed?: string}]>;
    this.#child.send(step);
    const [{failed}] = await answered;
    if (failed !== undefined) throw new Error(`${step}: ${failed}`);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

const ends: readonly {readonly name: string; readonly end: (weir: Weir) => Promise<void>}[] = [
  {name: 'kill -9', end: weir => weir.kill('SIGKILL')},
  {name: 'weir down --keep-mount', end: async weir => {
    await weir.command('down', '--keep-mount');
    await weir.kill();
  }},
];

describe('a mount whose daemon ends', {skip: unmountable() ?? false}, () => {
  for (const {name, end} of ends) it(`goes on after ${name}: files, names that are gone, places in directories`, async () => {
    await using mount = await mounted();
    const {weir, at} = mount;
    await mkdir(at('many'));
    await Promise.all(Array.from({length: 700}, (_, i) => writeFile(at('many', `file-${String(i).padStart(5, '0')}`), '')));
    await using program = new Program(at());
    await program.run('open');
    await end(weir);
    const waiting = program.run('meanwhile');
    await weir.up();
    await waiting;
    await program.run('goOn');
    assert.equal((await weir.s3.get('box', 'written'))?.toString(), 'before and after');
  });

  it('makes a change once when the daemon dies between its commit and its answer', async () => {
    const env: Record<string, string> = {};
    await using mount = await mounted([], env);
    const {weir, at} = mount;
    await using program = new Program(at());
    await program.run('prepare');
    for (const step of ['rename', 'unlink', 'rmdir']) {
      Object.assign(env, {NODE_OPTIONS: `--import ${new URL('crash-at-reply.ts', import.meta.url).href}`, WEIR_TEST_CRASH_CHANCE: '1', WEIR_TEST_CRASH_BARE: '1'});
      await weir.restart();
      const waiting = program.run(step);
      await eventually('the daemon dies', () => Promise.resolve(!weir.running));
      delete env['NODE_OPTIONS'];
      await weir.up();
      await waiting;
    }
    assert.deepEqual(await readdir(at()), ['to']);
  });

  it('has a keeper, and gets another one when that dies', async () => {
    await using mount = await mounted();
    const {weir, at} = mount;
    const place = path.dirname(at());
    const first = await keeperOf(place);
    assert.ok(first);
    process.kill(first, 'SIGKILL');
    await eventually('there is another keeper', async () => ![undefined, first].includes(await keeperOf(place)));
    await mkdir(at('many'));
    await writeFile(at('many', 'file'), '');
    await writeFile(at('many', 'other'), '');
    await using program = new Program(at());
    await program.run('open');
    await weir.restart();
    await program.run('meanwhile');
    await program.end();
    await weir.kill('SIGTERM');
    await eventually('the keeper has gone with the mount', async () => (await keeperOf(place)) === undefined);
  });

  it('lets go of those who wait when it is taken away: by weir down, or by ending its keeper', async () => {
    for (const end of [(weir: Weir) => weir.command('down'), async (_: Weir, place: string) => void process.kill((await keeperOf(place))!, 'SIGTERM')]) {
      await using mount = await mounted();
      const {weir, at} = mount;
      await weir.kill();
      const waiting = assert.rejects(readdir(at()), isGone);
      await end(weir, path.dirname(at()));
      await waiting;
      await weir.up();
      assert.deepEqual(await readdir(at()), []);
    }
  });

  it('is mounted anew where other options are asked for', async () => {
    await using mount = await mounted();
    const {weir, at} = mount;
    await mkdir(at('many'));
    for (const name of ['file', 'other']) await writeFile(at('many', name), '');
    await using program = new Program(at());
    await program.run('open');
    await weir.kill();
    await weir.up('--fuse-options', 'noexec');
    await program.run('gone');
    assert.deepEqual(await readdir(at('many')), ['file', 'other']);
  });
});
