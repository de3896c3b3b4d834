import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import {type ErrorKind, isKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {bytes, Fixture} from '#master/namespace/fixture.test.ts';
import {listGarbage} from '#master/namespace/garbage.ts';
import {list} from '#master/namespace/list.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {rootMountId} from '#master/namespace/place.ts';
import {completeUpload, createUpload, forgetParts, getUpload, listParts, listUploads, putPart, removeUpload} from '#master/namespace/uploads.ts';
import {parsePath} from '#model/path.ts';

const refusedAs = (...kinds: ErrorKind[]) => (error: unknown) => isKind(error, ...kinds);

const upload = (path: string, uploadId: string, initiatedAt = 1n): UploadRecord => ({
  uploadId, path: bytes(path), mount: rootMountId, storeKey: bytes(path.slice(1)), content: 5 as ContentId, storeUploadId: `store-${uploadId}`, metadata: {}, initiatedAt, initiator: 'ann',
});
const part = (partNumber: number, etag: string) => ({partNumber, length: 7, etag, checksums: {}, storePart: 'p', modifiedAt: 3n});

test('parts are kept by number and go with their upload', () => {
  const {store} = new Fixture();
  const before = store.keys.slice();
  createUpload(store, upload('/b/k', 'u1'));
  createUpload(store, upload('/b/k', 'u10'));
  const at = bytes('/b/k');
  for (const number of [10_000, 2, 300]) putPart(store, at, 'u1', part(number, `e${number}`));
  putPart(store, at, 'u10', part(1, 'other'));
  putPart(store, at, 'u1', part(2, 'again'));
  assert.deepEqual(listParts(store, at, 'u1', 0, 10).map(({etag}) => etag), ['again', 'e300', 'e10000']);
  assert.deepEqual(listParts(store, at, 'u1', 2, 1).map(({etag}) => etag), ['e300']);
  assert.deepEqual(getUpload(store, at, 'u1'), upload('/b/k', 'u1'));
  assert.equal(list(store, {directory: bytes('/'), view: 'tree', limit: 10}).entries.length, 0);
  for (const number of [0, 10_001, 1.5]) assert.throws(() => putPart(store, at, 'u1', part(number, 'x')), refusedAs('InvalidArgument'));
  assert.throws(() => getUpload(store, bytes('/b/other'), 'u1'), refusedAs('NotFound'));
  assert.throws(() => getUpload(store, at, 'u\0'), refusedAs('NotFound'));
  assert.throws(() => createUpload(store, upload('/b/k', 'with space')), refusedAs('InvalidArgument'));
  removeUpload(store, at, 'u1');
  assert.throws(() => listParts(store, at, 'u1', 0, 10), refusedAs('NotFound'));
  removeUpload(store, at, 'u10');
  assert.deepEqual(store.keys, before);
});

test('uploads are listed as a sorted array would list them, pages and prefixes too', () => {
  const name = fc.constantFrom('a', 'a/b', 'ab', 'b', 'a/', `${'n'.repeat(1300)}/x`, `${'n'.repeat(1300)}/a`, '\xff');
  const some = fc.array(fc.tuple(name, fc.bigInt({min: 0n, max: 3000n})), {maxLength: 12});
  fc.assert(fc.property(some, fc.constantFrom('', 'a', 'a/', 'n', 'zz', 'n'.repeat(1301)), fc.integer({min: 1, max: 3}), (uploads, prefix, limit) => {
    const {store} = new Fixture();
    const records = uploads.map(([key, initiatedAt], i) => upload(`/bucket/${key}`, `u${String(i).padStart(3, '0')}`, initiatedAt));
    for (const record of records) createUpload(store, record);
    createUpload(store, upload('/bucket2/a', 'elsewhere'));
    createUpload(store, upload('/buckes', 'elsewhere2'));
    const wanted = records.filter(({path}) => path.startsWith(`/bucket/${prefix}`)).sort((a, b) =>
      a.path !== b.path ? (a.path < b.path ? -1 : 1) : a.initiatedAt !== b.initiatedAt ? (a.initiatedAt < b.initiatedAt ? -1 : 1) : a.uploadId < b.uploadId ? -1 : 1);
    const found: UploadRecord[] = [];
    for (;;) {
      const last = found.at(-1);
      const after = last && {key: last.path.slice('/bucket/'.length) as ByteString, uploadId: last.uploadId};
      const page = listUploads(store, {directory: bytes('/bucket/'), prefix: bytes(prefix), after, limit});
      assert.ok(page.length <= limit);
      if (page.length === 0) break;
      found.push(...page);
    }
    assert.deepEqual(found.map(({uploadId}) => uploadId), wanted.map(({uploadId}) => uploadId));
  }));
});

test('parts stay with the file that the upload became, and go with it', () => {
  const space = new Fixture();
  const {store} = space;
  const path = bytes('/b/k');
  const put = (more: object) => space.run((tx, op) => putFile(tx, op, parsePath(path, 'file'), {content: {...space.content('b/k'), ...more}}));
  createUpload(store, upload('/b/k', 'u1'));
  for (const number of [1, 2, 5]) putPart(store, path, 'u1', part(number, `e${number}`));
  put({upload: {id: 'u1', parts: 2}});
  completeUpload(store, path, 'u1', [2]);
  assert.throws(() => getUpload(store, path, 'u1'), refusedAs('NotFound'));
  assert.deepEqual(listParts(store, path, 'u1', 0, 10).map(({partNumber}) => partNumber), [1, 5]);
  put({});
  assert.deepEqual(listGarbage(store, 10).map((each) => each.upload), ['u1']);
  assert.equal(forgetParts(store, 'u1', 1), true);
  assert.equal(forgetParts(store, 'u1', 5), false);
  assert.throws(() => listParts(store, path, 'u1', 0, 10), refusedAs('NotFound'));
});
