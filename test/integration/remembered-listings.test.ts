/** What the kernel keeps of directories on a mount: a second look asks nothing, and nobody sees what was there before a change. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {lstat, mkdir, mkdtemp, open, opendir, rename, rm, unlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {promisify} from 'node:util';
import {unmountable} from '../conformance/posix/places.ts';
import {eventually, kernelRequests, Weir} from './harness.ts';

const run = promisify(execFile);
const count = 1_200;
const asked = ['lookup', 'getattr', 'readdir', 'readdirplus', 'getxattr'] as const;

describe('listings on the mount', {skip: unmountable() ?? false}, () => {
  let root: string;
  let place: string;
  let weir: Weir;

  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'weir-listings-'));
    place = path.join(root, 'mounted');
    await mkdir(place);
    for (const store of ['long', 'short']) {
      await mkdir(path.join(root, store, 'many'), {recursive: true});
      for (let i = 0; i < count; i++) await (await open(path.join(root, store, 'many', `f${i}`), 'w')).close();
    }
    const args = ['--fuse', place, `file://${path.join(root, 'long')}`, '-o', 'maxAge=1d', `file://${path.join(root, 'short')}`, '-o', 'maxAge=1s'];
    weir = await Weir.start({args});
  });

  after(async () => {
    await weir?.[Symbol.asyncDispose]();
    await run('umount', ['-l', place]).catch(() => undefined);
    await rm(root, {recursive: true, force: true});
  });

  const look = async (store: string): Promise<string[]> => {
    const directory = path.join(place, store, 'many');
    const names: string[] = [];
    // As `ls -l` does: one after the other, while the directory is read. Then the kernel asks for entries with their attributes.
    for await (const {name} of await opendir(directory, {bufferSize: 1})) {
      await lstat(path.join(directory, name));
      names.push(name);
    }
    return names;
  };

  it('are told from the kernel\'s memory when they are looked at again, with what is in them', async () => {
    const first = await kernelRequests(weir, 'lookup', 'getattr');
    assert.equal((await look('long')).length, count);
    // What a page of the listing has said of a file is believed, also while the rest of the directory is not known yet.
    assert.ok((await kernelRequests(weir, 'lookup', 'getattr')) - first < count / 4, 'each file was asked for by itself');
    // Another program may make the kernel forget meanwhile.
    await eventually('a look that asks nothing', async () => {
      const before = await kernelRequests(weir, ...asked);
      assert.equal((await look('long')).length, count);
      return (await kernelRequests(weir, ...asked)) - before < 10;
    });
  });

  it('are others as soon as somebody has changed them, by whichever way', async () => {
    const inside = (name: string): string => path.join(place, 'long', 'many', name);
    const names = new Set(await look('long'));
    const agrees = async (): Promise<void> => assert.deepEqual((await look('long')).toSorted(), [...names].toSorted());
    for (let i = 0; i < 6; i++) {
      await weir.s3.put('long', `many/s3-${i}`, 'x');
      names.add(`s3-${i}`);
      await agrees();
      await writeFile(inside(`made-${i}`), 'y');
      names.add(`made-${i}`);
      await agrees();
      await weir.s3.remove('long', `many/f${i}`);
      await rename(inside(`made-${i}`), inside(`renamed-${i}`));
      await unlink(inside(`s3-${i}`));
      for (const gone of [`f${i}`, `made-${i}`, `s3-${i}`]) names.delete(gone);
      names.add(`renamed-${i}`);
      await agrees();
    }
  });

  it('hold no longer than what the store said', async () => {
    await look('short');
    await writeFile(path.join(root, 'short', 'many', 'new'), '');
    await sleep(1_100);
    assert.ok((await look('short')).includes('new'));
  });

  it('have no label of a security module, so that nobody asks for it file by file', async () => {
    await assert.rejects(run('python3', ['-c', `import os; os.getxattr(${JSON.stringify(path.join(place, 'long', 'many', 'f100'))}, 'security.selinux')`]), /Operation not supported/);
    await eventually('`ls -l` that asks for no attribute', async () => {
      const before = await kernelRequests(weir, 'getxattr');
      await run('ls', ['-l', path.join(place, 'long', 'many')], {maxBuffer: 1e7});
      return (await kernelRequests(weir, 'getxattr')) - before < 10;
    });
  });
});
