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
        if (!records.keep(key, hash, value)) {
          records.clear();
          model.clear();
          assert.equal(records.keep(key, hash, value), true);
        }
        model.set(key, value);
        for (const [other, expected] of model) assert.deepEqual([...records.find(other, KeptRecords.hashOf(other))!], [...expected]);
      }
    }),
  );
});

test('records that are too large, and keys of one hash', () => {
  const records = new KeptRecords(4096);
  const [one, two] = ['one', 'two'] as ByteString[];
  assert.equal(records.keep(one!, 7, Buffer.alloc(keptRecordBytesMax)), true, 'there is room, and it is not used for that');
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
  const key = fc.constantFrom('a', 'a/', 'b/', 'c/', 'd/', 'e/').map(text => text as ByteString);
  const value = fc.tuple(fc.integer({min: 1, max: 255}), fc.constantFrom(1, 300, 900, 2000)).map(([byte, length]) => Buffer.alloc(length, byte));
  const step = fc.oneof(fc.record({look: key}), fc.record({batch: fc.array(fc.record({key, value: fc.option(value)}), {maxLength: 3})}));
  await fc.assert(
    fc.asyncProperty(fc.array(step, {maxLength: 60}), async steps => {
      const plain = memoryEngine(runtime, new MemoryMedium());
      const hot = keepHotValues(plain, isHot, 4096);
      let sequence = 0;
      for (const each of steps) {
        if ('look' in each) assert.deepEqual([...(hot.look(each.look) ?? [])], [...(plain.look(each.look) ?? [])]);
        else await hot.apply(each.batch, ++sequence);
        assert.equal(hot.sequence, sequence);
      }
    }),
  );
});

/** An engine whose values are the first letters of the keys, and how often it was asked. */
function counted() {
  const shared = Buffer.alloc(1);
  const engine = {
    looks: 0,
    look: (key: ByteString) => {
      engine.looks++;
      shared[0] = key.charCodeAt(0);
      return key === '' || key === '/' ? undefined : shared;
    },
    apply: () => Promise.resolve(),
  };
  const hot = keepHotValues(engine as unknown as StateEngine, isHot, 4096);
  return {engine, hot, look: (key: string): number => hot.look(key as ByteString)![0]!};
}

test('what is hot is kept when it was looked up once or written, in memory of its own', async () => {
  const {engine, hot, look} = counted();
  assert.deepEqual([look('a/'), look('b/'), look('a/'), look('c'), look('b/'), look('c')], [97, 98, 97, 99, 98, 99]);
  assert.equal(engine.looks, 4);
  const written = Buffer.from('written');
  await hot.apply([{key: 'w/' as ByteString, value: written}, {key: 'a/' as ByteString, value: null}], 1);
  written[0] = 0;
  assert.equal(look('w/'), 119);
  assert.equal(engine.looks, 4);
  look('a/');
  assert.equal(engine.looks, 5, 'what was deleted is looked for again');
  for (let i = 0; i < 3; i++) assert.equal(hot.look('/' as ByteString), undefined);
  assert.equal(engine.looks, 6, 'what is absent is asked for once');
});

test('what is used stays whatever passes by, and that passes', () => {
  const {engine, look} = counted();
  look('a/');
  look('b/');
  for (let i = 0; i < 1000; i++) {
    look(`x${i}/`);
    if (i % 20 === 0) look('a/');
  }
  engine.looks = 0;
  look('a/');
  look('x999/');
  assert.equal(engine.looks, 0);
  look('b/');
  look('x1/');
  assert.equal(engine.looks, 2);
});
