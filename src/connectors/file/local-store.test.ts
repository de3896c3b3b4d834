import assert from 'node:assert/strict';
import {mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {afterEach, beforeEach, test} from 'node:test';
import fc from 'fast-check';
import {type ByteString, fromBytes, fromText, prefixEnd} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Disk} from '#runtime/disk.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';
import {connector} from '#connectors/file/connector.ts';
import {DirectorySync} from '#connectors/file/directory-sync.ts';
import {pathOfKey, readName} from '#connectors/file/names.ts';
import {walk} from '#connectors/file/walk.ts';

const runtime = createNodeRuntime();
const call = {signal: new AbortController().signal};
const key = fromText;
let base: string;
let root: string;
let store: UnderStore;

const environment = {disk: runtime.disk, clock: runtime.clock, random: runtime.random, variables: {}, http: {request: () => Promise.reject(new Error('no network'))}};
const open = (at = root): Promise<UnderStore> => connector.open(`file://${at}`, {}, environment);

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'weir-local-'));
  root = path.join(base, 'root');
  await mkdir(root);
  store = await open();
});
afterEach(() => rm(base, {recursive: true}));

async function put(name: ByteString, text: string, to: UnderStore = store): Promise<StoreObject> {
  const write = await to.write({key: name, metadata: {}}, call);
  await write.write(Buffer.from(text));
  return await write.finish();
}

async function get(name: ByteString): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.read(name, {}, call)).body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function keys(): Promise<string[]> {
  const page = await store.list({prefix: key(''), delimiter: false, limit: 10_000}, call);
  return page.objects.filter(object => object.kind !== 'directory').map(object => object.key);
}

test('names that a file system cannot hold are escaped, and come back', async () => {
  const long = 'x'.repeat(300);
  const names = ['a//b', 'dots/./x', 'dots/../x', '..', '.weir~e', '.weir~~', `long/${long}`, `long/${long}y`, `long/${'x'.repeat(200)}`, `long/${'x'.repeat(1024)}/inside`, 'ends//x'];
  for (const name of names) await put(key(name), name);
  for (const name of names) assert.equal(await get(key(name)), name);
  assert.deepEqual(await keys(), names.toSorted());
  const listed = await store.list({prefix: key('long/'), delimiter: true, limit: 100}, call);
  assert.deepEqual(listed.prefixes, [`long/${'x'.repeat(1024)}/`]);
  assert.deepEqual(await store.remove(names.map(key), call), []);
  assert.deepEqual(await keys(), []);
});

test('escaping is reversible for any name', () => {
  const byte = fc.integer({min: 1, max: 255}).filter(n => n !== 0x2f);
  const name = fc.oneof(fc.array(byte, {maxLength: 1024}).map(bytes => fromBytes(Uint8Array.from(bytes))), fc.constantFrom('', '.', '..', '.weir~', '.weir~=x', '.weir~+', 'a').map(key));
  fc.assert(
    fc.property(name, original => {
      const pieces = pathOfKey(`top/${original}/end` as ByteString).split('/').slice(1, -1) as ByteString[];
      assert.ok(pieces.every(piece => piece.length > 0 && piece.length <= 255 && piece !== '.' && piece !== '..'));
      const read = pieces.map(piece => readName(piece)!);
      assert.equal(read.map(piece => piece.name).join(''), original);
      assert.deepEqual(read.map(piece => piece.form), pieces.length === 1 ? ['plain'] : [...pieces.slice(1).map(() => 'piece'), 'last']);
    }),
  );
});

