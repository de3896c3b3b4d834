/** Mounts that have a directory of the namespace as their root. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {appendFile, link, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, statfs, symlink, unlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, Weir} from './harness.ts';

const run = promisify(execFile);
const helper = path.resolve(import.meta.dirname, '../../bin/mount.fuse.weir');
const mountBy = async (...args: string[]) => await run(helper, args, {env: {...process.env, PATH: `${path.dirname(process.execPath)}:${process.env['PATH']}`}, timeout: 60_000});
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');
const code = (name: string) => (error: unknown) => (error as NodeJS.ErrnoException).code === name;

describe('a mount of a subdirectory', {skip: unmountable() ?? false}, () => {
  let [place, whole] = ['', ''];
  let weir: Weir;
  const at = (...names: string[]): string => path.join(place, ...names);

  before(async () => {
    [place, whole] = [await mkdtemp(path.join(tmpdir(), 'weir-part-')), await mkdtemp(path.join(tmpdir(), 'weir-whole-'))];
    weir = await Weir.start({args: []});
    await weir.s3.must('PUT', '/box');
    await weir.s3.put('box', 'team/sub/file', Buffer.from('one'));
    await weir.s3.put('box', 'beside', Buffer.from('not of the team'));
    await weir.kill('SIGTERM');
    await weir.up('--fuse', place, '--fuse-options', 'subdir=/box/team');
    // The whole namespace, beside it.
    await mountBy(weir.home, whole);
  });

  after(async () => {
    await run('umount', ['-l', whole]).catch(() => undefined);
    await weir.kill('SIGTERM');
    await run('umount', ['-l', place]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    for (const made of [place, whole]) await rm(made, {recursive: true});
  });

  it('has the subdirectory as its root, and nothing beside it', async () => {
    assert.deepEqual(await readdir(place), ['sub']);
    assert.equal((await stat(place)).ino, 1);
    assert.notEqual((await stat(whole)).ino, (await stat(path.join(whole, 'box/team'))).ino);
    assert.equal((await stat(at('sub', '..'))).ino, 1);
    await assert.rejects(stat(at('beside')), code('ENOENT'));
    assert.match(await readFile('/proc/mounts', 'utf8'), new RegExp(`^weir:/box/team ${place} fuse.weir`, 'm'));
  });

  it('makes, renames, links and removes in its root as elsewhere', async () => {
    await writeFile(at('made'), 'made');
    await rename(at('made'), at('sub', 'moved'));
    await rename(at('sub', 'moved'), at('back'));
    await link(at('back'), at('second'));
    await symlink('/box/beside', at('link'));
    await mkdir(at('dir'));
    assert.equal(String(await weir.s3.get('box', 'team/back')), 'made');
    assert.deepEqual((await readdir(place)).sort(), ['back', 'dir', 'link', 'second', 'sub']);
    assert.equal((await stat(at('second'))).nlink, 2);
    for (const name of ['second', 'link']) await unlink(at(name));
    assert.deepEqual((await readdir(path.join(whole, 'box/team'))).sort(), ['back', 'dir', 'sub']);
  });

  it('sees at once what others change in its root, and keeps open what they move out of it', async () => {
    await assert.rejects(stat(at('later')), code('ENOENT'));
    await weir.s3.put('box', 'team/later', Buffer.from('here'));
    assert.equal(await readFile(at('later'), 'utf8'), 'here');
    await using held = await open(at('later'), 'r+');
    await rename(path.join(whole, 'box/team/later'), path.join(whole, 'box/out'));
    // It is another mount: within moments.
    await eventually('it is not listed any more', async () => !(await readdir(place)).includes('later'));
    await eventually('it is not there any more', async () => await stat(at('later')).then(() => false, code('ENOENT')));
    await held.write('there');
    assert.equal((await held.read(Buffer.alloc(9), 0, 9, 0)).buffer.toString('utf8', 0, 5), 'there');
    await held.close();
    await eventually('what is written to it is where it was moved', async () => (await readFile(path.join(whole, 'box/out'), 'utf8')) === 'there');
  });

  it('shows as its size the room that the directory has', async () => {
    await weir.command('fs', 'quota', 'set', '/box/team', '1MiB');
    assert.equal((await statfs(place)).blocks * (await statfs(place)).bsize, 1024 * 1024);
  });

  it('goes on after kill -9, also where its directory has another name by then; not as the mount of another one', async () => {
    // Not this process: it starts the daemon, which would inherit what is open on its own mount.
    const holder = spawn('sh', ['-euc', 'exec 3>>back; echo ready; read go; echo -n " more" >&3'], {cwd: place, stdio: ['pipe', 'pipe', 'inherit']});
    await once(holder.stdout, 'data');
    await rename(path.join(whole, 'box/team'), path.join(whole, 'box/crew'));
    await weir.kill();
    await weir.up('--fuse', place, '--fuse-options', 'subdir=/box/team');
    const ended = once(holder, 'close');
    holder.stdin.end('go\n');
    assert.deepEqual(await ended, [0, null]);
    assert.deepEqual((await readdir(place)).sort(), ['back', 'dir', 'sub']);
    await appendFile(at('back'), ', and more');
    assert.equal(await readFile(at('back'), 'utf8'), 'made more, and more');
    await weir.kill();
    await weir.up('--fuse', place, '--fuse-options', 'subdir=/box/crew/sub');
    assert.deepEqual(await readdir(place), ['file']);
  });

  it('may be beside the instance; what is not there cannot be mounted', async () => {
    const other = await mkdtemp(path.join(tmpdir(), 'weir-other-'));
    await mountBy(weir.home, other, '-o', 'ro,subdir=/box/crew');
    try {
      assert.equal(await readFile(path.join(other, 'back'), 'utf8'), 'made more, and more');
      await assert.rejects(writeFile(path.join(other, 'no'), ''), code('EROFS'));
    } finally {
      await run('umount', [other]);
    }
    for (const missing of ['/box/none', '/box/beside']) {
      const failed = run(process.execPath, ['--conditions=source', main, 'fuse', other, '--subdir', missing, '--home', weir.home]);
      await assert.rejects(failed, new RegExp(`weir: ${missing}.*\\(NotFound|NotADirectory\\)`));
    }
    await rm(other, {recursive: true});
  });
});
