import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {asciiBytes} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {Turns} from '#master/writes/turns.ts';

const mount = 1 as MountId;
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

test('one key goes round in the order of asking', async () => {
  const turns = new Turns();
  const order: number[] = [];
  await Promise.all([1, 2, 3].map(async n => {
    using _turn = await turns.acquire({mount, keys: [asciiBytes('k')]});
    await settle();
    order.push(n);
  }));
  assert.deepEqual(order, [1, 2, 3]);
  assert.equal(turns.count, 0);
});

test('a tree waits for the keys within and keeps later ones out; others pass', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const inner = await turns.acquire({mount, keys: [asciiBytes('a/x')]});
  const tree = turns.acquire({mount, trees: [asciiBytes('a/')]}).then(turn => (order.push('tree'), turn));
  const later = turns.acquire({mount, keys: [asciiBytes('a/y')]}).then(turn => (order.push('later'), turn));
  using _other = await turns.acquire({mount, keys: [asciiBytes('b')]});
  await settle();
  assert.deepEqual(order, []);
  inner[Symbol.dispose]();
  await settle();
  assert.deepEqual(order, ['tree']);
  (await tree)[Symbol.dispose]();
  (await later)[Symbol.dispose]();
  assert.deepEqual(order, ['tree', 'later']);
});

test('giving up while waiting lets nobody overtake', async () => {
  const turns = new Turns();
  const first = await turns.acquire({mount, keys: [asciiBytes('k')]});
  const stop = new AbortController();
  const second = turns.acquire({mount, keys: [asciiBytes('k')]}, stop.signal);
  let third = false;
  const last = turns.acquire({mount, keys: [asciiBytes('k')]}).then(turn => ((third = true), turn));
  stop.abort(new Error('gone'));
  await assert.rejects(second, /gone/);
  await settle();
  assert.equal(third, false);
  first[Symbol.dispose]();
  (await last)[Symbol.dispose]();
  assert.equal(turns.count, 0);
});

test('random claims never overlap and all end', async () => {
  const key = fc.constantFrom('a', 'a/b', 'a/c', 'd/e', 'd/f/g').map(asciiBytes);
  const tree = fc.constantFrom('', 'a/', 'd/', 'd/f/').map(asciiBytes);
  const claims = fc.array(fc.record({keys: fc.array(key, {maxLength: 2}), trees: fc.array(tree, {maxLength: 1}), ticks: fc.nat(3), giveUp: fc.boolean()}), {maxLength: 12});
  await fc.assert(fc.asyncProperty(claims, async list => {
    const turns = new Turns();
    const held = new Set<(typeof list)[number]>();
    await Promise.all(list.map(async claim => {
      const stop = new AbortController();
      if (claim.giveUp) setImmediate(() => stop.abort(new Error('gone')));
      let turn: Disposable;
      try {
        turn = await turns.acquire({mount, ...claim}, stop.signal);
      } catch {
        return;
      }
      for (const other of held) {
        const touching = [...claim.keys].some(k => other.keys.includes(k) || other.trees.some(t => k.startsWith(t)))
          || claim.trees.some(t => other.keys.some(k => k.startsWith(t)) || other.trees.some(o => o.startsWith(t) || t.startsWith(o)));
        assert.equal(touching, false);
      }
      held.add(claim);
      for (let i = 0; i < claim.ticks; i++) await settle();
      held.delete(claim);
      turn[Symbol.dispose]();
    }));
    await settle();
    assert.equal(turns.count, 0);
  }), {numRuns: 60});
});
