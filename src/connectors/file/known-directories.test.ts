import assert from 'node:assert/strict';
import {mkdir, mkdtemp, readFile, readdir, rename, rm, symlink} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, test} from 'node:test';
import {type ByteString, fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Disk, DiskDirectory, DiskFile} from '#runtime/disk.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {StoreWriteRequest, UnderStore} from '#understore/under-store.ts';
import {connector} from '#connectors/file/connector.ts';
import {KnownDirectories} from '#connectors/file/known-directories.ts';

const runtime = createNodeRuntime();
const call = {signal: new AbortController().signal};
const calls: string[] = [];
let opened = 0;
let base: string;
let root: string;
let store: UnderStore;

function counted(file: DiskFile): DiskFile {
  const noting = <A extends unknown[], R>(what: string, fn: (...args: A) => R) => (...args: A): R => {
    calls.push(what);
    return fn(...args);
  };
  return Object.assign(Object.create(file) as DiskFile, {
    descriptor: file.descriptor, write: noting('write', (...args: Parameters<DiskFile['write']>) => file.write(...args)), datasync: noting('datasync', () => file.datasync()),
    stat: noting('fstat', () => file.stat()), statNow: () => file.statNow(), close: noting('close', () => file.close()),
  });
}

function noting(disk: Disk): Disk {
  const note = <A extends unknown[], R>(what: string, fn: (...args: A) => R) => (...args: A): R => {
    calls.push(what);
    return fn(...args);
  };
  return {
    ...disk, stat: note('lstat', at => disk.stat(at)), realPath: note('realpath', at => disk.realPath(at)), rename: note('rename', (from, to) => disk.rename(from, to)),
    syncDirectory: note('sync by path', at => disk.syncDirectory(at)),
    makeDirectory: note('mkdir', (...args) => disk.makeDirectory(...args)), open: note('open', async (...args) => counted(await disk.open(...args))),
    openDirectory: async (at): Promise<DiskDirectory | undefined> => {
      const directory = await disk.openDirectory(at);
      if (!directory) return undefined;
      opened++;
      return {
        isThere: () => directory.isThere(), at: name => directory.at(name), statNow: name => directory.statNow(name), open: note('open', async (...args) => counted(await directory.open(...args))),
        sync: note('sync', () => directory.sync()),
        close: async () => {
          opened--;
          await directory.close();
        },
        [Symbol.asyncDispose]: () => directory.close(),
      };
    },
  };
}

const disk = noting(runtime.disk);
const environment = {disk, clock: runtime.clock, random: runtime.random, variables: {}, http: {request: () => Promise.reject(new Error('no network'))}};

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'weir-known-'));
  root = path.join(base, 'root');
  await mkdir(root);
  store = await connector.open(`file://${root}`, {}, environment);
});
afterEach(async () => {
  await store.close();
  assert.equal(opened, 0, 'directories that are still open');
  await rm(base, {recursive: true});
});

async function put(name: string, text: string, condition?: StoreWriteRequest['condition']): Promise<void> {
  const write = await store.write({key: fromText(name), metadata: {}, length: text.length, ...(condition ? {condition} : {})}, call);
  await write.write(Buffer.from(text.slice(0, 2)));
  await write.write(Buffer.from(text.slice(2)));
  const made = await write.finish();
  assert.deepEqual(await store.stat(fromText(name), call), made);
}

/** Writes there until the directory is known, where it can be. */
async function meet(directory: string): Promise<void> {
  for (let i = 0; i < 3; i++) await put(`${directory}/before${i}`, 'before');
}

test('a small file in a known directory costs four calls and a sync', async () => {
  await meet('d');
  if (opened === 0) return; // A file system on which directories cannot be known.
  const write = await store.write({key: fromText('d/größe'), metadata: {}, length: 5}, call);
  calls.length = 0;
  await write.write(Buffer.from('bytes'));
  await write.finish();
  assert.deepEqual(calls, ['open', 'write', 'rename', 'sync', 'close']);
  assert.equal(await readFile(path.join(root, 'd/größe'), 'utf8'), 'bytes');
  assert.deepEqual(await readdir(path.join(root, '.weir/tmp')), []);
});

test('many small files at once go to their places together', async () => {
  await meet('d');
  await meet('e');
  await mkdir(path.join(root, 'e/sub'));
  const burst = (from: number): Promise<void[]> => Promise.all(Array.from({length: 40}, (_, i) => put(`${i % 2 === 0 ? 'd' : 'e'}/${from + i}`, `file ${from + i}`, i % 4 < 2 ? {ifAbsent: true} : undefined)));
  let placed = 0;
  for (let from = 0; placed === 0 && opened > 0; from += 40) {
    calls.length = 0;
    await burst(from);
    placed = 40 - calls.filter(what => what === 'rename').length;
  }
  const {fingerprint} = (await store.stat(fromText('e/1'), call))!;
  const [there, late, over, beside] = await Promise.allSettled([
    put('d/0', 'another', {ifAbsent: true}), put('e/1', 'another', {ifFingerprint: 'no'}), put('e/1', 'over', {ifFingerprint: fingerprint}), put('e/sub', 'a file', {ifAbsent: true}),
  ]);
  assert.deepEqual([there!.status, late!.status, over!.status, beside!.status], ['rejected', 'rejected', 'fulfilled', 'fulfilled']);
  assert.ok(isKind((there as PromiseRejectedResult).reason, 'PreconditionFailed') && isKind((late as PromiseRejectedResult).reason, 'PreconditionFailed'));
  for (const [name, text] of [['d/0', 'file 0'], ['e/1', 'over'], ['e/39', 'file 39'], ['e/.weir~fsub', 'a file']] as const) assert.equal(await readFile(path.join(root, name), 'utf8'), text);
  await assert.rejects(put('e/sub', 'another', {ifAbsent: true}), error => isKind(error, 'PreconditionFailed'));
  assert.deepEqual(await readdir(path.join(root, '.weir/tmp')), []);
});

