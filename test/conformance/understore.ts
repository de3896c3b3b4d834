/**
 * What every under store must do, whatever it is made of: one suite, run on the store in memory and on every connector
 * with a real server behind it. Parts that a store cannot do by its capabilities are left out for it, visibly.
 */
import assert from 'node:assert/strict';
import {after, before, describe, test} from 'node:test';
import {type ByteString, fromBytes, fromText} from '#base/byte-string.ts';
import {isKind, type ErrorKind} from '#base/errors.ts';
import type {SmallWrite, StoreListRequest, StoreObject, StoreReadRequest, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

export interface UnderStoreUnderTest {
  readonly store: UnderStore;
  /** Puts an object by other means, for stores that cannot write. */
  readonly seed?: (key: ByteString, bytes: Uint8Array) => Promise<void>;
  /** Keys that this store cannot hold by its nature (names in URLs of a web server, say). */
  readonly cannotHold?: (key: ByteString) => boolean;
  dispose(): Promise<void>;
}

const call = {signal: new AbortController().signal};
const key = fromText;

/** A store of its own for each suite, empty. */
export function describeUnderStore(name: string, make: () => Promise<UnderStoreUnderTest>): void {
  describe(`under store ${name}`, () => {
    let subject: UnderStoreUnderTest;
    let store: UnderStore;
    before(async () => {
      subject = await make();
      store = subject.store;
    });
    after(() => subject.dispose());

    const put = async (name: ByteString, bytes: Uint8Array, more: Partial<StoreWriteRequest> = {}): Promise<StoreObject | undefined> => {
      if (!store.capabilities.write) {
        assert.ok(subject.seed, 'a store that cannot write needs seed()');
        await subject.seed(name, bytes);
        return undefined;
      }
      return await write(store, {key: name, metadata: {}, ...more}, bytes);
    };
    const needs = (t: {skip(message: string): void}, ...names: (keyof UnderStore['capabilities'])[]): boolean => {
      const missing = names.filter(capability => store.capabilities[capability] === false || store.capabilities[capability] === 'none');
      if (missing.length > 0) t.skip(`not applicable: ${name} has no capability ${missing.join(', ')}`);
      return missing.length === 0;
    };

    test('answers what was written, whole and in ranges', async () => {
      const bytes = pattern(200_000);
      await put(key('ranges/a.bin'), bytes);
      const object = await store.stat(key('ranges/a.bin'), call);
      assert.equal(object?.length, bytes.length);
      assert.equal(object.kind, 'file');
      const cases: [StoreReadRequest, number, number][] = [
        [{}, 0, 200_000], [{offset: 0, length: 1}, 0, 1], [{offset: 65_535, length: 2}, 65_535, 2], [{offset: 199_999}, 199_999, 1],
        [{offset: -5}, 199_995, 5], [{offset: -900_000}, 0, 200_000], [{offset: 150_000, length: 900_000}, 150_000, 50_000],
      ];
      for (const [request, offset, length] of cases) {
        const read = await store.read(key('ranges/a.bin'), request, call);
        assert.deepEqual([read.offset, read.length, read.object.length], [offset, length, 200_000], JSON.stringify(request));
        assert.equal(read.object.fingerprint, object.fingerprint);
        assert.ok((await collect(read.body)).equals(bytes.subarray(offset, offset + length)), JSON.stringify(request));
      }
    });

    test('refuses ranges behind the end, and says how long the object is', async () => {
      await put(key('short'), pattern(10));
      for (const offset of [10, 11, 1_000_000]) {
        await rejects(store.read(key('short'), {offset, length: 5}, call), 'RangeNotSatisfiable', error => assert.equal(error.details['length'], 10));
      }
    });

    test('holds empty objects', async () => {
      await put(key('empty/file'), pattern(0));
      assert.equal((await store.stat(key('empty/file'), call))?.length, 0);
      const read = await store.read(key('empty/file'), {}, call);
      assert.equal(read.length, 0);
      assert.equal((await collect(read.body)).length, 0);
    });

    test('makes small objects together, each or not for itself', async t => {
      if (store.capabilities.togetherBytesMax === undefined || !store.writeTogether) return t.skip(`not applicable: ${name} takes objects one by one`);
      const before = (await put(key('together/old'), pattern(5)))!;
      // Again and again: a store may take the first of them another way.
      for (const round of ['one', 'two', 'three']) {
        const files = Array.from({length: 70}, (_, i) => ({key: key(`together/${round}/${i % 7}/${i}`), bytes: pattern(i), condition: {ifAbsent: true} as const}));
        const more: SmallWrite[] = [
          {key: key('together/old'), bytes: pattern(6), condition: {ifAbsent: true} as const}, {key: key('together/old'), bytes: pattern(7), condition: {ifFingerprint: 'another'}},
          {key: key(`together/${round}/large`), bytes: pattern(store.capabilities.togetherBytesMax)},
        ];
        const made = await store.writeTogether([...files, ...more], call);
        for (const [i, file] of files.entries()) {
          assert.deepEqual(made[i], await store.stat(file.key, call));
          assert.ok((await collect((await store.read(file.key, {}, call)).body)).equals(file.bytes));
        }
        assert.ok(isKind(made[70], 'PreconditionFailed') && isKind(made[71], 'PreconditionFailed'));
        assert.equal((await store.stat(more[2]!.key, call))?.length, store.capabilities.togetherBytesMax);
        const again = await store.writeTogether(files, call);
        assert.ok(again.every(answer => isKind(answer, 'PreconditionFailed')));
      }
      const [replaced] = await store.writeTogether([{key: key('together/old'), bytes: pattern(8), condition: {ifFingerprint: before.fingerprint}}], call);
      assert.deepEqual(replaced, await store.stat(key('together/old'), call));
      assert.equal((await store.stat(key('together/old'), call))?.length, 8);
    });

    test('says that what is absent is absent', async () => {
      assert.equal(await store.stat(key('no/such'), call), undefined);
      assert.equal(await store.stat(key('no/such/'), call), undefined);
      await rejects(store.read(key('no/such'), {}, call), 'NotFound');
      assert.deepEqual(await listAll(store, {prefix: key('no/'), delimiter: true, limit: 10}), []);
    });

    test('fails a conditional read of another version', async () => {
      await put(key('versioned'), pattern(100));
      const before = (await store.stat(key('versioned'), call))!;
      assert.equal((await collect((await store.read(key('versioned'), {ifFingerprint: before.fingerprint}, call)).body)).length, 100);
      await put(key('versioned'), pattern(101));
      const now = (await store.stat(key('versioned'), call))!;
      assert.notEqual(now.fingerprint, before.fingerprint);
      await rejects(store.read(key('versioned'), {offset: 0, length: 10, ifFingerprint: before.fingerprint}, call), 'ContentChanged');
    });

    test('holds names of any bytes', async () => {
      const names = ['plain', 'with space', 'plus+and&amp;', 'percent%2Fnot slash', 'question?mark#hash', 'quote"\'<>', 'back\\slash', 'tab\there', 'ünïcode/日本', '~tilde*star', 'a'.repeat(200)]
        .map(fromText)
        .concat(fromBytes(Uint8Array.of(0x62, 0x7f, 0x01)))
        .filter(name => !subject.cannotHold?.(name));
      for (const [i, name] of names.entries()) await put(`bytes/${name}` as ByteString, pattern(i + 1));
      const listed = await listAll(store, {prefix: key('bytes/'), delimiter: false, limit: 4}, store.capabilities.recursiveList);
      const files = listed.filter(item => !item.endsWith('/'));
      if (store.capabilities.recursiveList) assert.deepEqual(files.toSorted(), names.map(name => `bytes/${name}`).toSorted());
      for (const [i, name] of names.entries()) assert.equal((await store.stat(`bytes/${name}` as ByteString, call))?.length, i + 1, name);
    });

    test('lists directories folded, files as objects, in pages of any size', async () => {
      for (const name of ['d/a', 'd/b/1', 'd/b/2', 'd/b+/x', 'd/b-c', 'd/c/deep/er', 'd/z']) await put(key(`list/${name}`), pattern(3));
      const expected = ['list/d/a', 'list/d/b+/', 'list/d/b-c', 'list/d/b/', 'list/d/c/', 'list/d/z'];
      for (const limit of [1, 2, 3, 5, 100]) {
        const got = (await listAll(store, {prefix: key('list/d/'), delimiter: true, limit})).filter(item => item !== 'list/d/');
        assert.deepEqual(store.capabilities.orderedList ? got : got.toSorted(), expected, `limit ${limit}`);
      }
      const page = await store.list({prefix: key('list/d/'), delimiter: true, limit: 100}, call);
      for (const object of page.objects.filter(object => object.kind === 'file')) {
        const stat = (await store.stat(object.key, call))!;
        assert.deepEqual([object.length, object.fingerprint], [stat.length, stat.fingerprint], 'listings and stat agree');
      }
    });

    test('lists a whole tree in key order', async t => {
      if (!needs(t, 'recursiveList')) return;
      const names = ['t/a/1', 't/a/2', 't/a-/3', 't/a.b', 't/b/c/d/e', 't/b0'];
      for (const name of names) await put(key(`tree/${name}`), pattern(1));
      for (const limit of [1, 3, 100]) {
        const got = (await listAll(store, {prefix: key('tree/'), delimiter: false, limit}, true)).filter(item => !item.endsWith('/'));
        const wanted = names.map(name => `tree/${name}`).toSorted();
        assert.deepEqual(store.capabilities.orderedList ? got : got.toSorted(), wanted, `limit ${limit}`);
      }
      const partial = (await listAll(store, {prefix: key('tree/t/a'), delimiter: false, limit: 100}, true)).filter(item => !item.endsWith('/'));
      assert.deepEqual(partial.toSorted(), ['tree/t/a-/3', 'tree/t/a.b', 'tree/t/a/1', 'tree/t/a/2'], 'a prefix may end inside a name');
    });

    test('starts a listing after any key', async t => {
      if (!needs(t, 'listAfter', 'orderedList')) return;
      for (const name of ['a', 'b/1', 'b/2', 'c', 'd']) await put(key(`after/${name}`), pattern(1));
      const from = (after: string, delimiter: boolean): Promise<string[]> => listAll(store, {prefix: key('after/'), after: key(`after/${after}`), delimiter, limit: 2}, !delimiter);
      assert.deepEqual(await from('a', true), ['after/b/', 'after/c', 'after/d']);
      assert.deepEqual(await from('aa', true), ['after/b/', 'after/c', 'after/d']);
      assert.deepEqual(await from('b/', true), ['after/c', 'after/d']);
      assert.deepEqual(await from('b/1', true), ['after/c', 'after/d']);
      assert.deepEqual(await from('zzz', true), []);
      if (store.capabilities.recursiveList) assert.deepEqual(await from('b/1', false), ['after/b/2', 'after/c', 'after/d']);
    });

    test('replaces whole, and leaves nothing of an aborted or short write', async t => {
      if (!needs(t, 'write')) return;
      await put(key('whole/k'), pattern(1000));
      const aborted = await store.write({key: key('whole/k'), metadata: {}}, call);
      await aborted.write(pattern(500));
      assert.equal((await store.stat(key('whole/k'), call))?.length, 1000, 'nothing shows before finish');
      await aborted.abort();
      await aborted.abort();
      const short = await store.write({key: key('whole/new'), metadata: {}, length: 10}, call);
      await short.write(pattern(9));
      await rejects(short.finish(), 'IncompleteBody');
      await short.abort();
      assert.equal(await store.stat(key('whole/new'), call), undefined);
      assert.ok((await collect((await store.read(key('whole/k'), {}, call)).body)).equals(pattern(1000)));
      assert.deepEqual((await listAll(store, {prefix: key('whole/'), delimiter: true, limit: 9})).filter(item => item !== 'whole/'), ['whole/k']);
    });

    test('answers the object that finish made', async t => {
      if (!needs(t, 'write')) return;
      for (const length of [undefined, 3_000_000]) {
        const made = await write(store, {key: key('made'), metadata: {}, ...(length === undefined ? {} : {length})}, pattern(3_000_000));
        const seen = (await store.stat(key('made'), call))!;
        assert.deepEqual([made.key, made.kind, made.length, made.fingerprint, made.etag], [seen.key, seen.kind, seen.length, seen.fingerprint, seen.etag]);
      }
    });

    test('writes only under its condition', async t => {
      if (!needs(t, 'write', 'conditionalWrite')) return;
      const first = await put(key('cond'), pattern(1), {condition: {ifAbsent: true}});
      await rejects(put(key('cond'), pattern(2), {condition: {ifAbsent: true}}), 'PreconditionFailed');
      const second = await put(key('cond'), pattern(3), {condition: {ifFingerprint: first!.fingerprint}});
      await rejects(put(key('cond'), pattern(4), {condition: {ifFingerprint: first!.fingerprint}}), 'PreconditionFailed');
      await rejects(put(key('cond-absent'), pattern(4), {condition: {ifFingerprint: second!.fingerprint}}), 'PreconditionFailed');
      assert.equal((await store.stat(key('cond'), call))?.length, 3);
    });

    test('lets one of many conditional writers win', async t => {
      if (!needs(t, 'write', 'conditionalWrite')) return;
      const results = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(n => put(key('race'), pattern(n), {condition: {ifAbsent: true}})));
      const won = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i + 1] : []));
      assert.equal(won.length, 1);
      for (const result of results) if (result.status === 'rejected') assert.ok(isKind(result.reason, 'PreconditionFailed', 'Conflict'), String(result.reason));
      assert.equal((await store.stat(key('race'), call))?.length, won[0]);
    });

    test('keeps metadata as it was written', async t => {
      if (!needs(t, 'write', 'metadata')) return;
      const metadata = {'content-type': 'text/plain; charset=utf-8', 'cache-control': 'max-age=5', 'content-disposition': 'attachment; filename="x"', 'x-amz-meta-plain': 'value', 'x-amz-meta-text': 'grün 日本'};
      await put(key('meta'), pattern(5), {metadata});
      assert.deepEqual((await store.stat(key('meta'), call))?.metadata, metadata);
      assert.deepEqual((await store.read(key('meta'), {offset: 1, length: 2}, call).then(async read => (await collect(read.body), read))).object.metadata, metadata);
    });

    test('removes, also what is not there', async t => {
      if (!needs(t, 'write')) return;
      const names = Array.from({length: 30}, (_, i) => key(`gone/file ${i}&<>`));
      for (const name of names) await put(name, pattern(1));
      assert.deepEqual(await store.remove([...names, key('gone/never')], call), []);
      for (const name of names) assert.equal(await store.stat(name, call), undefined);
      assert.deepEqual(await store.remove([], call), []);
    });

    test('makes and removes directories', async t => {
      if (!needs(t, 'write')) return;
      await store.makeDirectory(key('dirs/one/'), call);
      await store.makeDirectory(key('dirs/one/'), call);
      assert.equal((await store.stat(key('dirs/one/'), call))?.kind, 'directory');
      assert.equal(await store.stat(key('dirs/one'), call), undefined, 'a is not a/');
      assert.deepEqual((await listAll(store, {prefix: key('dirs/'), delimiter: true, limit: 9})).filter(item => item !== 'dirs/'), ['dirs/one/']);
      assert.deepEqual(await listAll(store, {prefix: key('dirs/one/'), delimiter: true, limit: 9}), ['dirs/one/'], 'an existing directory lists itself');
      await put(key('dirs/one/x'), pattern(1));
      if (store.capabilities.directories) {
        const failed = await store.remove([key('dirs/one/')], call);
        assert.ok(isKind(failed[0]?.error, 'DirectoryNotEmpty'));
      }
      assert.deepEqual(await store.remove([key('dirs/one/x')], call), []);
      assert.deepEqual(await store.remove([key('dirs/one/')], call), []);
      assert.equal(await store.stat(key('dirs/one/'), call), undefined);
    });

    test('assembles parts', async t => {
      if (!needs(t, 'write', 'multipart')) return;
      const partBytes = Math.max(store.capabilities.partBytesMin, 100_000);
      const id = await store.createUpload({key: key('parts/k'), metadata: {}}, call);
      const upload = (number: number, bytes: Buffer): ReturnType<UnderStore['uploadPart']> => store.uploadPart(key('parts/k'), id, number, chunks(bytes), bytes.length, call);
      const third = await upload(3, pattern(7));
      await upload(1, pattern(partBytes - 1));
      const first = await upload(1, pattern(partBytes));
      assert.equal(await store.stat(key('parts/k'), call), undefined, 'nothing shows before completion');
      assert.deepEqual((await listAll(store, {prefix: key('parts/'), delimiter: true, limit: 9})).filter(item => item !== 'parts/'), []);
      const made = await store.completeUpload(key('parts/k'), id, [first, third], undefined, call);
      assert.equal(made.length, partBytes + 7);
      assert.equal((await store.stat(key('parts/k'), call))?.fingerprint, made.fingerprint);
      assert.ok((await collect((await store.read(key('parts/k'), {}, call)).body)).equals(Buffer.concat([pattern(partBytes), pattern(7)])));
    });

    test('assembles parts of what it has', async t => {
      if (!needs(t, 'write', 'multipart', 'copyParts')) return;
      const partBytes = Math.max(store.capabilities.partBytesMin, 100_000);
      const before = pattern(3 * partBytes + 50);
      const name = key('parts/base ü');
      const {fingerprint} = (await put(name, before))!;
      const source = (offset: number, length: number) => ({key: name, fingerprint, offset, length});
      const id = await store.createUpload({key: name, metadata: {}}, call);
      const other = pattern(partBytes).map(byte => byte ^ 255);
      const parts = [
        await store.copyPart(name, id, 1, source(0, partBytes), call),
        await store.uploadPart(name, id, 2, chunks(Buffer.from(other)), partBytes, call),
        await store.copyPart(name, id, 3, source(2 * partBytes, partBytes + 50), call),
      ];
      assert.deepEqual(parts.map(part => part.length), [partBytes, partBytes, partBytes + 50]);
      const condition = store.capabilities.conditionalWrite ? ({ifFingerprint: fingerprint} as const) : undefined;
      const made = await store.completeUpload(name, id, parts, condition, call);
      assert.equal((await store.stat(name, call))?.fingerprint, made.fingerprint);
      const expected = Buffer.concat([before.subarray(0, partBytes), other, before.subarray(2 * partBytes)]);
      assert.ok((await collect((await store.read(name, {}, call)).body)).equals(expected));
      await rejects(store.copyPart(name, await store.createUpload({key: name, metadata: {}}, call), 1, source(0, partBytes), call), 'ContentChanged');
    });

    test('makes parts of other places, longer or shorter than what it has', async t => {
      if (!needs(t, 'write', 'multipart', 'copyParts')) return;
      const partBytes = Math.max(store.capabilities.partBytesMin, 100_000);
      const before = pattern(3 * partBytes);
      const {fingerprint} = (await put(key('parts/from'), before))!;
      const id = await store.createUpload({key: key('parts/to'), metadata: {}}, call);
      const copy = (number: number, offset: number, length: number) => store.copyPart(key('parts/to'), id, number, {key: key('parts/from'), fingerprint, offset, length}, call);
      const parts = [await copy(1, partBytes, partBytes), await copy(2, 0, partBytes), await copy(3, partBytes, 10)];
      await store.completeUpload(key('parts/to'), id, parts, undefined, call);
      const expected = Buffer.concat([before.subarray(partBytes, 2 * partBytes), before.subarray(0, partBytes), before.subarray(partBytes, partBytes + 10)]);
      assert.ok((await collect((await store.read(key('parts/to'), {}, call)).body)).equals(expected));
    });

    test('forgets an aborted upload', async t => {
      if (!needs(t, 'write', 'multipart')) return;
      const id = await store.createUpload({key: key('parts/aborted'), metadata: {}}, call);
      const part = await store.uploadPart(key('parts/aborted'), id, 1, chunks(pattern(10)), 10, call);
      await store.abortUpload(key('parts/aborted'), id, call);
      await store.abortUpload(key('parts/aborted'), id, call);
      await rejects(store.completeUpload(key('parts/aborted'), id, [part], undefined, call), 'NotFound');
      assert.equal(await store.stat(key('parts/aborted'), call), undefined);
    });

    test('copies within the store', async t => {
      if (!needs(t, 'write', 'copy')) return;
      const source = (await put(key('copy/from ü'), pattern(70_000), {metadata: store.capabilities.metadata ? {'content-type': 'a/b'} : {}}))!;
      const made = await store.copy(key('copy/from ü'), key('copy/to'), {ifFingerprint: source.fingerprint}, call);
      assert.equal(made.length, 70_000);
      assert.equal((await store.stat(key('copy/to'), call))?.fingerprint, made.fingerprint);
      assert.ok((await collect((await store.read(key('copy/to'), {}, call)).body)).equals(pattern(70_000)));
      if (store.capabilities.metadata) {
        assert.deepEqual((await store.stat(key('copy/to'), call))?.metadata, {'content-type': 'a/b'});
        await store.copy(key('copy/from ü'), key('copy/to'), {metadata: {'content-type': 'c/d', 'x-amz-meta-k': 'v'}}, call);
        assert.deepEqual((await store.stat(key('copy/to'), call))?.metadata, {'content-type': 'c/d', 'x-amz-meta-k': 'v'});
      }
      await put(key('copy/from ü'), pattern(70_001));
      await rejects(store.copy(key('copy/from ü'), key('copy/to'), {ifFingerprint: source.fingerprint}, call), 'ContentChanged');
      await rejects(store.copy(key('copy/absent'), key('copy/to'), {}, call), 'NotFound');
    });

    test('renames files and trees', async t => {
      if (!needs(t, 'write', 'rename')) return;
      await put(key('mv/a'), pattern(5));
      await put(key('mv/b'), pattern(6));
      await store.rename(key('mv/a'), key('mv/b'), call);
      assert.equal(await store.stat(key('mv/a'), call), undefined);
      assert.equal((await store.stat(key('mv/b'), call))?.length, 5);
      await rejects(store.rename(key('mv/none'), key('mv/x'), call), 'NotFound');
      if (store.capabilities.rename !== 'tree') return;
      for (const name of ['1', 'deep/2']) await put(key(`mv/tree/${name}`), pattern(2));
      await store.rename(key('mv/tree/'), key('mv/moved/'), call);
      assert.equal((await store.stat(key('mv/moved/deep/2'), call))?.length, 2);
      assert.deepEqual(await listAll(store, {prefix: key('mv/tree/'), delimiter: true, limit: 9}), []);
      await rejects(store.rename(key('mv/moved/'), key('mv/moved/deep/in/'), call), 'InvalidArgument');
    });

    test('opens local files in place', async t => {
      if (!needs(t, 'localFile')) return;
      await put(key('local/f'), pattern(5000));
      const {file, object} = await store.openLocal(key('local/f'), call);
      const into = Buffer.alloc(5000);
      assert.equal(await file.read(into, 0), 5000);
      await file.close();
      assert.ok(into.equals(pattern(5000)));
      assert.equal(object.fingerprint, (await store.stat(key('local/f'), call))?.fingerprint);
      await rejects(store.openLocal(key('local/none'), call), 'NotFound');
    });

    test('obeys aborts', async () => {
      await put(key('aborted/read'), pattern(300_000));
      const signal = AbortSignal.abort();
      await assert.rejects(store.stat(key('aborted/read'), {signal}));
      await assert.rejects(store.list({prefix: key('aborted/'), delimiter: true, limit: 10}, {signal}));
      const controller = new AbortController();
      const read = await store.read(key('aborted/read'), {}, controller);
      controller.abort();
      await assert.rejects(async () => {
        // A small object may have arrived whole; then there is nothing to break off, but asking again must fail.
        await collect(read.body);
        await store.read(key('aborted/read'), {}, controller);
      });
    });

    test('gives a body back unread', async () => {
      await put(key('unread'), pattern(1_000_000));
      for (let i = 0; i < 5; i++) {
        const read = await store.read(key('unread'), {}, call);
        for await (const chunk of read.body) {
          assert.ok(chunk.length > 0);
          break;
        }
      }
      assert.equal((await store.stat(key('unread'), call))?.length, 1_000_000);
    });
  });
}

