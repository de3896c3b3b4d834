import assert from 'node:assert/strict';
import {it} from 'node:test';
import {MiB} from '#base/units.ts';
import {Rooms} from '#frontends/fuse/rooms.ts';

it('uses memory again that was given back, once, and no other', () => {
  const rooms = new Rooms(MiB);
  const first = rooms.take(100_000);
  assert.equal(first.length, 100_000);
  assert.notEqual(rooms.take(MiB).buffer, first.buffer, 'it is in use');
  rooms.give(first);
  rooms.give(first);
  const again = [rooms.take(MiB), rooms.take(MiB)];
  assert.equal(again[0]!.buffer, first.buffer);
  assert.equal(again[0]!.length, MiB);
  assert.notEqual(again[1]!.buffer, first.buffer);
  const others = Buffer.alloc(MiB);
  rooms.give(others);
  assert.notEqual(rooms.take(MiB).buffer, others.buffer);
  const small = rooms.take(10);
  rooms.give(small);
  assert.equal(small.length, 10);
  assert.equal(rooms.take(2 * MiB).length, 2 * MiB);
});
