import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {ServedBytes} from '#worker/fills/served-bytes.ts';

test('bytes are counted for each content, of those that share a row for who was read last', () => {
  const served = new ServedBytes(8);
  const [one, two, other, large] = [1, 2, 9, 2 ** 50 + 3] as [ContentId, ContentId, ContentId, ContentId];
  served.add(one, 5);
  served.add(two, 7);
  served.add(one, 2 ** 40);
  served.add(large, 11);
  assert.deepEqual([one, two, other, large].map(id => served.of(id)), [5 + 2 ** 40, 7, 0, 11]);
  served.add(other, 3);
  assert.deepEqual([one, two, other].map(id => served.of(id)), [0, 7, 3]);
  served.add(one, 1);
  assert.deepEqual([one, two, other].map(id => served.of(id)), [1, 7, 0]);
});
