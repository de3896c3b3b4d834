/** Directories as stores on a disk that loses power at any moment and keeps any subset of what was not synced. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {type ByteString, fromText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {FilePlacer} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {connector} from '#connectors/file/connector.ts';

const call = {signal: new AbortController().signal};
const seeds = 40;
const lives = 3;
const writers = 9;

const open = ({disk, clock, random}: Runtime): Promise<UnderStore> =>
  connector.open('file:///data', {}, {disk, clock, random, variables: {}, http: {request: () => Promise.reject(new WeirError('Unavailable', 'no network'))}});

const contentOf = (key: ByteString, version: number): Buffer => Buffer.from(`${key}#${version};`.repeat(300 + (version % 7) * 50));

async function readWhole(store: UnderStore, key: ByteString): Promise<Buffer | undefined> {
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await store.read(key, {}, call)).body) chunks.push(chunk);
    return Buffer.concat(chunks);
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}

test('what was answered survives, what was not is whole or absent', async () => {
  let acknowledgedInAll = 0;
  let placedInAll = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const simulation = createSimulation(seed);
    const attempted = new Map<ByteString, number>();
    const acknowledged = new Map<ByteString, number>();
    await simulation.run(async ({disk}) => {
      await disk.makeDirectory('/data');
      await disk.syncDirectory('/');
    });
    for (let life = 0; life < lives; life++) {
      const working = simulation.run(async runtime => {
        const {disk} = runtime;
        const placer = (): FilePlacer => {
          const inner = disk.placer()!;
          return {...inner, place: files => ((placedInAll += files.length), inner.place(files))};
        };
        const store = await open({...runtime, disk: {...disk, placer}});
        runtime.clock.after(20 + runtime.random.number() * 100, () => simulation.crash());
        await Promise.all(
          Array.from({length: writers}, async (_, writer) => {
            for (let i = 0; ; i++) {
              const key = fromText(`dir${writer % 2}/new${Math.floor(i / 3)}/k${writer}`);
              const version = (attempted.get(key) ?? 0) + 1;
              attempted.set(key, version);
              const bytes = contentOf(key, version);
              // Small files whose length is known go another way.
              const write = await store.write({key, metadata: {}, ...((version + i) % 3 === 0 ? {} : {length: bytes.length})}, call);
              await write.write(bytes);
              await write.finish();
              acknowledged.set(key, version);
            }
          }),
        );
      });
      await assert.rejects(working, SimulatedCrash);
      await simulation.run(async runtime => {
        const store = await open(runtime);
        for (const [key, last] of attempted) {
          const found = await readWhole(store, key);
          const safe = acknowledged.get(key) ?? 0;
          const candidates = Array.from({length: last - safe + 1}, (_, i) => safe + i).filter(version => version > 0);
          const version = found === undefined ? 0 : candidates.find(candidate => contentOf(key, candidate).equals(found));
          assert.ok(version !== undefined && version >= safe, `seed ${seed}, life ${life}: ${key} has ${found?.length} bytes of none of ${candidates.join(', ')}`);
          acknowledgedInAll += safe;
          // From here on what was found is what there is.
          attempted.set(key, Math.max(version, safe));
          acknowledged.set(key, Math.max(version, safe));
        }
        const listed = (await store.list({prefix: fromText(''), delimiter: false, limit: 10_000}, call)).objects.filter(({kind}) => kind === 'file').map(({key}) => key);
        for (const key of listed) assert.ok(attempted.has(key), `seed ${seed}: ${key} was never written`);
      });
    }
  }
  assert.ok(acknowledgedInAll > seeds, 'the crashes came after some answers');
  assert.ok(placedInAll > seeds, 'some of them for files that were placed together');
});

test('an upload that was begun, and its parts, survive', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const simulation = createSimulation(seed);
    const key = fromText('large');
    const part = async (store: UnderStore, id: string, number: number) => await store.uploadPart(key, id, number, (async function* () { yield contentOf(key, number); })(), contentOf(key, number).length, call);
    const [id, first] = await simulation.run(async runtime => {
      await runtime.disk.makeDirectory('/data');
      await runtime.disk.syncDirectory('/');
      const store = await open(runtime);
      const begun = await store.createUpload({key, metadata: {}}, call);
      return [begun, seed % 2 === 0 ? await part(store, begun, 1) : undefined] as const;
    });
    simulation.crash();
    await simulation.run(async runtime => {
      const store = await open(runtime);
      await store.completeUpload(key, id, [...(first ? [first] : []), await part(store, id, 2)], undefined, call);
      assert.deepEqual(await readWhole(store, key), Buffer.concat([...(first ? [1] : []), 2].map(number => contentOf(key, number))), `seed ${seed}`);
    });
  }
});

test('what is put into a directory survives, also when who made the directory was killed before its name was durable', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const simulation = createSimulation(seed);
    const [one, other] = [fromText('a/b/one'), fromText('a/b/other')];
    const put = async (store: UnderStore, key: ByteString): Promise<void> => {
      const write = await store.write({key, metadata: {}}, call);
      await write.write(contentOf(key, 1));
      await write.finish();
    };
    const killed = simulation.run(async runtime => {
      await runtime.disk.makeDirectory('/data');
      await runtime.disk.syncDirectory('/');
      const store = await open(runtime);
      runtime.clock.after(seed % 4 + runtime.random.number(), () => simulation.kill());
      for (;;) await put(store, one);
    });
    await assert.rejects(killed, SimulatedCrash);
    await simulation.run(async runtime => put(await open(runtime), other));
    simulation.crash();
    await simulation.run(async runtime => assert.deepEqual(await readWhole(await open(runtime), other), contentOf(other, 1), `seed ${seed}`));
  }
});

/** Each change is begun by a life that is killed so long after, of the steps of a call one after the other. */
const killedAfterMs = Array.from({length: 60}, (_, i) => i * 0.1);

