/** A mount beside an instance, by `weir fuse`: that dies, the instance does, or both. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {type ChildProcess, execFile, fork, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {appendFile, mkdir, readFile, writeFile} from 'node:fs/promises';
import {describe, it} from 'node:test';
import {promisify} from 'node:util';
import {MiB} from '#base/units.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, keeperOf, Weir} from './harness.ts';
import {OwnMount} from './own-mount.ts';

const run = promisify(execFile);
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

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

/** A shell that has the lock of `file`, and has written to it. */
async function holder(directory: string): Promise<ChildProcess> {
  const shell = spawn('sh', ['-euc', 'exec 3>>file; flock -n 3; echo -n " and after" >&3; echo written; read never'], {cwd: directory, stdio: ['pipe', 'pipe', 'ignore']});
  await once(shell.stdout, 'data');
  return shell;
}

const tryLock = async (file: string): Promise<boolean> => await run('flock', ['-n', file, 'true']).then(() => true, () => false);

const ends: readonly {readonly name: string; readonly end: (weir: Weir, mount: OwnMount) => Promise<void>; readonly begin: (weir: Weir, mount: OwnMount) => Promise<unknown>}[] = [
  {name: 'it is killed', end: (_, mount) => mount.end(), begin: (_, mount) => mount.up()},
  {name: 'it makes room for the next one', end: (_, mount) => mount.end('SIGUSR2'), begin: (_, mount) => mount.up()},
  {name: 'its instance is killed', end: weir => weir.kill(), begin: weir => weir.up()},
  {name: 'both are killed', end: async (weir, mount) => void (await Promise.all([weir.kill(), mount.end()])), begin: async (weir, mount) => {
    await weir.up();
    await mount.up();
  }},
];

const kinds = [{kind: 'a process of its own', start: (weir: Weir) => OwnMount.start(weir)}, {kind: 'the instance', start: (weir: Weir) => OwnMount.served(weir)}] as const;

describe('a mount beside an instance', {skip: unmountable() ?? false}, () => {
  for (const {kind, start} of kinds) for (const {name, end, begin} of ends) it(`served by ${kind}, goes on when ${name}`, async () => {
    await using weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await using mount = await start(weir);
    await mkdir(mount.at('many'));
    await Promise.all(Array.from({length: 700}, (_, i) => writeFile(mount.at('many', `file-${String(i).padStart(5, '0')}`), '')));
    await using program = new Program(mount.at());
    await program.run('open');
    await end(weir, mount);
    const waiting = program.run('meanwhile');
    await begin(weir, mount);
    await waiting;
    await program.run('goOn');
    assert.equal((await weir.s3.get('box', 'written'))?.toString(), 'before and after');
    assert.equal(weir.log.includes('ERROR'), false);
  });

  for (const {kind, start} of kinds) it(`served by ${kind}, takes and gives as much at once as the kernel asks for`, async () => {
    await using weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await using mount = await start(weir);
    const bytes = randomBytes(3 * MiB + 5);
    await writeFile(mount.at('large'), bytes);
    const {stdout} = await run('dd', [`if=${mount.at('large')}`, 'iflag=direct', 'bs=1M', 'status=none'], {encoding: 'buffer', maxBuffer: 2 * bytes.length});
    assert.ok(stdout.equals(bytes));
  });

  it('of a process of its own keeps what it was writing and its locks for as long as it is kept; others may write too', async () => {
    await using weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await weir.s3.put('box', 'file', Buffer.from('before'));
    await using mount = await OwnMount.start(weir, '-o', 'shared_locks');
    await using other = await OwnMount.start(weir, '-o', 'shared_locks');
    const writer = await holder(mount.at());
    await mount.end();
    // Longer than the five seconds after which a mount without a keeper is taken for dead.
    await new Promise(resolve => setTimeout(resolve, 7_000));
    await appendFile(other.at('file'), '!');
    assert.equal(await tryLock(other.at('file')), false);
    await weir.restart();
    await appendFile(other.at('file'), '?');
    assert.equal(await tryLock(other.at('file')), false, 'also from those who ask the next instance');
    await mount.up();
    assert.equal(await tryLock(other.at('file')), false);
    writer.kill('SIGKILL');
    await eventually('it is published', async () => String(await weir.s3.get('box', 'file')) === 'before and after!?');
    assert.equal(String(await readFile(other.at('file'))), 'before and after!?');
    await eventually('its lock is free', () => tryLock(other.at('file')));
  });

  for (const {kind, start} of kinds) it(`served by ${kind}, has one who has mounted it at a time`, async () => {
    await using weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await using mount = await start(weir);
    await assert.rejects(weir.command('fuse', mount.place), /is a mount of another process, which lives/);
    await assert.rejects(weir.command('fuse', '--own-process', mount.place), /is a mount of another process, which lives/);
    await writeFile(mount.at('file'), 'served');
    assert.equal(String(await weir.s3.get('box', 'file')), 'served');
  });

  it('of a process of its own has what it was writing published when nobody keeps it any more, and lets others write it', async () => {
    await using weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await weir.s3.put('box', 'file', Buffer.from('before'));
    await using other = await OwnMount.start(weir);
    await using mount = await OwnMount.start(weir);
    const writer = await holder(mount.at());
    await mount.end();
    process.kill((await keeperOf(mount.place))!, 'SIGKILL');
    writer.kill('SIGKILL');
    await eventually('it is published', async () => String(await weir.s3.get('box', 'file')) === 'before and after');
    await eventually('it can be written', async () => await appendFile(other.at('file'), '!').then(() => true, () => false));
    assert.equal(String(await weir.s3.get('box', 'file')), 'before and after!');
  });
});
