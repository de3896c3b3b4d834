import assert from 'node:assert/strict';
import {mkdtemp, rename, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import {connector} from '#connectors/file/connector.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {ReadableContent} from '#model/content.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {InPlaceReads} from '#worker/reads/in-place.ts';

const runtime = createNodeRuntime();
const {signal} = new AbortController();
const storeKey = fromText('file');
let directory: string;
let store: UnderStore;
let reads: InPlaceReads;

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-in-place-'));
  store = await connector.open(`file://${directory}`, {}, {disk: runtime.disk, clock: runtime.clock, random: runtime.random, variables: {}, http: {request: () => Promise.reject(new Error('no network'))}});
  reads = new InPlaceReads();
  await writeFile(path.join(directory, 'file'), 'first');
});
afterEach(async () => {
  await reads.close();
  await rm(directory, {recursive: true});
});

async function version(): Promise<ReadableContent> {
  const object = (await store.stat(storeKey, {signal}))!;
  return {id: 1 as ContentId, length: object.length, mount: 1 as MountId, storeKey, fingerprint: object.fingerprint};
}
const read = async (content: ReadableContent, inline = 100, isOurs = false) => reads.read(store, content, {offset: 0, length: content.length}, {inlineBytesMax: inline, isOurs}, signal);
const isChanged = (error: unknown): boolean => isKind(error, 'ContentChanged');

const changes: Readonly<Record<string, () => Promise<void>>> = {
  'written in place': () => writeFile(path.join(directory, 'file'), 'other'),
  'replaced by another': async () => {
    await writeFile(path.join(directory, 'new'), 'other');
    await rename(path.join(directory, 'new'), path.join(directory, 'file'));
  },
  'removed': () => rm(path.join(directory, 'file')),
};
for (const [what, change] of Object.entries(changes)) {
  test(`a file that is ${what} while it is open is no longer the version asked for`, async () => {
    const content = await version();
    const body = await read(content);
    assert.equal(body.kind === 'bytes' && Buffer.from(body.bytes).toString(), 'first');
    const leased = await read(content, 0);
    assert.equal(leased.kind, 'lease');
    // Changes within one tick of the kernel's clock look alike.
    await runtime.clock.sleep(10);
    await change();
    if (leased.kind === 'lease') {
      using lease = leased.lease;
      await assert.rejects(async () => lease.validate?.(), isChanged);
    }
    assert.equal(reads.readNow(content, {offset: 0, length: content.length}, 100), undefined, 'nor on the spot');
    assert.equal(reads.readNow(content, {offset: 0, length: content.length}, 0), undefined);
    await assert.rejects(read(content), isChanged);
    await assert.rejects(read(content), isChanged, 'and not when it is opened anew');
  });
}

test('a file that is open and in memory is read on the spot', async () => {
  const content = await version();
  const all = {offset: 0, length: content.length};
  assert.equal(reads.readNow(content, all, 100), undefined, 'not open yet');
  await read(content);
  if (!(await settles(content))) return; // no file system of this machine's own
  for (const inline of [100, 0]) {
    const body = reads.readNow(content, all, inline)!;
    assert.equal(body.kind, inline > 0 ? 'bytes' : 'lease');
    assert.equal(Buffer.concat(await Array.fromAsync(bodyChunks(body))).toString(), 'first');
  }
  const part = reads.readNow(content, {offset: 1, length: 2}, 100);
  assert.equal(part?.kind === 'bytes' && Buffer.from(part.bytes).toString(), 'ir');
  const into = Buffer.from('.....');
  assert.ok(reads.readInto(content, 2, into.subarray(1, 4)));
  assert.equal(into.toString(), '.rst.');
  assert.ok(!reads.readInto(content, 3, into), 'more than there is');
});

/** Whether reads on the spot begin: the kind of file system is found out behind the first. */
async function settles(content: ReadableContent): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    if (reads.readNow(content, {offset: 0, length: 1}, 100)) return true;
    await runtime.clock.sleep(1);
  }
  return false;
}

test('a file that was renamed while it is open is still the version that its new name has', async () => {
  const before = await version();
  await read(before);
  // Changes within one tick of the kernel's clock look alike.
  await runtime.clock.sleep(10);
  await rename(path.join(directory, 'file'), path.join(directory, 'elsewhere'));
  const moved = fromText('elsewhere');
  const object = (await store.stat(moved, {signal}))!;
  const body = await read({...before, storeKey: moved, fingerprint: object.fingerprint});
  assert.equal(body.kind === 'bytes' && Buffer.from(body.bytes).toString(), 'first');
});

for (const isOurs of [true, false]) {
  test(`a file of ${isOurs ? 'ours' : 'others'} that is renamed while it is read ${isOurs ? 'is read on' : 'may be another version'}`, async () => {
    const body = await read(await version(), 0, isOurs);
    assert.ok(body.kind === 'lease');
    using lease = body.lease;
    // Changes within one tick of the kernel's clock look alike.
    await runtime.clock.sleep(10);
    await rename(path.join(directory, 'file'), path.join(directory, 'elsewhere'));
    const validated = async (): Promise<void> => await lease.validate?.();
    if (isOurs) await validated();
    else await assert.rejects(validated, isChanged);
  });
}

test('a file of ours that is written all the same is another version', async () => {
  const body = await read(await version(), 0, true);
  assert.ok(body.kind === 'lease');
  using lease = body.lease;
  await runtime.clock.sleep(10);
  await writeFile(path.join(directory, 'file'), 'other');
  await assert.rejects(async () => lease.validate?.(), isChanged);
});

test('keeps so many files open as it may, and none whose content was dropped', async () => {
  const few = new InPlaceReads(2);
  const content = await version();
  for (const id of [1, 2, 3] as ContentId[]) await few.read(store, {...content, id}, {offset: 0, length: content.length}, {inlineBytesMax: 100, isOurs: false}, signal);
  assert.equal(few.openFiles, 2);
  few.drop(1 as ContentId);
  assert.equal(few.openFiles, 2, 'it had given way');
  few.drop(3 as ContentId);
  assert.equal(few.openFiles, 1);
  await few.close();
});
