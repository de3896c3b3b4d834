import assert from 'node:assert/strict';
import {mkdir, mkdtemp, readdir, readFile, rename, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {connector} from '#connectors/file/connector.ts';
import type {Disk, FilePlacer} from '#runtime/disk.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const call = {signal: new AbortController().signal};

test('small files go together, also to directories that nobody has written to, and to what has taken the place of one', async () => {
  const base = await mkdtemp(path.join(tmpdir(), 'weir-small-'));
  const root = path.join(base, 'root');
  await mkdir(root);
  const runtime = createNodeRuntime();
  let placed = 0;
  let made: FilePlacer | undefined;
  const disk: Disk = {
    ...runtime.disk,
    placer: () => {
      const inner = (made = runtime.disk.placer()!);
      return {
        get state() {
          return inner.state;
        },
        place: (files) => ((placed += files.length), inner.place(files)), [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
      };
    },
  };
  const store = await connector.open(`file://${root}`, {}, {disk, clock: runtime.clock, random: runtime.random, variables: {}, http: {request: () => Promise.reject(new Error('no network'))}});
  const put = async (name: string): Promise<void> => {
    const write = await store.write({key: fromText(name), metadata: {}, length: name.length, condition: {ifAbsent: true}}, call);
    await write.write(Buffer.from(name));
    const object = await write.finish();
    assert.deepEqual(await store.stat(fromText(name), call), object);
  };
  const wave = async (directory: string, count: number): Promise<void> => void (await Promise.all(Array.from({length: count}, (_, i) => put(`${directory}/${i}`))));
  try {
    await wave('first', 8);
    while (made?.state === 'starting') await disk.stat(root);
    await wave('new/deep', 20);
    assert.equal(placed, 20);
    await rename(path.join(root, 'new'), path.join(base, 'elsewhere'));
    await mkdir(path.join(root, 'new'));
    await wave('new/deep', 40);
    await assert.rejects(put('new/deep/0'), {kind: 'PreconditionFailed'});
    for (const [at, count] of [[path.join(root, 'new/deep'), 40], [path.join(base, 'elsewhere/deep'), 20], [path.join(root, '.weir/tmp'), 0]] as const) assert.equal((await readdir(at)).length, count);
    assert.equal(await readFile(path.join(root, 'new/deep/39'), 'utf8'), 'new/deep/39');
  } finally {
    await store.close();
    await rm(base, {recursive: true});
  }
});