test('nothing leaves the root', async () => {
  await writeFile(path.join(base, 'secret'), 'outside');
  await mkdir(path.join(base, 'elsewhere'));
  await put(key('inside/file'), 'inside');
  await symlink(path.join(base, 'secret'), path.join(root, 'link'));
  await symlink('../elsewhere', path.join(root, 'out'));
  await symlink('inside', path.join(root, 'in'));
  for (const name of ['../secret', 'inside/../../secret', '..', '/etc/passwd']) assert.equal(await store.stat(key(name), call), undefined, name);
  for (const name of ['nul\0', '.weir/tmp/x', '.weir', '.weir/versions', '.weir/versions/a/b']) await assert.rejects(store.stat(key(name), call), error => isKind(error, 'InvalidPath'), name);
  await assert.rejects(store.read(key('link'), {}, call), error => isKind(error, 'PermissionDenied'));
  await assert.rejects(store.openLocal(key('link'), call), error => isKind(error, 'PermissionDenied'));
  await assert.rejects(put(key('out/new'), 'x'), error => isKind(error, 'PermissionDenied'));
  await assert.rejects(store.makeDirectory(key('out/new/'), call), error => isKind(error, 'PermissionDenied'));
  assert.ok(isKind((await store.remove([key('out/x')], call))[0]?.error, 'PermissionDenied'));
  assert.deepEqual(await readdir(path.join(base, 'elsewhere')), []);
  assert.equal(await get(key('in/file')), 'inside', 'a link within the root is followed');
  const link = (await store.stat(key('link'), call))!;
  assert.deepEqual([link.kind, link.target], ['symlink', path.join(base, 'secret')]);
  await put(key('link'), 'replaced');
  assert.equal(await readFile(path.join(base, 'secret'), 'utf8'), 'outside', 'a link is replaced, not written through');
});

test('a file and a directory of one name stand side by side', async () => {
  await put(key('a'), 'file');
  await put(key('a/b'), 'below');
  assert.deepEqual([await get(key('a')), await get(key('a/b'))], ['file', 'below']);
  assert.deepEqual(await keys(), ['a', 'a/b']);
  assert.deepEqual((await readdir(root)).toSorted(), ['.weir', '.weir~fa', 'a']);
  await put(key('a'), 'newer');
  assert.equal(await get(key('a')), 'newer');
  assert.deepEqual(await store.remove([key('a/b')], call), []);
  assert.deepEqual(await store.remove([key('a/')], call), []);
  assert.deepEqual((await readdir(root)).toSorted(), ['.weir', 'a'], 'the file has its own name again');
  assert.equal(await get(key('a')), 'newer');
});

test('a directory has the bytes of its own key in it, unseen', async () => {
  await put(key('d/'), 'own');
  await put(key('d/.weir~d'), 'another');
  assert.deepEqual([await get(key('d/')), await get(key('d/.weir~d')), await keys()], ['own', 'another', ['d/.weir~d']]);
  assert.deepEqual((await readdir(path.join(root, 'd'))).toSorted(), ['.weir~=d', '.weir~d']);
  const seen = (await store.stat(key('d/'), call))!;
  assert.deepEqual([seen.kind, seen.length], ['directory', 3]);
  const listed = (await store.list({prefix: key('d/'), delimiter: true, limit: 9}, call)).objects.find(object => object.key === 'd/');
  assert.deepEqual([listed?.length, listed?.fingerprint], [3, seen.fingerprint]);
  const {file, object} = await store.openLocal(key('d/'), call);
  await file.close();
  assert.equal(object.fingerprint, seen.fingerprint);
  await store.rename(key('d/'), key('e/'), call);
  assert.equal((await store.stat(key('e/'), call))?.fingerprint, seen.fingerprint);
  for (const to of ['copy/', 'file']) assert.equal((await store.copy(key('e/'), key(to), {}, call)).length, 3);
  assert.deepEqual([await get(key('copy/')), await get(key('file'))], ['own', 'own']);
  await store.copy(key('file'), key('e/'), {ifFingerprint: (await store.stat(key('file'), call))!.fingerprint}, call);
  assert.ok(isKind((await store.remove([key('e/')], call))[0]?.error, 'DirectoryNotEmpty'), 'the bytes go, what is below stays');
  assert.equal((await store.stat(key('e/'), call))?.length, 0);
  await assert.rejects(get(key('e/')), error => isKind(error, 'NotFound'));
  assert.equal((await put(key('copy/'), '')).length, 0);
  assert.deepEqual(await readdir(path.join(root, 'copy')), []);
  await put(key('copy/'), 'again');
  await put(key('copy/below/last'), 'gone in any order');
  assert.deepEqual(await store.remove([key('copy/'), key('copy/below/'), key('copy/below/last'), key('e/.weir~d'), key('e/'), key('file')], call), []);
  assert.deepEqual(await readdir(root), ['.weir']);
});

