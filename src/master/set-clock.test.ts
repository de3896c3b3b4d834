/** The machine's clock is set back by an hour: what others change in a store is seen no later for that, in the same life and in the next. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';

const hourMs = 3_600_000;
const maxAgeMs = 60_000;

async function seen(master: Master): Promise<unknown> {
  const {entries} = await master.list({directory: bytes('/b/'), view: 'tree', limit: 10}, context);
  const listed = entries.map((entry) => [entry.key as string, 'info' in entry ? entry.info.length : undefined]);
  const found = await Promise.all(['known', 'ours'].map(async (name) => [name, (await master.stat(bytes(`/b/${name}`), {kind: 'file'}, context)).length]));
  assert.deepEqual(listed, found);
  return Object.fromEntries(found);
}

test('while it runs', async () => {
  const world = new World();
  const {outside} = world.store('mem://bucket/');
  outside.put(bytes('known'), Buffer.from('1'));
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await put(master, '/b/ours', '1');
    assert.deepEqual(await seen(master), {known: 1, ours: 1});
    world.simulation.setClock(-hourMs);
    for (const name of ['known', 'ours']) outside.put(bytes(name), Buffer.from('22'));
    await clock.sleep(maxAgeMs + 1);
    assert.deepEqual(await seen(master), {known: 2, ours: 2});
    await put(master, '/b/ours', '333');
    await clock.sleep(10);
    outside.put(bytes('ours'), Buffer.from('4444'));
    await master.refresh(bytes('/b/'), context);
    assert.deepEqual(await seen(master), {known: 2, ours: 4});
  });
});

test('between two lives', async () => {
  const world = new World();
  const {outside} = world.store('mem://bucket/');
  outside.put(bytes('known'), Buffer.from('1'));
  await world.life(async (master) => {
    await mountBucket(master);
    await put(master, '/b/ours', '1');
    assert.deepEqual(await seen(master), {known: 1, ours: 1});
  });
  world.simulation.setClock(-hourMs);
  for (const name of ['known', 'ours']) outside.put(bytes(name), Buffer.from('22'));
  await world.life(async (master, {clock}) => {
    assert.deepEqual(await seen(master), {known: 2, ours: 2}, 'how old it is nobody knows');
    outside.put(bytes('known'), Buffer.from('333'));
    assert.deepEqual(await seen(master), {known: 2, ours: 2}, 'and from then on it is known again');
    await clock.sleep(maxAgeMs + 1);
    assert.deepEqual(await seen(master), {known: 3, ours: 2});
  });
});
