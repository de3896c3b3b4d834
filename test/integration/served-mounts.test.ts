/** Mounts that an instance serves for `weir fuse`, beside its own. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {MiB} from '#base/units.ts';
import {passesThrough, unmountable} from '../conformance/posix/places.ts';
import {eventually, keeperOf, kernelRequests, Weir} from './harness.ts';
import {OwnMount} from './own-mount.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');
const code = (name: string) => (error: unknown) => (error as NodeJS.ErrnoException).code === name;
const isMounted = async (place: string): Promise<boolean> => (await readFile('/proc/mounts', 'utf8')).includes(` ${place} fuse.weir `);

describe('mounts that an instance serves for others', {skip: unmountable() ?? false}, () => {
  let weir: Weir;
  let own = '';

  before(async () => {
    own = await mkdtemp(path.join(tmpdir(), 'weir-served-'));
    weir = await Weir.start({args: ['--fuse', own]});
    await weir.s3.must('PUT', '/box');
    await weir.s3.put('box', 'team/file', Buffer.from('one'));
  });

  after(async () => {
    await weir.kill('SIGTERM');
    await run('umount', ['-l', own]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    await rm(own, {recursive: true});
  });

  it('give the kernel what is cached whole and cannot change there, which it reads by itself', async context => {
    if (!passesThrough()) return context.skip('needs Linux 6.9');
    const bytes = randomBytes(MiB);
    await weir.s3.put('box', 'large', bytes);
    await using mount = await OwnMount.served(weir, '--read-only');
    const asked = await kernelRequests(weir, 'read');
    const {stdout} = await run('dd', [`if=${mount.at('large')}`, 'iflag=direct', 'bs=64k', 'status=none'], {encoding: 'buffer', maxBuffer: 2 * MiB});
    assert.ok(stdout.equals(bytes));
    assert.equal(await kernelRequests(weir, 'read'), asked);
  });

  it('are several at once, each with options of its own', async () => {
    await using whole = await OwnMount.served(weir);
    await using part = await OwnMount.served(weir, '-o', 'ro,uid=1234', '--subdir', '/box/team');
    assert.match(whole.said, /served by the instance/);
    assert.deepEqual(await readdir(part.place), ['file']);
    await assert.rejects(writeFile(path.join(part.place, 'new'), ''), code('EROFS'));
    await writeFile(whole.at('team', 'file'), 'another');
    await eventually('the others show it', async () => (await readFile(path.join(part.place, 'file'), 'utf8')) === 'another');
    assert.equal(await readFile(path.join(own, 'box/team/file'), 'utf8'), 'another');
    const {served} = JSON.parse(await weir.command('status', '--json')) as {served: {directory: string; readOnly: boolean; subdirectory?: string}[]};
    const shown = served.map(({directory, readOnly, subdirectory}) => ({directory, readOnly, subdirectory}));
    assert.deepEqual(shown, [
      {directory: own, readOnly: false, subdirectory: undefined}, {directory: whole.place, readOnly: false, subdirectory: undefined}, {directory: part.place, readOnly: true, subdirectory: '/box/team'},
    ]);
    const metrics = await (await fetch(`${weir.ready.http}/metrics`)).text();
    for (const place of [own, whole.place, part.place]) assert.match(metrics, new RegExp(`^weir_fuse_requests_total\\{operation="getattr",mount="${place}"\\} [1-9]`, 'm'));
  });

  it('go on when their supervisor is killed; another one comes for them', async () => {
    await using mount = await OwnMount.served(weir);
    await mount.end('SIGKILL');
    await writeFile(mount.at('unsupervised'), 'text');
    await mount.up();
    await assert.rejects(weir.command('fuse', mount.place), /is a mount of another process, which lives/);
    assert.equal(await readFile(mount.at('unsupervised'), 'utf8'), 'text');
    await mount.end('SIGUSR2');
    assert.equal(await readFile(mount.at('unsupervised'), 'utf8'), 'text');
    await mount.up();
    await mount.end('SIGINT');
    assert.equal(await isMounted(mount.place), false);
    assert.equal(await keeperOf(mount.place), undefined);
  });

  it('are made anew for who comes for them with other options', async () => {
    await using mount = await OwnMount.served(weir);
    await mount.end('SIGKILL');
    const child = run(process.execPath, ['--conditions=source', main, 'fuse', mount.place, '--read-only', '--home', weir.home]);
    await eventually('it is read-only', async () => await writeFile(mount.at('no'), '').then(() => false, error => code('EROFS')(error)));
    child.child.kill('SIGUSR2');
    await child;
  });

  it('end their supervisor when they are unmounted', async () => {
    await using mount = await OwnMount.served(weir);
    await run('umount', [mount.place]);
    assert.equal(await mount.ended(), 0);
    await eventually('the keeper has gone', async () => (await keeperOf(mount.place)) === undefined);
  });

  it('are refused with words that reach who asked, and may be had later', async () => {
    const place = await mkdtemp(path.join(tmpdir(), 'weir-refused-'));
    await assert.rejects(weir.command('fuse', own), /is a mount of another process, which lives.*\(Busy\)/);
    await assert.rejects(weir.command('fuse', path.join(place, 'none')), /cannot mount on .*none.*\(NotFound\)/);
    await assert.rejects(weir.command('fuse', place, '--subdir', '/box/none'), /\/box\/none.*\(NotFound\)/);
    await writeFile(path.join(place, 'file'), '');
    await assert.rejects(weir.command('fuse', path.join(place, 'file')), /\(NotADirectory\)/);
    const child = run(process.execPath, ['--conditions=source', main, 'fuse', place, '--own-process', '--home', weir.home]);
    await eventually('it is mounted', () => isMounted(place));
    child.child.kill('SIGINT');
    await child;
    await rm(place, {recursive: true});
  });

  it('are of a process of its own in another mount namespace', async () => {
    const place = await mkdtemp(path.join(tmpdir(), 'weir-elsewhere-'));
    const child = run('unshare', ['-m', process.execPath, '--conditions=source', main, 'fuse', place, '--home', weir.home]);
    let said = '';
    child.child.stdout!.on('data', (bytes: Buffer) => (said += bytes.toString()));
    await eventually('it is mounted', async () => said.includes('mounted'));
    assert.match(said, /by a process of its own, because the instance has another view of the file system/);
    assert.equal(await isMounted(place), false);
    child.child.kill('SIGINT');
    await child;
    await rm(place, {recursive: true});
  });

  it('are made anew when their keeper dies with the instance', async () => {
    await using mount = await OwnMount.served(weir);
    // Until it is dead it starts another keeper.
    process.kill(weir.pid, 'SIGSTOP');
    process.kill((await keeperOf(mount.place))!, 'SIGKILL');
    await weir.restart();
    await eventually('it is mounted anew', async () => await readdir(mount.place).then(() => isMounted(mount.place), code('never')));
    await mount.end('SIGINT');
    assert.equal(await isMounted(mount.place), false);
  });

  it('stay when the instance leaves them, and end when it ends', async () => {
    await using mount = await OwnMount.served(weir);
    await weir.command('down', '--keep-mount');
    await weir.kill();
    const waiting = writeFile(mount.at('waited'), 'for the next one');
    await weir.up();
    await waiting;
    assert.equal(String(await weir.s3.get('box', 'waited')), 'for the next one');
    await weir.command('down');
    assert.equal(await mount.ended(), 0);
    for (const place of [own, mount.place]) assert.equal(await isMounted(place), false);
    await weir.kill();
    await weir.up();
  });
});
