import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import {SecondAsks} from '#frontends/fuse/second-asks.ts';

test('who asks for what has no name is refused every other time, each thread by itself', () => {
  const asks = new SecondAsks();
  const ask = (node: number, thread: number): boolean => asks.isSecond(node as InodeId, thread);
  assert.deepEqual([ask(7, 1), ask(7, 2), ask(8, 1), ask(7, 1), ask(7, 2), ask(7, 1)], [false, false, false, true, true, false]);
});

test('so many are remembered, the latest', () => {
  const asks = new SecondAsks();
  for (let thread = 0; thread <= 1_000; thread++) asks.isSecond(7 as InodeId, thread);
  assert.deepEqual([asks.isSecond(7 as InodeId, 1_000), asks.isSecond(7 as InodeId, 2), asks.isSecond(7 as InodeId, 0)], [true, true, false]);
});
