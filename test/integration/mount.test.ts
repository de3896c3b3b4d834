/** The mount: an instance's namespace through the kernel, with ordinary system calls. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {accessSync, constants} from 'node:fs';
import {mkdtemp, open, readdir, readFile, rm, rmdir, stat, unlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {promisify} from 'node:util';
import {Weir} from './harness.ts';

const run = promisify(execFile);

function mountable(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

const ESTALE = 116;
const code = (name: string) => (error: unknown) => (error as NodeJS.ErrnoException).code === name;

describe('the mount', {skip: mountable() ? false : 'needs root and /dev/fuse'}, () => {
  const big = randomBytes(3 * 1024 * 1024 + 17);
  let place: string;
  let weir: Weir;
  const at = (...names: string[]): string => path.join(place, ...names);
  const put = async (key: string, body: string | Buffer): Promise<void> => void (await weir.s3.put('box', key, Buffer.from(body)));

  before(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    weir = await Weir.start({args: ['--fuse', place]});
    await weir.s3.must('PUT', '/box');
    await put('dir/big', big);
    await put('dir/small', 'small');
  });

  after(async () => {
    await weir.kill('SIGTERM');
    await run('umount', ['-l', place]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    await rm(place, {recursive: true});
  });

  it('shows what S3 has, and reads it whole and in pieces', async () => {
    assert.deepEqual(await readdir(at('box', 'dir')), ['big', 'small']);
    const {size, mode} = await stat(at('box', 'dir', 'big'));
    assert.deepEqual([size, mode], [big.length, 0o100644]);
    assert.ok((await readFile(at('box', 'dir', 'big'))).equals(big));
    assert.ok((await readFile(at('box', 'dir', 'big'))).equals(big), 'again, from the cache');
    assert.equal(await readFile(at('box', 'dir', 'small'), 'utf8'), 'small');
    await using file = await open(at('box', 'dir', 'big'));
    for (const [position, length] of [[0, 1], [65_535, 2], [1_000_003, 70_000], [big.length - 5, 100]] as const) {
      const {bytesRead, buffer} = await file.read(Buffer.alloc(length), 0, length, position);
      assert.ok(buffer.subarray(0, bytesRead).equals(big.subarray(position, position + length)), `at ${position}`);
    }
  });

  it('says what is not there, and that it cannot be changed', async () => {
    await assert.rejects(stat(at('none')), code('ENOENT'));
    await assert.rejects(readdir(at('box', 'dir', 'small')), code('ENOTDIR'));
    await assert.rejects(readFile(at('box', 'dir')), code('EISDIR'));
    await assert.rejects(stat(at('box', 'x'.repeat(256))), code('ENAMETOOLONG'));
    await assert.rejects(writeFile(at('box', 'new'), 'x'), code('EROFS'));
    await assert.rejects(unlink(at('box', 'dir', 'small')), code('EROFS'));
  });

  it('shows keys that are no file names under names that lead back', async () => {
    const long = 'l'.repeat(300);
    const keys = ['odd/a', 'odd/a/inner', 'odd/../up', 'odd//empty', `odd/${long}`, 'odd/@weir:x', 'odd/\u{1f600}'];
    for (const key of keys) await put(key, key);
    const names = await readdir(at('box', 'odd'));
    assert.deepEqual(names.filter(name => !name.startsWith('@weir:id:')).toSorted(), ['@weir:dotdot', '@weir:empty', '@weir:file:a', '@weir:name:@weir:x', 'a', '\u{1f600}'].toSorted());
    const read = (...inner: string[]): Promise<string> => readFile(at('box', 'odd', ...inner), 'utf8');
    assert.equal(await read('a', 'inner'), 'odd/a/inner');
    assert.equal(await read('@weir:file:a'), 'odd/a');
    assert.equal(await read('@weir:dotdot', 'up'), 'odd/../up');
    assert.equal(await read('@weir:empty', 'empty'), 'odd//empty');
    assert.equal(await read('@weir:name:@weir:x'), 'odd/@weir:x');
    assert.equal(await read('\u{1f600}'), 'odd/\u{1f600}');
    assert.equal(await read(names.find(name => name.startsWith('@weir:id:'))!), `odd/${long}`);
  });

  it('lists thousands of names, each once', async () => {
    const names = Array.from({length: 2500}, (_, i) => `n${String(i).padStart(5, '0')}`);
    for (let i = 0; i < names.length; i += 50) await Promise.all(names.slice(i, i + 50).map(name => put(`many/${name}`, '')));
    assert.deepEqual(await readdir(at('box', 'many')), names);
    const {stdout} = await run('find', [at('box', 'many'), '-type', 'f', '-size', '0']);
    assert.equal(stdout.trim().split('\n').length, names.length);
  });

  it('sees at once what another front end changes; what is open never becomes another version', async () => {
    await put('changing', big);
    await using file = await open(at('box', 'changing'));
    const next = randomBytes(big.length);
    await put('changing', next);
    assert.ok((await readFile(at('box', 'changing'))).equals(next));
    // The home's own store keeps one version, in place: the old one is gone.
    await assert.rejects(file.readFile(), error => (error as NodeJS.ErrnoException).errno === -ESTALE);
    await weir.s3.remove('box', 'changing');
    await assert.rejects(stat(at('box', 'changing')), code('ENOENT'));
  });

  it('comes back after kill -9, in the place of the dead mount', async () => {
    await weir.kill();
    await assert.rejects(stat(at('box')), code('ENOTCONN'));
    await weir.up();
    assert.ok((await readFile(at('box', 'dir', 'big'))).equals(big));
  });

  it('is gone when the instance has stopped, or when somebody unmounts it', async () => {
    await run('umount', [place]);
    assert.deepEqual(await readdir(place), []);
    assert.ok((await weir.s3.get('box', 'dir/big'))?.equals(big), 'the instance goes on');
    await weir.restart('SIGTERM');
    assert.deepEqual(await readdir(place), ['box']);
    await weir.kill('SIGTERM');
    assert.deepEqual(await readdir(place), []);
    await rmdir(place);
    await assert.rejects(weir.up(), /NotFound/);
    await run('mkdir', [place]);
  });
});
