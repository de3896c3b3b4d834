/** What every metastore must do, whatever engine is below. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import {fromBytes} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Metastore, ResultCodec, Transaction} from '#metastore/metastore.ts';

export interface MetastoreHome {
  open(): Promise<Metastore>;
  [Symbol.asyncDispose](): Promise<void>;
}

const k = (text: string) => text as ByteString;
const v = (text: string) => Buffer.from(text);
const all = {from: k('\x01'), to: k('\xff\xff')};
const textCodec: ResultCodec<string> = {encode: (result) => Buffer.from(result), decode: (bytes) => Buffer.from(bytes).toString()};

function dump(store: Metastore): [string, string][] {
  return store.read((reader) => Array.from(reader.range(all), ({key, value}): [string, string] => [key, Buffer.from(value).toString()])).result;
}

export function describeMetastore(name: string, makeHome: () => Promise<MetastoreHome>): void {
  describe(`metastore on ${name}`, () => {
    it('sees its own writes, inside and after a transaction', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const commit = store.transact((tx) => {
        tx.put(k('b'), v('1'));
        tx.put(k('a'), v('2'));
        tx.put(k('c'), v('3'));
        tx.delete(k('c'));
        assert.equal(Buffer.from(tx.get(k('a'))!).toString(), '2');
        return Array.from(tx.range(all), ({key}) => key);
      });
      assert.deepEqual(commit.result, ['a', 'b']);
      assert.deepEqual(dump(store), [['a', '2'], ['b', '1']]);
      await commit.durable;
    });

    it('forgets a transaction that throws', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      store.transact((tx) => tx.put(k('a'), v('1')));
      assert.throws(() =>
        store.transact((tx) => {
          tx.put(k('a'), v('2'));
          tx.delete(k('a'));
          throw new Error('no');
        }),
      );
      assert.deepEqual(dump(store), [['a', '1']]);
    });

    it('remembers everything after closing and opening', async () => {
      await using home = await makeHome();
      {
        await using store = await home.open();
        for (let i = 0; i < 100; i++) store.transact((tx) => tx.put(k(`key${i}`), v(String(i))));
        store.transact((tx) => tx.delete(k('key50')));
      }
      await using store = await home.open();
      const entries = dump(store);
      assert.equal(entries.length, 99);
      assert.deepEqual(store.read((reader) => ['key1', 'key10', 'key50'].map((name) => Buffer.from(reader.look(k(name)) ?? []).toString())).result, ['1', '10', '']);
      assert.equal(store.status().sequence, 101);
      assert.equal(store.transact((tx) => tx.put(k('x'), v('y'))).sequence, 102);
    });

    it('commits a request once, also after opening again, until it is acknowledged', async () => {
      await using home = await makeHome();
      const increment = (tx: Transaction) => {
        const next = Number(Buffer.from(tx.get(k('n')) ?? v('0')).toString()) + 1;
        tx.put(k('n'), v(String(next)));
        return String(next);
      };
      const request = (counter: number, acknowledged = 0) => ({id: {client: 'c', counter, acknowledged}, codec: textCodec});
      {
        await using store = await home.open();
        assert.equal(store.transact(increment, request(1)).result, '1');
        assert.equal(store.transact(increment, request(1)).result, '1');
        assert.equal(store.transact(increment, request(2)).result, '2');
      }
      await using store = await home.open();
      assert.equal(store.transact(increment, request(2)).result, '2');
      assert.equal(store.transact(increment, request(3, 2)).result, '3');
      assert.equal(store.transact(increment, request(2)).result, '4', 'an acknowledged request may be forgotten');
    });

    it('forgets acknowledged requests and no others, few or many at a time, after opening again too', async () => {
      const steps = fc.array(fc.record({client: fc.constantFrom('a', 'b'), requests: fc.integer({min: 1, max: 50}), back: fc.integer({min: 0, max: 60}), reopens: fc.boolean()}), {maxLength: 12});
      await fc.assert(
        fc.asyncProperty(steps, async (list) => {
          await using home = await makeHome();
          let store = await home.open();
          const made = {a: 0, b: 0};
          const acknowledged = {a: 0, b: 0};
          const commit = (client: 'a' | 'b'): void => {
            store.transact(() => '', {id: {client, counter: ++made[client], acknowledged: acknowledged[client]}, codec: textCodec});
          };
          const stored = (client: string): number[] =>
            store.read((reader) => Array.from(reader.range({from: k(`\0r${client}\0`), to: k(`\0r${client}\x01`)}), ({key}) => Number(Buffer.from(key.slice(-8), 'latin1').readBigUInt64BE()))).result;
          try {
            for (const {client, requests, back, reopens} of list) {
              for (let i = 0; i < requests; i++) commit(client);
              acknowledged[client] = Math.max(acknowledged[client], made[client] - back);
              // Each forgets some.
              for (let i = 0; i < 4; i++) commit(client);
              if (reopens) {
                await store.close();
                store = await home.open();
              }
              for (const each of ['a', 'b'] as const) {
                assert.deepEqual(stored(each), Array.from({length: made[each] - acknowledged[each]}, (_, i) => acknowledged[each] + 1 + i));
              }
            }
          } finally {
            await store.close();
          }
        }),
        {numRuns: 20},
      );
    });

    it('keeps the requests of clients apart, and refuses names that could mix them', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      const request = (client: string, counter: number, acknowledged = 0) => ({id: {client, counter, acknowledged}, codec: textCodec});
      for (const client of ['a', 'a b', 'a\u0001', 'aa', 'ä', 'x'.repeat(200)]) {
        for (const counter of [1, 2]) assert.equal(store.transact(() => `${client} ${counter}`, request(client, counter)).result, `${client} ${counter}`);
      }
      store.transact(() => '', request('a', 3, 2));
      const again = (client: string) => store.transact(() => 'again', request(client, 2)).result;
      assert.deepEqual(['a', 'a b', 'aa'].map(again), ['again', 'a b 2', 'aa 2']);
      const {sequence} = store.status();
      for (const client of ['', 'a\0', 'a\0\0\0\0\0\0\0\0\u0002', '\ud800', 'x'.repeat(201), 'ä'.repeat(101)]) {
        assert.throws(() => store.transact(() => '', request(client, 1)), (error) => isKind(error, 'InvalidArgument'));
      }
      assert.equal(store.status().sequence, sequence);
    });

    it('makes nobody wait for what can be learned again, but for what it was made from', async () => {
      await using home = await makeHome();
      {
        await using store = await home.open();
        const learned = store.transact((tx) => tx.put(k('learned'), v('1')), undefined, {relearnable: true});
        assert.equal(learned.sequence, 0);
        assert.equal(store.read((reader) => Buffer.from(reader.get(k('learned'))!).toString()).sequence, 0);
        const lasting = store.transact((tx) => tx.put(k('lasting'), v('1')));
        const derived = store.transact((tx) => tx.put(k('derived'), tx.get(k('lasting'))!), undefined, {relearnable: true});
        const over = store.transact((tx) => tx.put(k('lasting'), v('2')), undefined, {relearnable: true});
        assert.ok(store.status().durableSequence < lasting.sequence);
        for (const name of ['derived', 'lasting']) assert.equal(store.read((reader) => reader.get(k(name))).sequence, lasting.sequence, name);
        for (const commit of [lasting, derived, over]) await commit.durable;
      }
      await using store = await home.open();
      assert.deepEqual(dump(store), [['derived', '1'], ['lasting', '2'], ['learned', '1']]);
    });

    it('gives a snapshot that later transactions do not change', async () => {
      await using home = await makeHome();
      await using store = await home.open();
      for (let i = 0; i < 50; i++) store.transact((tx) => tx.put(k(`key${i}`), v('old')));
      await using snapshot = await store.snapshot();
      assert.ok(snapshot.sequence >= 50);
      const seen: string[] = [];
      for (const {key, value} of snapshot.range(all)) {
        seen.push(Buffer.from(value).toString());
        if (seen.length === 10) {
          store.transact((tx) => {
            for (let i = 0; i < 50; i++) tx.put(k(`key${i}`), v('new'));
            tx.delete(key);
          });
          await using _later = await store.snapshot();
        }
      }
      assert.deepEqual(seen, Array.from({length: 50}, () => 'old'));
    });

    it('agrees with a sorted map under random transactions, ranges and restarts', async () => {
      const key = fc.uint8Array({minLength: 1, maxLength: 3}).map((raw) => fromBytes(raw.map((byte) => Math.max(1, byte))));
      const change = fc.record({key, value: fc.option(fc.uint8Array({maxLength: 5}), {nil: null})});
      const action = fc.oneof(
        {weight: 6, arbitrary: fc.record({kind: fc.constant('commit' as const), changes: fc.array(change, {maxLength: 5})})},
        {weight: 3, arbitrary: fc.record({kind: fc.constant('range' as const), a: key, b: key, limit: fc.option(fc.nat(4), {nil: undefined}), reverse: fc.boolean()})},
        {weight: 1, arbitrary: fc.constant({kind: 'settle' as const})},
        {weight: 1, arbitrary: fc.constant({kind: 'reopen' as const})},
      );
      await fc.assert(
        fc.asyncProperty(fc.array(action, {maxLength: 25}), async (actions) => {
          await using home = await makeHome();
          let store = await home.open();
          const model = new Map<ByteString, string>();
          try {
            for (const step of actions) {
              if (step.kind === 'commit') {
                store.transact((tx) => {
                  for (const {key: name, value} of step.changes) {
                    if (value) tx.put(name, value);
                    else tx.delete(name);
                  }
                });
                for (const {key: name, value} of step.changes) {
                  if (value) model.set(name, Buffer.from(value).toString('hex'));
                  else model.delete(name);
                }
              } else if (step.kind === 'range') {
                const [from, to] = step.a < step.b ? [step.a, step.b] : [step.b, step.a];
                const bounds = {from, to, reverse: step.reverse, ...(step.limit === undefined ? {} : {limit: step.limit})};
                const got = store.read((reader) => Array.from(reader.range(bounds), ({key: name, value}) => [name, Buffer.from(value).toString('hex')])).result;
                const expected = [...model].filter(([name]) => name >= from && name < to).sort(([a], [b]) => (a < b ? -1 : 1));
                if (step.reverse) expected.reverse();
                assert.deepEqual(got, expected.slice(0, step.limit));
              } else if (step.kind === 'settle') await (await store.snapshot())[Symbol.asyncDispose]();
              else {
                await store.close();
                store = await home.open();
              }
            }
            for (const [name, value] of model) assert.equal(store.read((reader) => Buffer.from(reader.get(name)!).toString('hex')).result, value);
            for (const [name, value] of model) assert.equal(store.read((reader) => Buffer.from(reader.look(name)!).toString('hex')).result, value);
          } finally {
            await store.close();
          }
        }),
        {numRuns: 40},
      );
    });
  });
}