test('what happens to a known directory is seen', async () => {
  await mkdir(path.join(base, 'elsewhere'));
  await meet('d');
  await rename(path.join(root, 'd'), path.join(root, 'moved'));
  await put('d/after', 'made anew');
  assert.deepEqual(await readdir(path.join(root, 'd')), ['after']);
  assert.deepEqual((await readdir(path.join(root, 'moved'))).length, 3);

  await meet('d');
  await rm(path.join(root, 'd'), {recursive: true});
  await put('d/again', 'again');
  assert.deepEqual(await readdir(path.join(root, 'd')), ['again']);

  await meet('d');
  await rm(path.join(root, 'd'), {recursive: true});
  await symlink('../elsewhere', path.join(root, 'd'));
  await assert.rejects(put('d/out', 'out'), error => isKind(error, 'PermissionDenied'));
  await assert.rejects(put('d/out', 'out', {ifAbsent: true}), error => isKind(error, 'PermissionDenied'));
  assert.deepEqual(await readdir(path.join(base, 'elsewhere')), []);

  // The directory is the same, and outside now.
  await meet('e');
  await rename(path.join(root, 'e'), path.join(base, 'elsewhere/e'));
  await symlink('../elsewhere/e', path.join(root, 'e'));
  await assert.rejects(put('e/out', 'out'), error => isKind(error, 'PermissionDenied'));
  assert.equal((await readdir(path.join(base, 'elsewhere/e'))).length, 3);
});

test('a link within the root is followed, each time anew', async () => {
  await meet('d');
  await symlink('d', path.join(root, 'in'));
  for (let i = 0; i < 4; i++) await put(`in/${i}`, 'linked');
  assert.equal(await readFile(path.join(root, 'd/3'), 'utf8'), 'linked');
});

test('what has the name of a directory goes beside it, conditions hold', async () => {
  await meet('d');
  await meet('d/sub');
  await put('d/sub', 'a file', {ifAbsent: true});
  await assert.rejects(put('d/sub', 'another', {ifAbsent: true}), error => isKind(error, 'PreconditionFailed'));
  const {fingerprint} = (await store.stat(fromText('d/sub'), call))!;
  await put('d/sub', 'another', {ifFingerprint: fingerprint});
  await assert.rejects(put('d/sub', 'third', {ifFingerprint: fingerprint}), error => isKind(error, 'PreconditionFailed'));
  assert.equal(await readFile(path.join(root, 'd/.weir~fsub'), 'utf8'), 'another');
});

test('a file is whole or not there', async () => {
  await meet('d');
  const write = await store.write({key: fromText('d/short'), metadata: {}, length: 5}, call);
  await write.write(Buffer.from('byt'));
  await assert.rejects(write.finish(), error => isKind(error, 'IncompleteBody'));
  await write.abort();
  const long = await store.write({key: fromText('d/long'), metadata: {}, length: 2}, call);
  await long.write(Buffer.from('too long'));
  await assert.rejects(long.finish(), error => isKind(error, 'IncompleteBody'));
  await put('d/empty', '');
  assert.deepEqual([await store.stat(fromText('d/short'), call), await store.stat(fromText('d/long'), call)], [undefined, undefined]);
  assert.equal((await store.stat(fromText('d/empty'), call))?.length, 0);
});

test('few directories are kept open, and none whose name could be lost', async () => {
  const known = new KnownDirectories(disk);
  const at = (i: number): ByteString => fromText(path.join(root, `d${i}`));
  for (let i = 0; i < 140; i++) {
    await mkdir(at(i));
    await known.met(at(i), () => true);
    assert.equal(known.enter(at(i)), undefined, 'once is not enough');
    await known.met(at(i), () => i > 0);
  }
  assert.equal(known.enter(at(0)), undefined);
  const entered = known.enter(at(1));
  if (!entered) return; // A file system on which directories cannot be known.
  assert.equal(opened, 128);
  assert.equal(known.enter(at(139)), undefined, 'the others are still in use');
  for (let i = 0; i < 600; i++) known.enter(at(2))![Symbol.dispose]();
  for (let i = 0; i < 2; i++) await known.met(at(139), () => true);
  known.enter(at(139))![Symbol.dispose]();
  await Promise.all([130, 131, 132, 133].map((i) => known.know(at(i), () => true)));
  for (const i of [130, 131, 132, 133]) known.enter(at(i))![Symbol.dispose]();
  assert.equal(opened, 128, 'each of some at once takes the place of one');
  await known.close();
  assert.equal(opened, 1, 'who is in one still uses it');
  await entered.sync();
  entered[Symbol.dispose]();
  assert.equal(opened, 0);
});
