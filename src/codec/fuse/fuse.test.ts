import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {opcode} from '#codec/fuse/abi.ts';
import {attributesBody, DirentBuffer, direntType, entryBody, type FuseAttributes, initBody, openBody, replyHead} from '#codec/fuse/reply.ts';
import {decodeRequest} from '#codec/fuse/request.ts';

const options = {setxattrExtended: false, numbered: (node: number) => node};

function message(operation: number, body: Buffer): Buffer {
  const whole = Buffer.alloc(40 + body.length);
  whole.writeUInt32LE(whole.length, 0);
  whole.writeUInt32LE(operation, 4);
  whole.writeBigUInt64LE(77n, 8);
  whole.writeBigUInt64LE(5n, 16);
  whole.writeUInt32LE(1000, 24);
  whole.writeUInt32LE(100, 28);
  whole.writeUInt32LE(4242, 32);
  body.copy(whole, 40);
  return whole;
}

/** Words of 4 bytes; a bigint takes 8; a string is text that ends in NUL. */
function body(...parts: (number | bigint | string)[]): Buffer {
  return Buffer.concat(parts.map((part) => {
    if (typeof part === 'string') return Buffer.from(`${part}\0`, 'latin1');
    const bytes = Buffer.alloc(typeof part === 'bigint' ? 8 : 4);
    if (typeof part === 'bigint') bytes.writeBigInt64LE(part);
    else bytes.writeUInt32LE(part);
    return bytes;
  }));
}

const decoded = (operation: number, ...parts: (number | bigint | string)[]) => decodeRequest(message(operation, body(...parts)), options).body;

test('a request says who asks for what', () => {
  const {head} = decodeRequest(message(opcode.lookup, body('name')), options);
  assert.deepEqual(head, {opcode: 1, unique: 77n, node: 5, uid: 1000, gid: 100, pid: 4242});
  assert.deepEqual(decoded(opcode.lookup, 'n\xe9'), {op: 'lookup', name: 'n\xe9'});
  assert.deepEqual(decoded(opcode.rename2, 9n, 1, 0, 'from', 'to'), {op: 'rename', newParent: 9, flags: 1, name: 'from', newName: 'to'});
  assert.deepEqual(decoded(opcode.read, 3n, 4096n, 65_536, 0, 0n, 0, 0), {op: 'read', handle: 3, offset: 4096n, size: 65_536});
  assert.deepEqual(decoded(opcode.batchForget, 2, 0, 7n, 1n, 8n, 2n), {op: 'forget', forgets: [{node: 7, count: 1}, {node: 8, count: 2}]});
  assert.deepEqual(decoded(opcode.init, 7, 45, 131_072, 0x4000_0001, 0x80), {op: 'init', major: 7, minor: 45, readAheadBytesMax: 131_072, flags: [0x4000_0001, 0x80]});
  assert.deepEqual(decoded(4000), {op: 'unknown'});
});

test('nodes are meant by the numbers that the kernel has of them, wherever they stand', () => {
  const swapped = {...options, numbered: (node: number) => (node === 5 ? 1 : node === 9 ? 3 : node)};
  const of = (operation: number, ...parts: (number | bigint | string)[]) => decodeRequest(message(operation, body(...parts)), swapped);
  assert.equal(of(opcode.lookup, 'name').head.node, 1);
  for (const {body: {op, ...named}} of [of(opcode.rename, 9n, 'a', 'b'), of(opcode.rename2, 9n, 1, 0, 'a', 'b')]) assert.deepEqual([op, 'newParent' in named && named.newParent], ['rename', 3]);
  assert.deepEqual(of(opcode.link, 9n, 'name').body, {op: 'link', source: 3, name: 'name'});
  assert.deepEqual(of(opcode.forget, 2n).body, {op: 'forget', forgets: [{node: 1, count: 2}]});
  assert.deepEqual(of(opcode.batchForget, 2, 0, 7n, 1n, 9n, 2n).body, {op: 'forget', forgets: [{node: 7, count: 1}, {node: 3, count: 2}]});
  assert.deepEqual(of(opcode.copyFileRange, 1n, 2n, 9n, 4n, 5n, 6n, 0n).body, {op: 'copy', handle: 1, offset: 2, toNode: 3, toHandle: 4, toOffset: 5, length: 6});
});