test('takes bytes from a file of this host, beside those that are written', async () => {
  const bytes = Buffer.alloc(2_000_000, 'some bytes ');
  await writeFile(path.join(base, 'elsewhere'), bytes);
  await using file = await runtime.disk.open(path.join(base, 'elsewhere'), {mode: 'read'});
  const write = await store.write({key: key('taken'), metadata: {}, length: 1_900_003}, call);
  await write.write(Buffer.from('abc'));
  const taken = await write.writeFile!(file.descriptor, 100_000, 1_900_000);
  if (!taken) await write.write(bytes.subarray(100_000));
  assert.equal((await write.finish()).length, 1_900_003);
  assert.ok((await readFile(path.join(root, 'taken'))).equals(Buffer.concat([Buffer.from('abc'), bytes.subarray(100_000)])));
});

test('names that are no UTF-8 are names like others', async () => {
  const name = fromBytes(Uint8Array.of(0xff, 0x41, 0xe9));
  await put(name, 'bytes');
  assert.deepEqual(await keys(), [name]);
  assert.equal(await get(name), 'bytes');
  assert.deepEqual((await readdir(root, {encoding: 'buffer'})).map(bytes => fromBytes(bytes)).filter(found => found !== '.weir'), [name]);
});

test('a file that changes while it is read is not passed off as whole', async () => {
  await put(key('big'), 'x'.repeat(600_000));
  const read = await store.read(key('big'), {}, call);
  let bytes = 0;
  await assert.rejects(
    async () => {
      for await (const chunk of read.body) {
        if (bytes === 0) await writeFile(path.join(root, 'big'), 'y'.repeat(600_000));
        bytes += chunk.length;
      }
    },
    error => isKind(error, 'ContentChanged'),
  );
  assert.ok(bytes < 600_000);
});

test('a walk in small windows finds what one in a large window finds', async () => {
  for (const name of ['b', 'a/1', 'a/2/x', 'a/2/y', 'a-', 'a.b', 'c/d/e/f', 'c/d+', 'z']) await put(key(name), '1');
  const collect = async (windowNames: number, recursive: boolean, after?: ByteString): Promise<string[]> => {
    const found: string[] = [];
    for await (const item of walk(runtime.disk, fromText(root), key(''), {namePrefix: key(''), after, recursive, windowNames})) found.push(item.key);
    return found;
  };
  for (const recursive of [true, false]) {
    const all = await collect(1000, recursive);
    assert.deepEqual(all, all.toSorted());
    for (const window of [1, 2, 3]) assert.deepEqual(await collect(window, recursive), all);
    for (const after of [...all, 'a/2', 'a/2/xx', 'c/d/', '0', '~']) {
      const start = recursive || !after.includes('/') ? undefined : prefixEnd(after.slice(0, after.indexOf('/') + 1) as ByteString);
      assert.deepEqual(await collect(2, recursive, after as ByteString), all.filter(name => (start === undefined ? name > after : name >= start)), `${recursive} ${after}`);
    }
  }
});

test('windows grow, and nothing is lost between them', async () => {
  const names = Array.from({length: 9000}, (_, i) => `n${(i * 7919) % 9000}`);
  for (let i = 0; i < names.length; i += 100) await Promise.all(names.slice(i, i + 100).map(name => writeFile(path.join(root, name), '')));
  const found: string[] = [];
  for await (const {key: name} of walk(runtime.disk, fromText(root), key(''), {namePrefix: key(''), after: undefined, recursive: true, windowNames: 65_536})) found.push(name);
  assert.deepEqual(found, names.toSorted());
});

test('a continuation outlives the walk behind it', async () => {
  for (let i = 0; i < 30; i++) await put(key(`f${String(i).padStart(2, '0')}`), 'x');
  const first = await store.list({prefix: key(''), delimiter: true, limit: 10}, call);
  for (const other of [store, await open()]) {
    const next = await other.list({prefix: key(''), delimiter: true, limit: 10, continuation: first.continuation!}, call);
    assert.deepEqual(next.objects.map(object => object.key), Array.from({length: 10}, (_, i) => `f${10 + i}`));
  }
});

test('syncs of one directory are shared', async () => {
  let running = 0;
  let count = 0;
  const gates: (() => void)[] = [];
  const disk = {
    syncDirectory: async (): Promise<void> => {
      assert.equal(++running, 1, 'one at a time');
      count++;
      await new Promise<void>(resolve => gates.push(resolve));
      running--;
    },
  };
  const syncs = new DirectorySync(disk as unknown as Disk);
  const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
  const all = [syncs.sync(key('/d'))];
  await turn();
  for (let i = 0; i < 20; i++) all.push(syncs.sync(key('/d')));
  await turn();
  gates.shift()!();
  await turn();
  gates.shift()!();
  await Promise.all(all);
  assert.equal(count, 2);
});