/** Bytes that tell their position and the total, so that a wrong range or version cannot look right. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + length) & 0xff;
  return bytes;
}

export async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const chunk of body) parts.push(chunk);
  return Buffer.concat(parts);
}

export async function write(store: UnderStore, request: StoreWriteRequest, bytes: Uint8Array): Promise<StoreObject> {
  const writing = await store.write(request, call);
  try {
    for await (const chunk of chunks(bytes)) await writing.write(chunk);
    return await writing.finish();
  } catch (error) {
    await writing.abort();
    throw error;
  }
}

/** Objects and prefixes of all pages, in the order in which they came (merged within a page where the store is ordered). */
export async function listAll(store: UnderStore, request: StoreListRequest, recursive = true): Promise<string[]> {
  if (!request.delimiter && !recursive) return [];
  const found: string[] = [];
  let continuation: string | undefined;
  do {
    const page = await store.list(continuation === undefined ? request : {...request, continuation}, call);
    assert.ok(page.objects.length + page.prefixes.length <= request.limit, 'a page keeps the limit');
    const items = [...page.objects.map(object => object.key), ...page.prefixes];
    found.push(...(store.capabilities.orderedList ? items.toSorted() : items));
    continuation = page.continuation;
  } while (continuation !== undefined);
  return found;
}

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 65_000) yield bytes.subarray(at, at + 65_000);
}

async function rejects(promise: Promise<unknown>, kind: ErrorKind, check?: (error: {details: Readonly<Record<string, string | number>>}) => void): Promise<void> {
  await assert.rejects(promise, error => {
    assert.ok(isKind(error, kind), `expected ${kind}, got ${String(error)}`);
    check?.(error);
    return true;
  });
}