test('of a SETATTR only what is marked counts; times may lie before 1970', () => {
  const at = (valid: number, atime: bigint) => decoded(opcode.setattr, valid, 0, 6n, 100n, 0n, atime, 2n, 3n, 5, 6, 7, 0o644, 0, 11, 12, 0);
  assert.deepEqual(at(8 | 1, 0n), {op: 'setattr', size: 100, mode: 0o644});
  assert.deepEqual(at(2 | 2048, 0n), {op: 'setattr', uid: 11, killSetId: true});
  assert.deepEqual(at(16, -1n), {op: 'setattr', atime: -999_999_995n});
  assert.deepEqual(at(16 | 128 | 32 | 64 | 1024 | 2 | 4, 1n), {op: 'setattr', handle: 6, atime: 'now', mtime: 2_000_000_006n, ctime: 3_000_000_007n, uid: 11, gid: 12});
});

test('whatever bytes come, a request is decoded or Corrupt', () => {
  const operations = fc.oneof(fc.constantFrom(...Object.values(opcode)), fc.nat(70));
  fc.assert(fc.property(operations, fc.uint8Array({maxLength: 120}), fc.boolean(), (operation, bytes, setxattrExtended) => {
    try {
      assert.ok(decodeRequest(message(operation, Buffer.from(bytes)), {...options, setxattrExtended}).body.op.length > 0);
    } catch (error) {
      assert.ok(isKind(error, 'Corrupt'), String(error));
    }
  }), {numRuns: 3000});
  assert.throws(() => decodeRequest(Buffer.alloc(39), options), error => isKind(error, 'Corrupt'));
});

const attributes: FuseAttributes = {node: 9, size: 2 ** 40, blocks: 8, atime: -1n, mtime: 1_700_000_000_123_456_789n, ctime: 0n, mode: 0o100644, links: 2, uid: 1, gid: 2, device: 0};

test('answers have the layouts of the kernel', () => {
  assert.equal(replyHead(77n, 2, 0).toString('hex'), '10000000feffffff4d00000000000000');
  const found = attributesBody(attributes, 1500);
  assert.equal(found.length, 104);
  assert.deepEqual([found.readBigUInt64LE(0), found.readUInt32LE(8)], [1n, 500_000_000]);
  assert.deepEqual([found.readBigUInt64LE(16), found.readBigUInt64LE(24)], [9n, 2n ** 40n]);
  assert.deepEqual([found.readBigInt64LE(40), found.readUInt32LE(64)], [-1n, 999_999_999], 'rounded down');
  assert.deepEqual([found.readBigInt64LE(48), found.readUInt32LE(68)], [1_700_000_000n, 123_456_789]);
  assert.equal(found.readUInt32LE(76), 0o100644);
  const entry = entryBody(attributes, 60_000);
  assert.deepEqual([entry.length, entry.readBigUInt64LE(16), entry.readBigUInt64LE(24)], [128, 60n, 60n]);
  assert.equal(entryBody(undefined, 0).readBigUInt64LE(0), 0n);
  assert.equal(openBody(3, 128, 7).toString('hex'), '03000000000000008000000007000000');
  assert.equal(initBody({minor: 45, readAheadBytesMax: 1, flags: [-1, 2], backgroundMax: 64, writeBytesMax: 2 ** 20, stackDepthMax: 1}).readUInt16LE(28), 256);
});

test('entries of a directory are packed while there is room, each at a multiple of 8', () => {
  const buffer = new DirentBuffer(32 + 24 + 7);
  assert.equal(buffer.add({node: 1, cookie: 5n, type: direntType.file, name: 'a' as ByteString}), true);
  assert.equal(buffer.add({node: 2, cookie: 6n, type: direntType.directory, name: 'b' as ByteString}), false);
  const bytes = buffer.take();
  assert.deepEqual([bytes.length, bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8), bytes.readUInt32LE(16), bytes[24]], [32, 1n, 5n, 1, 97]);
  const plus = new DirentBuffer(1000);
  assert.equal(plus.add({node: 9, cookie: 5n, type: direntType.file, name: 'name' as ByteString}, attributes, 1000), true);
  assert.equal(plus.take().length, 160);
});
