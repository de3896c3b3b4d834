import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Metastore} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const bytes = (text: string): ByteString => text as ByteString;
const row = bytes('d/a');
const other = bytes('f/a');
const value = (text: string): Uint8Array => Buffer.from(text);

async function scene(fn: (store: Metastore) => Promise<void>): Promise<void> {
  await createSimulation(1).run(async runtime => {
    await runtime.disk.makeDirectory('/log', {recursive: true});
    await using store = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, new MemoryMedium()), recalled: key => key.startsWith('d')});
    await fn(store);
  });
}

test('what was found out is recalled until a row that it may come from is written', () => scene(async store => {
  await store.transact(tx => tx.put(row, value('1'))).durable;
  store.read(reader => reader.keep('way', reader.look(row)!.toString()));
  store.transact(tx => {
    tx.put(other, value('x'));
    assert.equal(tx.recall('way'), '1');
  });
  assert.equal(store.read(reader => reader.recall('way')).result, '1');
  store.transact(tx => tx.delete(row));
  assert.equal(store.read(reader => reader.recall('way')).result, undefined);
}));

test('a transaction that has written such a row recalls nothing, and keeps nothing of what may never be', () => scene(async store => {
  await store.transact(tx => tx.put(row, value('1'))).durable;
  store.read(reader => reader.keep('way', '1'));
  assert.throws(() => store.transact(tx => {
    tx.put(row, value('2'));
    assert.equal(tx.recall('way'), undefined);
    tx.keep('way', '2');
    throw new Error('it is not to be');
  }), /not to be/);
  assert.equal(store.read(reader => reader.recall('way')).result, '1');
}));

test('who recalls depends on what was read to find it out', () => scene(async store => {
  const {sequence} = store.transact(tx => tx.put(row, value('1')), undefined, {unhurried: true});
  store.read(reader => {
    reader.look(row);
    reader.keep('way', '1');
  });
  const recalled = store.read(reader => reader.recall('way'));
  assert.equal(recalled.sequence, sequence);
  assert.ok(store.durableSequence < sequence);
  await recalled.durable;
  assert.ok(store.durableSequence >= sequence);
}));
