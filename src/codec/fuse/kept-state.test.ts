import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {decodeHeader, decodePosition, decodeSlot, encodeHeader, encodePosition, encodeSlot, headerBytes, type KeptSlot, slotBytes, slotsMax} from '#codec/fuse/kept-state.ts';

const id = fc.maxSafeNat();
const unique = fc.bigInt({min: 0n, max: 2n ** 63n - 1n});
const word = fc.integer({min: 0, max: 2 ** 32 - 1});
const name = fc.string({unit: fc.integer({min: 0, max: 255}).map(code => String.fromCharCode(code)), maxLength: 1100}) as fc.Arbitrary<ByteString>;
const slot: fc.Arbitrary<KeptSlot> = fc.oneof(
  fc.record({kind: fc.constant('file' as const), handle: id, node: id, flags: word, unique, backing: word}, {noNullPrototype: true}),
  fc.record({kind: fc.constant('directory' as const), handle: id, node: id, unique}, {noNullPrototype: true}),
  fc.record({kind: fc.constant('draft' as const), node: id, inode: id, dirty: fc.boolean(), touched: fc.bigInt({min: -(2n ** 63n), max: 2n ** 63n - 1n})}, {noNullPrototype: true}),
  fc.record({
    kind: fc.constant('lock' as const), node: id, whole: fc.boolean(), owner: fc.bigInt({min: 0n, max: 2n ** 64n - 1n}), type: fc.constantFrom('read' as const, 'write' as const), pid: word, start: id, end: id,
  }, {noNullPrototype: true}),
);

test('what is kept comes back as it was', () => {
  const bytes = Buffer.alloc(slotBytes, 0xff);
  fc.assert(fc.property(slot, what => {
    encodeSlot(what, bytes);
    assert.deepEqual(decodeSlot(bytes), what);
    encodeSlot(undefined, bytes);
    assert.equal(decodeSlot(bytes), undefined);
  }));
  fc.assert(fc.property(id, unique, name, name, (handle, cookie, from, key) => {
    assert.deepEqual(decodePosition(encodePosition({handle, cookie, from, key})!), {handle, cookie, from, key});
  }));
  const header = {flags: [-1, 5] as const, minor: 45, slots: 7, nextHandle: 2 ** 40, origin: 'mount-x', root: 2 ** 33};
  assert.deepEqual(decodeHeader(encodeHeader(header)), header);
  assert.equal(decodeHeader(encodeHeader({...header, root: 0}))!.root, 1, 'as the first version left it');
});

test('what was never written is nothing; what is broken, or of a later version, is refused', () => {
  assert.equal(decodeHeader(Buffer.alloc(headerBytes)), undefined);
  const header = encodeHeader({flags: [0, 0], minor: 0, slots: 0, nextHandle: 1, origin: 'm', root: 3});
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(header);
    bytes.writeUInt32LE(value, at);
    return bytes;
  };
  assert.throws(() => decodeHeader(changed(0, 1)), error => isKind(error, 'Corrupt'));
  assert.throws(() => decodeHeader(changed(4, 2)), error => isKind(error, 'Unsupported'));
  assert.throws(() => decodeHeader(changed(16, slotsMax + 1)), error => isKind(error, 'Corrupt'));
  assert.throws(() => decodeSlot(Buffer.alloc(slotBytes, 9)), error => isKind(error, 'Corrupt'));
  assert.throws(() => decodePosition(Buffer.alloc(20, 0xff)), error => isKind(error, 'Corrupt'));
});
