/** A mount that is a process of its own, and dies. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {appendFile, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {it} from 'node:test';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, Weir} from './harness.ts';

const run = promisify(execFile);
const main = path.resolve(import.meta.dirname, '../../src/process/main.ts');

it('publishes what was being written on a mount whose process was killed, and lets others write it', {skip: unmountable() ?? false}, async () => {
  const [place, other] = [await mkdtemp(path.join(tmpdir(), 'weir-own-')), await mkdtemp(path.join(tmpdir(), 'weir-own-'))];
  await using weir = await Weir.start({args: ['--fuse', other]});
  await weir.s3.must('PUT', '/box');
  await weir.s3.put('box', 'file', Buffer.from('before'));
  try {
    const mount = spawn(process.execPath, ['--conditions=source', main, 'fuse', place, '--home', weir.home], {stdio: ['ignore', 'pipe', 'inherit']});
    await once(mount.stdout, 'data');
    const writer = spawn('sh', ['-euc', 'exec 3>>file; echo -n " and after" >&3; echo written; read never'], {cwd: path.join(place, 'box'), stdio: ['pipe', 'pipe', 'ignore']});
    await once(writer.stdout, 'data');
    await assert.rejects(appendFile(path.join(other, 'box', 'file'), '!'), {code: 'EBUSY'});
    const gone = once(mount, 'exit');
    mount.kill('SIGKILL');
    await gone;
    writer.kill('SIGKILL');
    await eventually('it is published', async () => String(await weir.s3.get('box', 'file')) === 'before and after');
    await eventually('it can be written', async () => await appendFile(path.join(other, 'box', 'file'), '!').then(() => true, () => false));
    assert.equal(String(await weir.s3.get('box', 'file')), 'before and after!');
  } finally {
    for (const directory of [place, other]) await run('umount', ['-l', directory]).catch(() => undefined);
    await weir.kill('SIGTERM');
    for (const directory of [place, other]) await rm(directory, {recursive: true, force: true});
  }
});
