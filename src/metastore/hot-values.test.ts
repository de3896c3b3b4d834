import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import type {StateEngine} from '#metastore/engine.ts';
import {keepHotValues} from '#metastore/hot-values.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const runtime = createNodeRuntime({log: {level: 'silent'}});
const isHot = (key: ByteString): boolean => key.endsWith('/');

test('what is looked up is what the engine has, whatever was looked up before', async () => {
  const key = fc.constantFrom('a', 'a/', 'b/', 'c/').map(text => text as ByteString);
  const step = fc.oneof(fc.record({look: key}), fc.record({batch: fc.array(fc.record({key, value: fc.option(fc.uint8Array({minLength: 1, maxLength: 3}))}), {maxLength: 3})}));
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 30}), async steps => {
      const plain = memoryEngine(runtime, new MemoryMedium());
      const hot = keepHotValues(plain, isHot);
      let sequence = 0;
      for (const each of steps) {
        if ('look' in each) assert.deepEqual([...(hot.look(each.look) ?? [])], [...(plain.look(each.look) ?? [])]);
        else await hot.apply(each.batch, ++sequence);
        assert.equal(hot.sequence, sequence);
      }
    }),
  );
});

test('only what is hot is kept, in memory of its own, and not too much of it', () => {
  const shared = Buffer.alloc(1);
  let looks = 0;
  const engine = {
    look: (key: ByteString) => {
      looks++;
      shared[0] = key.charCodeAt(0);
      return key === '' ? undefined : shared;
    },
  } as unknown as StateEngine;
  const hot = keepHotValues(engine, isHot);
  const look = (key: string): number => hot.look(key as ByteString)![0]!;
  assert.deepEqual([look('a/'), look('b/'), look('a/'), look('c'), look('b/'), look('c')], [97, 98, 97, 99, 98, 99]);
  assert.equal(looks, 4);
  for (let i = 0; i < 10_000; i++) look(`x${i}/`);
  assert.equal(looks, 10_004);
  look('a/');
  assert.equal(looks, 10_005);
  for (let i = 0; i < 3; i++) assert.equal(hot.look('' as ByteString), undefined);
  assert.equal(looks, 10_006, 'what is absent is asked for once');
});
