import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {decodePosixAcl, encodePosixAcl} from '#codec/namespace/posix-acl.ts';
import {allows, inherited, isMinimal, modeOfAcl, type PosixAcl, withMode} from '#model/posix-acl.ts';

const bits = fc.nat(7);
const names = fc.array(fc.record({id: fc.nat(1000), permissions: bits}, {noNullPrototype: true}), {maxLength: 5});
const acls: fc.Arbitrary<PosixAcl> = fc.record({owner: bits, users: names, group: bits, groups: names, mask: bits, other: bits}, {noNullPrototype: true});

test('a list is what it was, encoded and decoded', () => {
  fc.assert(fc.property(acls, acl => assert.deepEqual(decodePosixAcl(encodePosixAcl(acl)), acl)));
  const setfacl = Buffer.from('0200000001000600ffffffff02000700e803000004000400ffffffff10000700ffffffff20000400ffffffff', 'hex');
  assert.deepEqual(decodePosixAcl(setfacl), {owner: 6, users: [{id: 1000, permissions: 7}], group: 4, groups: [], mask: 7, other: 4});
});

test('what is no whole list is refused', () => {
  const whole = encodePosixAcl({owner: 6, users: [{id: 5, permissions: 7}], group: 4, groups: [], mask: 7, other: 4});
  const without = (entry: number): Uint8Array => Buffer.concat([whole.subarray(0, 4 + entry * 8), whole.subarray(12 + entry * 8)]);
  const twice = Buffer.concat([whole.subarray(0, 12), whole.subarray(4)]);
  for (const broken of [whole.subarray(0, 4), whole.subarray(1), Buffer.alloc(0), without(0), without(2), without(3), without(4), twice, Buffer.alloc(28, 255)]) {
    assert.throws(() => decodePosixAcl(broken), {kind: 'InvalidArgument'});
  }
});

test('a minimal list says what the mode says', () => {
  fc.assert(fc.property(fc.nat(0o777), fc.nat(0o777), (mode, asked) => {
    const acl: PosixAcl = {owner: mode >> 6, users: [], group: (mode >> 3) & 7, groups: [], other: mode & 7};
    assert.ok(isMinimal(acl));
    assert.equal(modeOfAcl(acl), mode);
    assert.equal(modeOfAcl(withMode(acl, asked)), asked);
    assert.equal(modeOfAcl(inherited(acl, asked)), mode & asked);
  }));
});

test('who is named has what the mask leaves; the owner is judged as owner, and of several groups one is enough', () => {
  const acl: PosixAcl = {owner: 4, users: [{id: 5, permissions: 7}], group: 4, groups: [{id: 50, permissions: 6}, {id: 51, permissions: 1}], mask: 6, other: 1};
  const file = {uid: 1, gid: 10};
  const may = (uid: number, gids: number[], wanted: number): boolean => allows(acl, file, {uid, gids}, wanted);
  assert.deepEqual([may(1, [50], 4), may(1, [50], 2)], [true, false]);
  assert.deepEqual([may(5, [], 6), may(5, [], 1)], [true, false]);
  assert.deepEqual([may(7, [10, 50], 2), may(7, [10], 2), may(7, [10], 4), may(7, [51], 1)], [true, false, true, false]);
  assert.deepEqual([may(8, [99], 1), may(8, [99], 4)], [true, false]);
  assert.equal(modeOfAcl(acl), 0o461);
  assert.deepEqual([withMode(acl, 0o640).mask, withMode(acl, 0o640).group, inherited(acl, 0o644).mask], [4, 4, 4]);
});
