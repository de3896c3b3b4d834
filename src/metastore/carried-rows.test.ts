import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {KiB} from '#base/units.ts';
import {carriedRange, nameOfCarried} from '#metastore/carried-rows.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Lasts, Metastore} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {Clock} from '#runtime/clock.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const name = 'one' as ByteString;
const carried = {name, bytes: Buffer.alloc(10 * KiB, 'carried')};
const left = (store: Metastore): ByteString[] => store.read((reader) => Array.from(reader.range(carriedRange), ({key}) => nameOfCarried(key))).result;

/** Lives one after the other, each ending in order. */
async function lives(...each: ((store: Metastore, clock: Clock) => Promise<void>)[]): Promise<void> {
  const simulation = createSimulation(1);
  const medium = new MemoryMedium();
  for (const life of each) {
    await simulation.run(async (runtime) => {
      await runtime.disk.makeDirectory('/log', {recursive: true});
      await using store = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, medium)});
      await life(store, runtime.clock);
    });
  }
}

const carry = async (store: Metastore): Promise<void> => await store.transact((tx) => tx.put('key' as ByteString, Buffer.from('value')), undefined, {carried}).durable;

test('what lasts elsewhere never reaches the engine, and makes room', async () => {
  const asked: (readonly ByteString[])[] = [];
  const lasts: Lasts = (names) => Promise.resolve(names.map(() => asked.push(names) > 0));
  await lives(async (store, clock) => {
    store.carrier(lasts);
    assert.ok(!store.mayCarry(17 * KiB));
    let count = 0;
    for (; store.mayCarry(10 * KiB); count++) store.transact((tx) => tx.delete('key' as ByteString), undefined, {carried: {...carried, name: String(count) as ByteString}});
    assert.equal(count, Math.floor((32 * 1024) / 10));
    await clock.sleep(10_000);
    assert.equal(asked.length, count);
    assert.ok(store.mayCarry(10 * KiB));
    assert.deepEqual(left(store), []);
    await carry(store);
  }, async (store) => {
    assert.deepEqual(left(store), []);
    assert.equal(Buffer.from(store.read((reader) => reader.get('key' as ByteString)!).result).toString(), 'value');
  });
});

test('what does not last elsewhere, or of which nobody says so, stays until it is deleted', async () => {
  await lives(async (store, clock) => {
    store.carrier((names) => Promise.resolve(names.map(() => false)));
    await carry(store);
    await clock.sleep(10_000);
  }, async (store) => {
    assert.deepEqual(left(store), [name]);
  }, async (store) => {
    await store.transact((tx) => {
      for (const {key} of tx.range(carriedRange)) tx.delete(key);
    }).durable;
  }, (store) => {
    assert.deepEqual(left(store), []);
    return Promise.resolve();
  });
});
