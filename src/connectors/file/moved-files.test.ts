import assert from 'node:assert/strict';
import {appendFile, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {connector} from '#connectors/file/connector.ts';

const runtime = createNodeRuntime();
const environment = {disk: runtime.disk, clock: runtime.clock, random: runtime.random, variables: {}, http: {request: () => Promise.reject(new Error('no network'))}};
const call = {signal: new AbortController().signal};
const key = fromText;
let root: string;
let store: UnderStore;
const open = (): Promise<UnderStore> => connector.open(`file://${root}`, {}, environment);

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'weir-moved-'));
  store = await open();
});
afterEach(() => rm(root, {recursive: true}));

async function put(name: string, text: string): Promise<string> {
  const write = await store.write({key: key(name), metadata: {}}, call);
  await write.write(Buffer.from(text));
  return (await write.finish()).fingerprint;
}
const fingerprint = async (name: string): Promise<string | undefined> => (await store.stat(key(name), call))?.fingerprint;
const notes = (): Promise<string[]> => readdir(path.join(root, '.weir/moved')).catch(() => []);

test('a file that makes room for a directory of its name stays the same version: aside, after a restart, and back', async () => {
  const was = await put('both', 'bytes');
  await put('both/below', 'x');
  assert.equal(await readFile(path.join(root, '.weir~fboth'), 'utf8'), 'bytes');
  assert.equal(await fingerprint('both'), was);
  const {objects} = await store.list({prefix: key(''), delimiter: true, limit: 10}, call);
  assert.equal(objects.find(object => object.key === 'both')?.fingerprint, was);
  assert.equal((await store.read(key('both'), {ifFingerprint: was}, call)).object.fingerprint, was);
  store = await open();
  assert.equal(await fingerprint('both'), was);
  await store.remove([key('both/below'), key('both/')], call);
  assert.equal(await readFile(path.join(root, 'both'), 'utf8'), 'bytes');
  assert.equal(await fingerprint('both'), was);
  store = await open();
  assert.equal(await fingerprint('both'), was);
  await store.remove([key('both')], call);
  assert.deepEqual(await notes(), []);
});

test('what has changed since is another version', async () => {
  const was = await put('both', 'bytes');
  await put('both/below', 'x');
  const aside = path.join(root, '.weir~fboth');
  const {atime, mtime} = await stat(aside);
  await writeFile(aside, 'other');
  await utimes(aside, atime, mtime);
  assert.notEqual(await fingerprint('both'), was);
  store = await open();
  assert.notEqual(await fingerprint('both'), was);
  assert.deepEqual(await notes(), [], 'its note is gone');
  const replaced = await put('both', 'replaced');
  assert.equal(await fingerprint('both'), replaced);
});

test('a note from a crash before or after the move', async () => {
  const was = await put('both', 'bytes');
  await put('both/below', 'x');
  const [name] = await notes();
  const note = path.join(root, '.weir/moved', name!);
  const [, , where] = (await readFile(note, 'latin1')).split('\n');
  await writeFile(note, `${was}\n\n${where}`, 'latin1');
  store = await open();
  assert.equal(await fingerprint('both'), was, 'moved, and not noted so');
  await writeFile(note, `${was}\n\n${where}`, 'latin1');
  await appendFile(path.join(root, '.weir~fboth'), '!');
  store = await open();
  assert.notEqual(await fingerprint('both'), was);
  await writeFile(path.join(root, '.weir/moved/none'), 'torn');
  store = await open();
  assert.deepEqual(await notes(), []);
});