/**
 * In a directory in which `a/b/old` is; killed while `change` runs, the next life looks with `look`, then the power fails. What is found is what it was told.
 * Answers what that was, of all the times.
 */
async function killedAndLookedAt(change: (store: UnderStore) => Promise<unknown>, look: (store: UnderStore) => Promise<unknown>, keys: readonly ByteString[]): Promise<ReadonlySet<string>> {
  const outcomes = new Set<string>();
  for (const [seed, afterMs] of killedAfterMs.entries()) {
    const simulation = createSimulation(seed);
    const there = async (store: UnderStore): Promise<string> => (await Promise.all(keys.map(async key => ((await store.stat(key, call)) ? key : '')))).join(' ');
    const killed = simulation.run(async runtime => {
      await runtime.disk.makeDirectory('/data');
      await runtime.disk.syncDirectory('/');
      const store = await open(runtime);
      const write = await store.write({key: fromText('a/b/old'), metadata: {}}, call);
      await write.write(contentOf(fromText('a/b/old'), 1));
      await write.finish();
      runtime.clock.after(afterMs, () => simulation.kill());
      await change(store);
      await new Promise(() => {});
    });
    await assert.rejects(killed, SimulatedCrash);
    const told = await simulation.run(async runtime => {
      const store = await open(runtime);
      await look(store);
      return await there(store);
    });
    simulation.crash();
    const found = await simulation.run(async runtime => there(await open(runtime)));
    assert.equal(found, told, `killed after ${afterMs} ms`);
    outcomes.add(told);
  }
  return outcomes;
}

test('what is looked at to go on from it survives, also when who put it there was killed before its name was durable', async () => {
  const [old, moved] = [fromText('a/b/old'), fromText('c/moved')];
  const look = async (store: UnderStore): Promise<void> => void (await Promise.all([old, moved].map(key => store.stat(key, {...call, lasting: true}))));
  const written = await killedAndLookedAt(async store => {
    const write = await store.write({key: moved, metadata: {}}, call);
    await write.write(contentOf(moved, 1));
    await write.finish();
  }, look, [old, moved]);
  const renamed = await killedAndLookedAt(store => store.rename(old, moved, call), look, [old, moved]);
  const trees = ['a/b/', 'c/'].map(fromText);
  const lookAtTrees = async (store: UnderStore): Promise<void> => void (await Promise.all(trees.map(key => store.stat(key, {...call, lasting: true}))));
  const ofTrees = await killedAndLookedAt(store => store.rename(trees[0]!, trees[1]!, call), lookAtTrees, [old, fromText('c/old')]);
  for (const outcomes of [written, renamed, ofTrees]) assert.equal(outcomes.size, 2, 'killed before and after');
});

test('what is removed again stays away, also when who removed it first was killed before that was durable', async () => {
  const keys = ['a/b/old', 'a/b/', 'a/'].map(fromText);
  const remove = async (store: UnderStore): Promise<void> => assert.deepEqual(await store.remove(keys, call), []);
  await killedAndLookedAt(remove, remove, keys);
});
