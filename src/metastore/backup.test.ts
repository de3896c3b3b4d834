/** Backup and restore on both engines: one moment of the state while writes go on, and nothing but a whole backup becomes a state. */
import assert from 'node:assert/strict';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {restoreBackup, writeBackup} from '#metastore/backup.ts';
import {everyKey, type StateEngine} from '#metastore/engine.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Metastore, ResultCodec} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const runtime = createNodeRuntime({log: {level: 'silent'}});
const {clock} = runtime;
const k = (text: string) => text as ByteString;
const textCodec: ResultCodec<string> = {encode: (text) => Buffer.from(text), decode: (bytes) => Buffer.from(bytes).toString()};

/** Places for engines and logs, by name; what is there stays from one opening to the next. */
class Homes implements AsyncDisposable {
  readonly #root: string;
  readonly #media = new Map<string, MemoryMedium>();
  readonly #kind: 'LMDB' | 'memory';

  constructor(root: string, kind: 'LMDB' | 'memory') {
    this.#root = root;
    this.#kind = kind;
  }

  async engine(name: string): Promise<StateEngine> {
    if (this.#kind === 'LMDB') return await openLmdbEngine(runtime.disk, path.join(this.#root, name, 'state'));
    const medium = this.#media.get(name) ?? new MemoryMedium();
    this.#media.set(name, medium);
    return memoryEngine(runtime, medium);
  }

  log(name: string): string {
    return path.join(this.#root, name, 'log');
  }

  async open(name: string): Promise<Metastore> {
    const engine = await this.engine(name);
    try {
      return await openMetastore({runtime, directory: this.log(name), engine});
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  async restore(name: string, chunks: readonly Uint8Array[]): Promise<{entries: number}> {
    const engine = await this.engine(name);
    try {
      return await restoreBackup(engine, each(chunks));
    } finally {
      await engine.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#root, {recursive: true});
  }
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function backUp(store: Metastore): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeBackup(store, clock)));
}

function dump(store: Metastore): [string, string][] {
  return store.read((reader) => Array.from(reader.range(everyKey), ({key, value}): [string, string] => [key, Buffer.from(value).toString('latin1')])).result;
}

for (const kind of ['LMDB', 'memory'] as const) {
  const makeHomes = async () => new Homes(await mkdtemp(path.join(tmpdir(), 'weir-backup-')), kind);

  describe(`backup of the metastore on ${kind}`, () => {
    it('restores every key, every sequence and every request, and goes on from there', async () => {
      await using homes = await makeHomes();
      const request = {id: {client: 'c', counter: 7, acknowledged: 0}, codec: textCodec};
      let bytes: Buffer;
      let expected: [string, string][];
      {
        await using store = await homes.open('a');
        for (let i = 0; i < 300; i++) store.transact((tx) => tx.put(k(`key${i}`), Buffer.alloc(3000, i)));
        store.transact((tx) => tx.delete(k('key7')));
        store.transact((tx) => tx.put(k('\xff'.repeat(1900)), Buffer.from('last')));
        store.transact(() => 'done', request);
        expected = dump(store);
        bytes = await backUp(store);
      }
      assert.deepEqual(await homes.restore('b', [bytes]), {entries: 301});
      for (let opened = 0; opened < 3; opened++) {
        await using store = await homes.open('b');
        assert.equal(store.status().sequence, 303 + opened);
        assert.deepEqual(dump(store).filter(([key]) => key !== 'new'), expected);
        assert.equal(store.transact((): string => assert.fail('ran again'), request).result, 'done');
        store.transact((tx) => tx.put(k('new'), Buffer.from([opened])));
      }
      await using again = await homes.open('a');
      assert.deepEqual(dump(again), expected);
    });

    it('is one moment of the state while writes go on, and lets them go on', async () => {
      await using homes = await makeHomes();
      const pairs = 400;
      let bytes: Buffer;
      let between = 0;
      {
        await using store = await homes.open('a');
        const left = (i: number) => k(`a${String(i).padStart(6, '0')}`);
        const right = (i: number) => k(`z${String(i).padStart(6, '0')}`);
        const write = (round: number) => {
          // Both sides of a pair and the round, in one transaction; the keys of a pair lie far apart.
          store.transact((tx) => {
            const value = Buffer.alloc(1500, round);
            tx.put(left(round % pairs), value);
            tx.put(right(round % pairs), value);
            tx.put(k('m'), Buffer.from(String(round)));
          });
        };
        let round = 0;
        for (; round < pairs; round++) write(round);
        let stopped = false;
        const writer = (async () => {
          while (!stopped) {
            for (let i = 0; i < 20; i++) write(round++);
            between++;
            await clock.yield();
          }
        })();
        try {
          bytes = await backUp(store);
        } finally {
          stopped = true;
          await writer;
        }
      }
      assert.ok(between > 3, `the writer had ${between} turns`);
      await homes.restore('b', [bytes]);
      await using store = await homes.open('b');
      const found = new Map(dump(store));
      const round = Number(found.get('m'));
      assert.equal(store.status().sequence, round + 1, 'just the transactions that the sequence says');
      assert.equal(found.size, pairs * 2 + 1);
      for (let i = 0; i < pairs; i++) {
        const newest = round - ((round - i) % pairs);
        const expected = Buffer.alloc(1500, newest).toString('latin1');
        for (const side of ['a', 'z']) assert.equal(found.get(`${side}${String(i).padStart(6, '0')}`), expected, `${side}${i}`);
      }
    });

    it('of an empty store is an empty store', async () => {
      await using homes = await makeHomes();
      let bytes: Buffer;
      {
        await using store = await homes.open('a');
        bytes = await backUp(store);
      }
      assert.deepEqual(await homes.restore('b', [bytes]), {entries: 0});
      await using store = await homes.open('b');
      assert.deepEqual(dump(store), []);
      assert.equal(store.transact((tx) => tx.put(k('a'), Buffer.of(1))).sequence, 1);
    });

    it('leaves nothing that opens when the backup is broken, cut off or not there', async () => {
      await using homes = await makeHomes();
      let bytes: Buffer;
      {
        await using store = await homes.open('a');
        for (let i = 0; i < 30; i++) store.transact((tx) => tx.put(k(`key${i}`), Buffer.alloc(20_000, i)));
        bytes = await backUp(store);
      }
      const flipped = Buffer.from(bytes);
      flipped[bytes.length - 1]! ^= 1;
      const broken = [[], [bytes.subarray(0, 300_000)], [bytes.subarray(0, -1)], [flipped], [bytes, Buffer.of(0)], [Buffer.from('something else altogether')]];
      for (const [i, chunks] of broken.entries()) {
        await assert.rejects(homes.restore(`b${i}`, chunks), (error) => isKind(error, 'Corrupt'));
        await assert.rejects(homes.open(`b${i}`), (error) => isKind(error, 'Corrupt'));
        await assert.rejects(homes.restore(`b${i}`, [bytes]), (error) => isKind(error, 'AlreadyExists'));
      }
    });

    it('is restored over nothing that is there, and beside no log of another history', async () => {
      await using homes = await makeHomes();
      let bytes: Buffer;
      {
        await using store = await homes.open('a');
        for (let i = 0; i < 5; i++) store.transact((tx) => tx.put(k('a'), Buffer.of(i)));
        bytes = await backUp(store);
      }
      await assert.rejects(homes.restore('a', [bytes]), (error) => isKind(error, 'AlreadyExists'));
      await homes.restore('b', [bytes]);
      const engine = await homes.engine('b');
      await assert.rejects(openMetastore({runtime, directory: homes.log('a'), engine}), (error) => isKind(error, 'Corrupt'));
      await engine.close();
    });

    it('gives its snapshot up when nobody reads on', async () => {
      await using homes = await makeHomes();
      await using store = await homes.open('a');
      for (let i = 0; i < 30; i++) store.transact((tx) => tx.put(k(`key${i}`), Buffer.alloc(20_000, i)));
      let open = 0;
      const counted: Pick<Metastore, 'snapshot'> = {
        snapshot: async () => {
          const snapshot = await store.snapshot();
          open++;
          return {
            ...snapshot,
            [Symbol.asyncDispose]: async () => {
              open--;
              await snapshot[Symbol.asyncDispose]();
            },
          };
        },
      };
      for await (const _ of writeBackup(counted, clock)) {
        assert.equal(open, 1);
        break;
      }
      assert.equal(open, 0);
    });

    it('refuses a state whose log is gone', async () => {
      await using homes = await makeHomes();
      {
        await using store = await homes.open('a');
        store.transact((tx) => tx.put(k('a'), Buffer.of(1)));
      }
      await rm(homes.log('a'), {recursive: true});
      await assert.rejects(homes.open('a'), (error) => isKind(error, 'Corrupt'));
    });
  });
}
