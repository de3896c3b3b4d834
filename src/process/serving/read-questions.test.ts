import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {FoundAhead} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {FileLease} from '#model/file-lease.ts';
import {decodeAnswer, decodeQuestion, encodeAnswer, encodeQuestion} from '#process/serving/read-questions.ts';
import type {LentLease} from '#runtime/node/threads/leases.ts';

const scratch = Buffer.alloc(128 * 1024);
const name = fc.string({minLength: 1, maxLength: 300, unit: fc.integer({min: 0, max: 255}).map((code) => String.fromCharCode(code))});
const plainRecord = {noNullPrototype: true};
const position = fc.integer({min: 0, max: Number.MAX_SAFE_INTEGER});
const range = fc.oneof(fc.constant(undefined), fc.record({suffix: position}, plainRecord), fc.record({offset: position}, plainRecord), fc.record({offset: position, length: position}, plainRecord));
const info: FileInfo = {
  path: '/bucket/k\xe9y' as ByteString, length: 7, mount: 3 as MountId,
  inode: {
    id: 2 ** 40 as InodeId, kind: 'file', parent: 5 as InodeId, name: 'k\xe9y' as ByteString, mode: 0o644, uid: 20_001, gid: 7, atime: 1n, mtime: 1_790_000_000_123_456_789n, ctime: 3n, checkedAt: 0,
    xattrs: {'weir.s3.tags': Buffer.from([1, 2])},
  },
} as FileInfo;
const lent: LentLease = {id: 77, fd: 12, offset: 2 ** 41, length: 7, validated: true};
const lease = {} as FileLease;
const bucket = {id: 2 ** 33 as InodeId, uid: 4_000_000_000, settings: 9};
const decoded = (found: FoundAhead): FoundAhead => {
  const record = encodeAnswer(found, () => lent, scratch);
  assert.ok(record);
  return decodeAnswer(Buffer.from(record), (got) => {
    assert.deepEqual(got, lent);
    return lease;
  });
};

describe('questions about reads', () => {
  it('arrive as they were asked, whatever bytes a path has', () => {
    fc.assert(fc.property(name, name, range, (first, second, wanted) => {
      const question = {bucket: `/${first}` as ByteString, path: `/${first}/${second}` as ByteString, range: wanted};
      assert.deepEqual(decodeQuestion(Buffer.from(encodeQuestion(question, scratch))), question);
    }));
  });

  it('are answered with the bucket, and with what was opened or looked at', () => {
    const {settings: _, ...plain} = bucket;
    for (const found of [{bucket: undefined}, {bucket}, {bucket: plain}, {bucket, info}]) assert.deepEqual(decoded({info: undefined, opened: undefined, ...found}), {info: undefined, opened: undefined, ...found});
    for (const body of [{kind: 'bytes', length: 7, bytes: Buffer.from('7 bytes')}, {kind: 'lease', length: 7, lease}] as const) {
      const opened = {info, range: {offset: 0, length: 7}, body};
      assert.deepEqual(decoded({bucket, info: undefined, opened}), {bucket, info, opened});
    }
  });

  it('are left open where the answer does not fit or cannot travel: then nothing was lent', () => {
    const never = (): never => assert.fail('nothing is lent');
    const stream = {kind: 'stream', length: 7, stream: {[Symbol.asyncIterator]: never}} as const;
    assert.equal(encodeAnswer({bucket, info, opened: {info, range: {offset: 0, length: 7}, body: stream}}, never, scratch), undefined);
    const large = {...info, inode: {...info.inode, xattrs: {x: new Uint8Array(128 * 1024)}}};
    assert.equal(encodeAnswer({bucket, info: undefined, opened: {info: large, range: {offset: 0, length: 7}, body: {kind: 'lease', length: 7, lease}}}, never, scratch), undefined);
  });
});