test('a write below a directory that another has just made waits for its name too', async () => {
  const gate = Promise.withResolvers<void>();
  const stuck = Promise.withResolvers<void>();
  const disk: Disk = {
    ...runtime.disk,
    syncDirectory: async at => {
      if (at === root) {
        stuck.resolve();
        await gate.promise;
      }
      await runtime.disk.syncDirectory(at);
    },
  };
  const slow = await connector.open(`file://${root}`, {}, {...environment, disk});
  const answered: string[] = [];
  const first = put(key('new/a'), 'a', slow).then(() => answered.push('a'));
  await stuck.promise;
  const second = put(key('new/b'), 'b', slow).then(() => answered.push('b'));
  // Time enough for a write that does not wait: each turn is a trip to the disk and back.
  for (let turn = 0; turn < 300 && answered.length === 0; turn++) await runtime.disk.stat(root);
  assert.deepEqual(answered, []);
  gate.resolve();
  await Promise.all([first, second]);
});

test('what a crash left behind is swept when it is old', async () => {
  await put(key('x'), 'x');
  await writeFile(path.join(root, '.weir/tmp/old'), '');
  await writeFile(path.join(root, '.weir/tmp/young'), '');
  await utimes(path.join(root, '.weir/tmp/old'), 1, 1);
  await open();
  assert.deepEqual(await readdir(path.join(root, '.weir/tmp')), ['young']);
});

test('the root gone is an outage, not an empty store', async () => {
  await put(key('x'), 'x');
  await rename(root, `${root}-away`);
  await assert.rejects(store.list({prefix: key(''), delimiter: true, limit: 10}, call), error => isKind(error, 'Unavailable'));
  await assert.rejects(store.stat(key('x'), call), error => isKind(error, 'Unavailable'));
  await assert.rejects(store.read(key('x'), {}, call), error => isKind(error, 'Unavailable'));
  await rename(`${root}-away`, root);
});

test('URIs are read strictly', async () => {
  assert.deepEqual(connector.describe('file:///data/./x/../y%20z/', {}), {place: 'file:///data/y z/', defaultName: 'y z'});
  for (const uri of ['file://host/x', 'file:x', 'file:///a?b', 'file:///a%00b']) assert.throws(() => connector.describe(uri, {}), error => isKind(error, 'InvalidArgument'), uri);
  await assert.rejects(open(`${root}/absent`), error => isKind(error, 'NotFound'));
});

test('what the master keeps in its own folder is named by keys, and no listing shows it', async () => {
  await put(key('k'), 'old');
  await store.rename(key('k'), key('.weir/versions/1'), call);
  await put(key('k'), 'new');
  assert.equal(await readFile(path.join(root, '.weir/versions/1'), 'utf8'), 'old');
  assert.equal((await store.stat(key('.weir/versions/1'), call))?.length, 3);
  const {objects, prefixes} = await store.list({prefix: key(''), delimiter: true, limit: 10}, call);
  assert.deepEqual([...objects.map(object => object.key), ...prefixes], ['k']);
  assert.deepEqual(await store.remove([key('.weir/versions/1')], call), []);
  assert.equal(await store.stat(key('.weir/versions/1'), call), undefined);
});

test('a key stands beside the directory of its name, also where the name is escaped', async () => {
  const names = ['d/plain', 'd/..', 'd/.', 'd/.weir~x', '..'].map(key);
  const below = (name: ByteString): ByteString => `${name}/x` as ByteString;
  for (const order of ['file first', 'directory first']) {
    for (const name of names) for (const one of order === 'file first' ? [name, below(name)] : [below(name), name]) await put(one, `bytes of ${one}`);
    const all = names.flatMap(name => [name, below(name)]);
    for (const one of all) assert.equal(await get(one), `bytes of ${one}`, order);
    const page = await store.list({prefix: key(''), delimiter: false, limit: 100}, call);
    assert.deepEqual(page.objects.filter(({kind}) => kind === 'file').map(object => object.key).toSorted(), all.toSorted(), order);
    assert.deepEqual(await store.remove(all, call), []);
    await store.remove(names.map(name => `${name}/` as ByteString), call);
  }
});
