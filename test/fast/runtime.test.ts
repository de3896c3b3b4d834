/** The machine's suites on the real and on the simulated form. */
import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {mkdtemp, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {test} from 'node:test';
import {describeDisk} from '../conformance/disk.ts';
import {describeNet} from '../conformance/net.ts';
import {fromText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {libc} from '#runtime/node/native/libc.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const real = createNodeRuntime({log: {level: 'silent'}});

describeDisk('of this machine', async (fn) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-disk-'));
  try {
    await fn(real.disk, directory);
  } finally {
    await rm(directory, {recursive: true});
  }
});
test('makes and truncates nothing outside of the directory that it is kept to', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-disk-'));
  try {
    const inside = path.join(directory, 'inside');
    const beneath = fromText(inside);
    await real.disk.makeDirectory(inside);
    await writeFile(path.join(directory, 'outside'), 'untouched');
    await symlink('../outside', path.join(inside, 'link'));
    await symlink('../new', path.join(inside, 'dangling'));
    await symlink('..', path.join(inside, 'up'));
    for (const mode of ['read', 'write', 'create', 'exclusive'] as const) {
      for (const name of ['link', 'dangling', 'up/new']) await assert.rejects(real.disk.open(path.join(inside, name), {mode, truncate: true, beneath}), WeirError);
    }
    assert.equal(await readFile(path.join(directory, 'outside'), 'utf8'), 'untouched');
    assert.deepEqual((await readdir(directory)).sort(), ['inside', 'outside']);
    for (const mode of ['exclusive', 'create', 'write', 'read'] as const) await (await real.disk.open(path.join(inside, 'f'), {mode, beneath})).close();
  } finally {
    await rm(directory, {recursive: true});
  }
});
test('reads on the spot from a memory file system', {skip: !existsSync('/dev/shm') || libc() === undefined}, async () => {
  const directory = await mkdtemp('/dev/shm/weir-disk-');
  try {
    await using file = await real.disk.open(path.join(directory, 'f'), {mode: 'create'});
    await file.write([Buffer.alloc(20_000, 7)], 0);
    const into = Buffer.alloc(4096);
    assert.equal(file.readResident(into, 5000), 4096);
    assert.ok(into.every((byte) => byte === 7));
  } finally {
    await rm(directory, {recursive: true});
  }
});
describeNet('of this machine', (fn) => fn(real.net));

let seed = 1;
describeDisk('simulated', (fn) =>
  createSimulation(seed++).run(async ({disk}) => {
    await disk.makeDirectory('/deep/here', {recursive: true});
    await fn(disk, '/deep/here');
  }),
);
describeNet('simulated', (fn) => createSimulation(seed++).run(({net}) => fn(net)));
