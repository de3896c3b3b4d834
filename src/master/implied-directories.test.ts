/** Directories that only keys imply, on a real file system: they come with the first key and go with the last, in store and namespace. */
import assert from 'node:assert/strict';
import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, test} from 'node:test';
import {bytes, context, keys, put} from '#master/fixture.test.ts';
import {Master} from '#master/master.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Metastore} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {createStoreRegistry} from '#understore/registry.ts';

const runtime = createNodeRuntime();
let base: string;
let data: string;
let metastore: Metastore;
let master: Master;

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'weir-implied-'));
  data = path.join(base, 'data');
  await mkdir(data);
  metastore = await openMetastore({runtime, directory: path.join(base, 'log'), engine: memoryEngine(runtime, new MemoryMedium())});
  const environment = {disk: runtime.disk, clock: runtime.clock, random: runtime.random, variables: {}, http: {request: () => Promise.reject(new Error('no network'))}};
  const stores = createStoreRegistry({file: () => import('#connectors/file/connector.ts')}, environment, runtime.metrics);
  master = await Master.open({metastore, runtime, stores, root: {uri: `file://${data}`, options: {}}});
  await master.makeDirectory(bytes('/b/'), {}, context);
});
afterEach(async () => {
  await master.close();
  await metastore.close();
  await rm(base, {recursive: true});
});

const remove = (key: string): Promise<unknown> => master.remove(bytes(`/b/${key}`), {kind: 'file'}, context);
const onDisk = async (): Promise<string[]> => (await readdir(path.join(data, 'b'), {recursive: true})).toSorted();
/** What listings show must not make an implied directory stay. */
const look = async (): Promise<string[]> => {
  await master.refresh(bytes('/b/'), context);
  return await keys(master, '/b/', {view: 'tree'});
};

test('parents that keys imply go with the last key', async () => {
  const long = 'k'.repeat(1000);
  for (const key of ['x/y/1', 'x/y/2', 'x/3', `x//${long}`, long]) await put(master, `/b/${key}`, key);
  assert.equal((await look()).length, 8);
  await remove('x/y/1');
  assert.deepEqual((await look()).filter(key => key.length < 10), ['x/', 'x//', 'x/3', 'x/y/', 'x/y/2']);
  for (const key of ['x/y/2', `x//${long}`, 'x/3', long]) await remove(key);
  assert.deepEqual(await look(), []);
  assert.deepEqual(await onDisk(), []);
  await master.remove(bytes('/b/'), {kind: 'directory'}, context);
});

test('directories made for their own sake stay, and so does what others put there', async () => {
  await master.makeDirectory(bytes('/b/made/'), {}, context);
  await put(master, '/b/made/below/x', '');
  await put(master, '/b/marked/', '');
  await put(master, '/b/marked/x', '');
  await put(master, '/b/shared/x', '');
  await writeFile(path.join(data, 'b/shared/foreign'), '');
  await mkdir(path.join(data, 'b/theirs'));
  await look();
  await put(master, '/b/theirs/x', '');
  for (const key of ['made/below/x', 'marked/x', 'shared/x', 'theirs/x']) await remove(key);
  assert.deepEqual(await onDisk(), ['made', 'marked', 'shared', 'shared/foreign', 'theirs']);
  assert.deepEqual(await look(), ['made/', 'marked/', 'shared/', 'shared/foreign', 'theirs/']);
  assert.deepEqual(await keys(master, '/b/'), ['made/', 'marked/', 'shared/foreign', 'theirs/']);
});

test('the key of a directory makes it and unmakes it', async () => {
  const {inode} = await put(master, '/b/d/', '');
  assert.equal(inode.content?.length, 0);
  await put(master, '/b/d/x', '');
  await remove('d/');
  assert.deepEqual(await keys(master, '/b/'), ['d/x'], 'the marker is gone, the directory is implied');
  await remove('d/x');
  await put(master, '/b/f/', '');
  await remove('f/');
  assert.deepEqual([await look(), await onDisk()], [[], []]);
});

test('a rename takes implied parents with it', async () => {
  await put(master, '/b/from/deep/x', 'x');
  await put(master, '/b/tree/t/x', 'x');
  await master.rename(bytes('/b/from/deep/x'), bytes('/b/x'), {replace: true, kind: 'file'}, context);
  await master.rename(bytes('/b/tree/t/'), bytes('/b/t/'), {replace: true, kind: 'directory'}, context);
  assert.deepEqual(await onDisk(), ['t', 't/x', 'x']);
  assert.deepEqual(await look(), ['t/', 't/x', 'x']);
});

test('puts and deletes in one directory at once: nothing is lost, nothing is left', async () => {
  const lane = async (n: number): Promise<void> => {
    for (let round = 0; round < 12; round++) {
      const key = `p/q/${n}`;
      const {inode} = await put(master, `/b/${key}`, `${round}`);
      const found = await master.stat(bytes(`/b/${key}`), {kind: 'file'}, context);
      assert.equal(found.inode.content?.id, inode.content?.id);
      if (round % 3 === n % 3) await look();
      await remove(key);
    }
  };
  await Promise.all(Array.from({length: 6}, (_, n) => lane(n)));
  assert.deepEqual([await look(), await onDisk()], [[], []]);
});

test('bytes of a key that ends in a slash lie in its directory, and follow the key', async () => {
  const marker = async () => (await master.stat(bytes('/b/d/'), {kind: 'directory'}, context)).inode.content?.length;
  await put(master, '/b/d/', 'bytes');
  await put(master, '/b/d/below', 'x');
  assert.deepEqual([await look(), await onDisk(), await marker()], [['d/', 'd/below'], ['d', 'd/.weir~d', 'd/below'], 5]);
  await rm(path.join(data, 'b/d/.weir~d'));
  await master.refresh(bytes('/b/d/'), context);
  assert.equal(await marker(), 0, 'somebody else took them');
  await writeFile(path.join(data, 'b/d/.weir~d'), 'other bytes');
  await master.refresh(bytes('/b/d/'), context);
  assert.equal(await marker(), 11, 'and put others there');
  await remove('d/');
  assert.deepEqual([await keys(master, '/b/', {view: 'keys'}), await onDisk()], [['d/below'], ['d', 'd/below']]);
  await put(master, '/b/d/', 'bytes');
  await remove('d/below');
  assert.deepEqual(await keys(master, '/b/', {view: 'keys'}), ['d/']);
  await master.rename(bytes('/b/d/'), bytes('/b/e/'), {replace: false}, context);
  await remove('e/');
  assert.deepEqual([await look(), await onDisk()], [[], []]);
});
