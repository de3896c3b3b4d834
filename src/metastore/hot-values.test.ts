import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import type {StateEngine} from '#metastore/engine.ts';
import {keepHotValues} from '#metastore/hot-values.ts';
import {keptRecordBytesMax, KeptRecords} from '#metastore/kept-records.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const runtime = createNodeRuntime({log: {level: 'silent'}});
const isHot = (key: ByteString): boolean => key.endsWith('/');

test('records are found until all are forgotten, whatever was removed', () => {
  const byte = fc.integer({min: 0, max: 255}).map(code => String.fromCharCode(code));
  const key = fc.oneof(fc.constantFrom('a', 'b', 'aa', '\0', '\xff'), fc.string({unit: byte, minLength: 1, maxLength: 300})).map(text => text as ByteString);
  fc.assert(
    fc.property(fc.array(fc.record({key, value: fc.option(fc.uint8Array({maxLength: 300}))}), {maxLength: 60}), steps => {
      const records = new KeptRecords(4096);
      const model = new Map<ByteString, Uint8Array>();
      for (const {key, value} of steps) {
        const hash = KeptRecords.hashOf(key);
        records.remove(key, hash);
        model.delete(key);
        assert.equal(records.find(key, hash), undefined);
        if (!value) continue;
        records.keep(key, hash, value);
        model.set(key, value);
        assert.deepEqual([...records.find(key, hash)!], [...value]);
        for (const [other, expected] of model) {
          const found = records.find(other, KeptRecords.hashOf(other));
          if (found) assert.deepEqual([...found], [...expected]);
          else assert.notEqual(other, key);
        }
      }
    }),
  );
});

test('records that are too large, and keys of one hash', () => {
  const records = new KeptRecords(4096);
  const [one, two] = ['one', 'two'] as ByteString[];
  records.keep(one!, 7, Buffer.alloc(keptRecordBytesMax));
  assert.equal(records.find(one!, 7), undefined);
  records.keep(one!, 7, Buffer.from('1'));
  records.keep(two!, 7, Buffer.from('2'));
  records.remove(one!, 7);
  assert.deepEqual([records.find(one!, 7), records.find(two!, 7)?.toString()], [undefined, '2']);
});

test('what changes often takes one place among the slots, so that it is found as quickly and nothing is forgotten for it', () => {
  const records = new KeptRecords(4096);
  const [often, seldom] = ['often', 'seldom'] as ByteString[];
  records.keep(seldom!, KeptRecords.hashOf(seldom!), Buffer.from('kept'));
  const hash = KeptRecords.hashOf(often!);
  for (let i = 0; i < 100; i++) {
    records.keep(often!, hash, Buffer.from([i]));
    records.remove(often!, hash);
  }
  assert.equal(records.find(seldom!, KeptRecords.hashOf(seldom!))?.toString(), 'kept');
});

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

test('only what is hot and looked up again is kept, in memory of its own, and not too much of it', () => {
  const shared = Buffer.alloc(1);
  let looks = 0;
  const engine = {
    look: (key: ByteString) => {
      looks++;
      shared[0] = key.charCodeAt(0);
      return key === '' || key === '/' ? undefined : shared;
    },
  } as unknown as StateEngine;
  const hot = keepHotValues(engine, isHot, 4096);
  const look = (key: string): number => hot.look(key as ByteString)![0]!;
  assert.deepEqual([look('a/'), look('b/'), look('a/'), look('c'), look('b/'), look('c')], [97, 98, 97, 99, 98, 99]);
  assert.equal(looks, 6, 'what is looked up once is not kept');
  assert.deepEqual([look('a/'), look('b/'), look('a/'), look('c')], [97, 98, 97, 99]);
  assert.equal(looks, 7);
  for (let i = 0; i < 200; i++) assert.equal(look(`x${i}/`) + look(`x${i}/`), 240);
  looks = 0;
  look('a/');
  assert.equal(looks, 1, 'all were forgotten');
  for (let i = 0; i < 3; i++) assert.equal(hot.look('/' as ByteString), undefined);
  assert.equal(looks, 2, 'what is absent is asked for once');
});
