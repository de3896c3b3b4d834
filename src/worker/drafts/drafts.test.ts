import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {isKind} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {decodeDraftRecord, type DraftRecord, encodeDraftRecord} from '#codec/draft/log-record.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';
import {Drafts} from '#worker/drafts/drafts.ts';
import {LeftDrafts} from '#worker/drafts/left-drafts.ts';

const inode = 7 as InodeId;
const base = 9 as ContentId;
const seal = 11 as ContentId;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const pattern = (seed: number, length: number): Buffer => Buffer.from(Uint8Array.from({length}, (_, i) => (seed * 37 + i + (i >>> 9) * 5) & 0xff));

async function* of(...chunks: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
}

async function begin(runtime: Runtime): Promise<{readonly blocks: BlockStore; readonly drafts: Drafts}> {
  for (const directory of ['/home', '/cache']) await runtime.disk.makeDirectory(directory, {recursive: true});
  await runtime.disk.syncDirectory('/');
  const blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}]});
  await blocks.loaded();
  return {blocks, drafts: new Drafts({runtime, blocks, directory: '/home/drafts', read: () => of()})};
}

const readAll = async (drafts: Drafts, draft: number): Promise<Buffer> => Buffer.from(await drafts.read(draft, {offset: 0, length: 8 * MiB}));

/** One life, to its orderly end. */
async function life<T>(simulation: ReturnType<typeof createSimulation>, fn: (drafts: Drafts, blocks: BlockStore) => Promise<T>): Promise<T> {
  return await simulation.run(async (runtime) => {
    const {blocks, drafts} = await begin(runtime);
    const result = await fn(drafts, blocks);
    await drafts.closeAll();
    await blocks.close();
    return result;
  });
}

describe('drafts', () => {
  it('begin with their base and are written anywhere', async () => {
    await life(createSimulation(1), async (drafts) => {
      const {draft, length} = await drafts.open(inode, base, undefined, 11, of('hello ', 'world'));
      assert.equal(length, 11);
      await drafts.write(draft, 13, Buffer.from('!'));
      assert.equal(text(await drafts.read(draft, {offset: 6, length: 100})), 'world\0\0!');
      await drafts.punch(draft, {offset: 1, length: 3});
      await drafts.truncate(draft, 5);
      assert.equal(text(await readAll(drafts, draft)), 'h\0\0\0o');
      await drafts.truncate(draft, 7);
      assert.equal(text(await readAll(drafts, draft)), 'h\0\0\0o\0\0');
      await assert.rejects(drafts.open(inode, base, undefined, 0, undefined), (error) => isKind(error, 'AlreadyExists'));
      await drafts.close(draft, false);
      await assert.rejects(drafts.read(draft, {offset: 0, length: 1}), (error) => isKind(error, 'NotFound'));
    });
  });

  it('are sealed and put away on the spot', async () => {
    await life(createSimulation(1), async (drafts, blocks) => {
      const {draft} = await drafts.open(inode, undefined, seal, 0, undefined);
      await drafts.write(draft, 0, Buffer.from('hello'));
      assert.equal(drafts.sealNow(draft, base), undefined, 'it was to be another content');
      // Where the disk wants to be waited for, it is sealed the ordinary way.
      const sealed = drafts.sealNow(draft, seal) ?? (await drafts.seal(draft, seal));
      assert.deepEqual(sealed, {length: 5, etag: '5d41402abc4b2a76b9719d911017c592', durable: false});
      assert.deepEqual([text((await blocks.read({id: seal, length: 5}, 0, 5))!), blocks.presence(seal)?.dirty], ['hello', true]);
      assert.equal(drafts.sealNow(draft, seal), undefined, 'it is kept already');
      assert.ok(drafts.rebaseNow(draft, seal));
      await drafts.write(draft, 0, Buffer.from('J'));
      assert.equal(text(await readAll(drafts, draft)), 'Jello');
      assert.ok(drafts.closeNow(draft));
      await assert.rejects(drafts.read(draft, {offset: 0, length: 1}), (error) => isKind(error, 'NotFound'));
      const again = await drafts.open(inode, undefined, seal, 0, undefined);
      await drafts.write(again.draft, 2, Buffer.from('!'));
      assert.equal(text(await readAll(drafts, again.draft)), '\0\0!', 'nothing of the one before is in its memory');
      await drafts.sync(again.draft);
      assert.equal(drafts.closeNow(again.draft), false, 'what was synced ends by way of the disk');
      await drafts.close(again.draft, false);
    });
  });

  it('are begun and written on the spot once the log has begun, and found again after kill -9', async () => {
    const simulation = createSimulation(1);
    const other = 8 as InodeId;
    const crashed = simulation.run(async (runtime) => {
      const {drafts} = await begin(runtime);
      assert.equal(drafts.openNow({inode, base, seal}), undefined, 'what earlier lives have left is not known yet');
      const {draft: first} = await drafts.open(inode, base, undefined, 0, undefined);
      await drafts.write(first, 0, Buffer.from('first'));
      const begun = drafts.openNow({inode: other, base, seal});
      assert.ok(begun);
      assert.equal(drafts.openNow({inode: other, base, seal}), undefined, 'it is being written');
      assert.ok(drafts.writeNow(begun.draft, 2, Buffer.from('second')));
      assert.equal(text(await readAll(drafts, begun.draft)), '\0\0second');
      simulation.kill();
      await runtime.clock.sleep(1);
    });
    await assert.rejects(crashed, SimulatedCrash);
    await life(simulation, async (drafts) => {
      const left = await drafts.left();
      assert.deepEqual(left.map(({inode: which, seal: as}) => [which, as]), [[inode, undefined], [other, seal]]);
      assert.deepEqual(await Promise.all(left.map(async ({draft}) => text(await readAll(drafts, draft)))), ['first', '\0\0second']);
    });
  });

  it('hold what a buffer holds, small and large, over an orderly end', async () => {
    const change = fc.oneof(
      fc.record({op: fc.constant('write' as const), at: fc.nat(600 * KiB), length: fc.integer({min: 1, max: 300 * KiB})}),
      fc.record({op: fc.constant('punch' as const), at: fc.nat(600 * KiB), length: fc.integer({min: 1, max: 300 * KiB})}),
      fc.record({op: fc.constant('truncate' as const), at: fc.nat(700 * KiB), length: fc.constant(0)}),
      fc.record({op: fc.constant('seal' as const), at: fc.constant(0), length: fc.constant(0)}),
    );
    await fc.assert(fc.asyncProperty(fc.array(change, {maxLength: 8}), fc.integer({min: 0, max: 300 * KiB}), async (changes, baseLength) => {
      const simulation = createSimulation(1);
      let expected = pattern(99, baseLength);
      let sealed = 0;
      let dirty = false;
      await life(simulation, async (drafts, blocks) => {
        const {draft} = await drafts.open(inode, base, undefined, baseLength, of(expected));
        let seed = 1;
        for (const {op, at, length} of changes) {
          if (op === 'write') {
            const chunk = pattern(seed++, length);
            const larger = Buffer.alloc(Math.max(expected.length, at + length));
            expected.copy(larger);
            chunk.copy(larger, at);
            expected = larger;
            if (!drafts.writeNow(draft, at, chunk)) await drafts.write(draft, at, chunk);
          } else if (op === 'punch') {
            const end = Math.min(expected.length, at + length);
            if (end <= at) continue;
            expected.fill(0, at, end);
            await drafts.punch(draft, {offset: at, length: end - at});
          } else if (op === 'truncate') {
            const cut = Buffer.alloc(at);
            expected.copy(cut);
            expected = cut;
            await drafts.truncate(draft, at);
          } else {
            const id = (100 + ++sealed) as ContentId;
            assert.equal((await drafts.seal(draft, id))?.length, expected.length);
            await drafts.rebase(draft, inode, id);
            const bytes = expected.length === 0 ? Buffer.alloc(0) : await blocks.read({id, length: expected.length}, 0, expected.length);
            assert.deepEqual(bytes && Buffer.from(bytes), expected);
          }
          dirty = op !== 'seal';
          assert.deepEqual(await readAll(drafts, draft), expected);
        }
      });
      if (!dirty) return;
      await life(simulation, async (drafts) => {
        const [left, ...more] = await drafts.left();
        assert.deepEqual([left?.inode, more.length], [inode, 0]);
        assert.deepEqual(await readAll(drafts, (await drafts.reopen(left!.draft, undefined)).draft), expected);
        await drafts.close(left!.draft, false);
        assert.deepEqual(await drafts.left(), []);
      });
    }), {numRuns: 40});
  });

  for (const large of [false, true]) {
    const size = large ? 600 * KiB : 3000;
    const [first, second] = [pattern(1, size), pattern(2, size)];
    for (const death of ['kill', 'crash'] as const) {
      it(`lose nothing that was ${death === 'kill' ? 'answered' : 'synced'} to ${death === 'kill' ? 'kill -9' : 'power loss'}, at any point (${large ? 'large' : 'small'})`, async () => {
        const points = new Set<string>();
        for (let seed = 1; seed <= 60; seed++) {
          const simulation = createSimulation(seed);
          const reached = {written: 0, synced: 0};
          const work = async (runtime: Runtime): Promise<void> => {
            const {drafts} = await begin(runtime);
            const {draft} = await drafts.open(inode, base, seal, 0, undefined);
            assert.equal(drafts.syncNow(draft), undefined, 'nothing is told of it yet');
            await drafts.write(draft, 0, first);
            reached.written = 1;
            if (large) assert.equal(drafts.syncNow(draft), undefined, 'the log is to be told that it lasts');
            await drafts.sync(draft);
            reached.synced = 1;
            if (!drafts.writeNow(draft, 0, second)) await drafts.write(draft, 0, second);
            reached.written = 2;
            await (drafts.syncNow(draft) ?? drafts.sync(draft));
            reached.synced = 2;
            await drafts.seal(draft, seal);
          };
          const names = [...points];
          const point = names[seed % Math.max(1, names.length)];
          if (seed > 1 && point) simulation.crashAt(point, 1 + (seed % 3), death);
          await simulation.run(work).catch((error: unknown) => {
            if (!(error instanceof SimulatedCrash)) throw error;
          });
          for (const name of simulation.pointsHit.keys()) if (name.startsWith('drafts.') || name.includes('Draft')) points.add(name);
          simulation[death]();
          const verify = async (runtime: Runtime): Promise<void> => {
            const {drafts} = await begin(runtime);
            const [left, ...more] = await drafts.left();
            assert.equal(more.length, 0);
            const sure = death === 'kill' ? reached.written : reached.synced;
            if (!left) return assert.equal(sure, 0, `seed ${seed}: ${sure} writes are lost`);
            assert.deepEqual([left.inode, left.base, left.seal], [inode, base, seal]);
            const {draft} = await drafts.reopen(left.draft, undefined);
            const bytes = await readAll(drafts, draft);
            if (large && death === 'crash') return assert.ok(reached.synced === 0 || bytes.length === size);
            const state = bytes.length === 0 ? 0 : bytes.equals(first) ? 1 : bytes.equals(second) ? 2 : -1;
            assert.ok(state >= sure, `seed ${seed}: a mixture, or ${state} where ${sure} was sure`);
          };
          // The end may come while what was left is looked at, too.
          for (let isVerified = false; !isVerified; ) {
            isVerified = await simulation.run(verify).then(() => true, (error: unknown) => {
              if (error instanceof SimulatedCrash) return false;
              throw error;
            });
          }
        }
        assert.ok(points.size >= (large ? 8 : 4), [...points].join());
      });
    }
  }

  /** What comes after the sync lasts by another's; after power loss the draft is what it was when it was synced. */
  const afterSync: Record<string, (drafts: Drafts, draft: number) => Promise<unknown>> = {
    'sealed': async (drafts, draft) => {
      assert.ok(await drafts.seal(draft, seal));
      await drafts.rebase(draft, inode, seal);
    },
    'sealed, and changed': async (drafts, draft) => {
      assert.ok(await drafts.seal(draft, seal));
      await drafts.rebase(draft, inode, seal);
      await drafts.write(draft, 0, Buffer.from('later'));
    },
    'sealed, and sealed again': async (drafts, draft) => {
      for (const id of [seal, 12 as ContentId]) {
        assert.ok(await drafts.seal(draft, id));
        await drafts.rebase(draft, inode, id);
      }
    },
    'grown to a file': async (drafts, draft) => await drafts.write(draft, 100, pattern(3, 600 * KiB)),
  };
  for (const [name, change] of Object.entries(afterSync)) {
    it(`keep what was synced until what comes after lasts (${name})`, async () => {
      const simulation = createSimulation(1);
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, seal, 0, undefined);
        await drafts.write(draft, 0, Buffer.from('synced'));
        await drafts.sync(draft);
        await change(drafts, draft);
        const other = await drafts.open(8 as InodeId, base, undefined, 0, undefined);
        await drafts.write(other.draft, 0, Buffer.from('other'));
        await drafts.sync(other.draft);
      });
      simulation.crash();
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const left = (await drafts.left()).find((each) => each.inode === inode);
        assert.deepEqual([left?.base, left?.seal], [base, seal]);
        assert.equal(text(await readAll(drafts, (await drafts.reopen(left!.draft, undefined)).draft)), 'synced');
      });
    });
  }

  it('are what they were when the power fails while they are told anew', () => {
    const id = {inode, base, seal};
    for (const first of [{kind: 'open', ...id, bytes: Buffer.from('x')}, {kind: 'file', ...id, name: 'mount-1'}] as const) {
      const left = new LeftDrafts();
      for (const record of [first, {kind: 'synced', inode}, first] as const) left.apply(record, false);
      assert.deepEqual(Array.from(left, ([, {seal: told, synced}]) => [told, synced]), [[seal, true]]);
      left.apply({kind: 'end', inode}, false);
      assert.deepEqual([...left], []);
    }
  });

  it('are dropped when the power failed before they were ever synced', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const simulation = createSimulation(seed);
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        for (const [i, size] of [100, 400 * KiB].entries()) {
          const {draft} = await drafts.open((i + 1) as InodeId, undefined, undefined, 0, undefined);
          await drafts.write(draft, 0, pattern(1, size));
        }
        // Their log is synced for another's sake.
        const {draft} = await drafts.open(inode, undefined, undefined, 0, undefined);
        await drafts.write(draft, 0, pattern(2, 10));
        await drafts.sync(draft);
      });
      simulation.crash();
      await simulation.run(async (runtime) => {
        const {drafts, blocks} = await begin(runtime);
        assert.deepEqual((await drafts.left()).map((left) => left.inode), [inode]);
        assert.deepEqual(await blocks.drafts.left(), []);
      });
    }
  });

  it('take no room in the log when they have ended', async () => {
    const simulation = createSimulation(1);
    await simulation.run(async (runtime) => {
      const {drafts} = await begin(runtime);
      for (let i = 1; i <= 180; i++) {
        const {draft} = await drafts.open(i as InodeId, undefined, undefined, 0, undefined);
        await drafts.write(draft, 0, pattern(i, 128 * KiB));
        await drafts.write(draft, 128 * KiB, pattern(i, 100 * KiB));
        await drafts.close(draft, false);
      }
      assert.equal((await runtime.disk.readDirectory('/home/drafts')).length, 1);
      await drafts.closeAll();
      assert.equal((await runtime.disk.readDirectory('/home/drafts')).length, 0);
    });
  });
});

describe('records of the log of drafts', () => {
  const id = fc.maxSafeNat();
  const time = fc.bigInt({min: -(2n ** 63n), max: 2n ** 63n - 1n});
  const bytes = fc.uint8Array({maxLength: 100}).map((array) => Buffer.from(array));
  const record = fc.oneof(
    fc.record({kind: fc.constant('boot' as const), boot: fc.string()}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('open' as const), inode: id, base: id, seal: id, bytes}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('file' as const), inode: id, base: id, seal: id, name: fc.string()}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('partial' as const), inode: id, base: id, seal: id, end: id, name: fc.constantFrom('mount-1', ''), own: bytes}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('own' as const), inode: id, end: id, own: bytes}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('write' as const), inode: id, modified: time, position: id, bytes}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('zero' as const), inode: id, modified: time, position: id, length: id}, {noNullPrototype: true}),
    fc.record({kind: fc.constant('truncate' as const), inode: id, modified: time, length: id}, {noNullPrototype: true}),
    fc.record({kind: fc.constantFrom('synced' as const, 'end' as const), inode: id}, {noNullPrototype: true}),
  ) as fc.Arbitrary<DraftRecord>;

  it('come back as they were written, up to the first that is torn', () => {
    fc.assert(fc.property(fc.array(record, {maxLength: 5}), fc.nat(400), (records, cut) => {
      const encoded = records.map((one) => Buffer.concat([...encodeDraftRecord(one)]));
      const whole = Buffer.concat(encoded);
      const log = whole.subarray(0, Math.max(0, whole.length - cut));
      const found: DraftRecord[] = [];
      for (let at = 0; ; ) {
        const decoded = decodeDraftRecord(log, at);
        if (decoded === 'torn') break;
        found.push(decoded.record);
        at = decoded.next;
      }
      let fit = 0;
      for (let end = 0; fit < encoded.length && (end += encoded[fit]!.length) <= log.length; ) fit++;
      assert.deepEqual(found, records.slice(0, fit));
    }));
  });

  it('keep what was synced before they became large, over a kill and then power loss', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const simulation = createSimulation(seed);
      const [small, large] = [pattern(1, 3000), pattern(2, 400 * KiB)];
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, seal, 0, undefined);
        await drafts.write(draft, 0, small);
        await drafts.sync(draft);
        await drafts.write(draft, small.length, large);
      });
      simulation.kill();
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        assert.equal((await drafts.left())[0]?.length, small.length + large.length);
      });
      simulation.crash();
      await life(simulation, async (drafts) => {
        const [left] = await drafts.left();
        assert.ok(left, `seed ${seed}`);
        const found = await readAll(drafts, (await drafts.reopen(left.draft, undefined)).draft);
        assert.deepEqual(found.subarray(0, small.length), small, `seed ${seed}`);
      });
    }
  });

  it('keep what was synced while what they were sealed as, and changed after, does not last', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const simulation = createSimulation(seed);
      const [first, second] = [pattern(1, 400 * KiB), pattern(2, 5000)];
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, seal, 0, undefined);
        await drafts.write(draft, 0, first);
        await drafts.sync(draft);
        await drafts.seal(draft, seal);
        await drafts.rebase(draft, inode, seal);
        await drafts.write(draft, 0, second);
      });
      simulation.crash();
      await life(simulation, async (drafts) => {
        const [left] = await drafts.left();
        assert.deepEqual([left?.base, left?.seal], [base, seal], `seed ${seed}`);
        assert.deepEqual(await readAll(drafts, (await drafts.reopen(left!.draft, undefined)).draft), first, `seed ${seed}`);
      });
    }
  });

  it('keep what is synced after they were published by way of the store', async () => {
    for (const early of [false, true]) {
      const simulation = createSimulation(3);
      const [first, second] = [pattern(1, 400 * KiB), pattern(2, 5000)];
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, undefined, 0, undefined);
        await drafts.write(draft, 0, first);
        await drafts.sync(draft);
        await drafts.rebase(draft, inode, seal);
        if (early) await drafts.sync(draft);
        await drafts.write(draft, first.length, second);
        await drafts.sync(draft);
      });
      simulation.crash();
      await life(simulation, async (drafts) => {
        const [left] = await drafts.left();
        assert.equal(left?.base, seal);
        assert.deepEqual(await readAll(drafts, (await drafts.reopen(left.draft, undefined)).draft), Buffer.concat([first, second]));
      });
    }
  });

  it('do not come back after power loss when they were published after power loss', async () => {
    for (const length of [3000, 400 * KiB]) {
      for (let seed = 1; seed <= 5; seed++) {
        const simulation = createSimulation(seed);
        await simulation.run(async (runtime) => {
          const {drafts} = await begin(runtime);
          const {draft} = await drafts.open(inode, base, seal, 0, undefined);
          await drafts.write(draft, 0, pattern(1, length));
          await drafts.sync(draft);
        });
        simulation.crash();
        await simulation.run(async (runtime) => {
          const {drafts} = await begin(runtime);
          const [left] = await drafts.left();
          const {draft} = await drafts.reopen(left!.draft, undefined);
          const other = 13 as ContentId;
          assert.ok(await drafts.seal(draft, other));
          await drafts.rebase(draft, inode, other);
          await drafts.close(draft, false);
        });
        simulation.crash();
        await life(simulation, async (drafts) => assert.deepEqual(await drafts.left(), [], `${length} bytes, seed ${seed}`));
      }
    }
  });

  it('keep what was synced when they have become small again, until what they were sealed as lasts', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const simulation = createSimulation(seed);
      const [large, length] = [pattern(1, 400 * KiB), 1000];
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, seal, 0, undefined);
        await drafts.write(draft, 0, large);
        await drafts.truncate(draft, length);
        await drafts.sync(draft);
        await drafts.seal(draft, seal);
        await drafts.rebase(draft, inode, seal);
        // What others sync brings with it what the log has to tell.
        const other = await drafts.open(8 as InodeId, base, undefined, 0, undefined);
        await drafts.write(other.draft, 0, pattern(2, 10));
        await drafts.sync(other.draft);
      });
      simulation.crash();
      await life(simulation, async (drafts) => {
        const left = (await drafts.left()).find((each) => each.inode === inode);
        assert.deepEqual([left?.base, left?.seal], [base, seal], `seed ${seed}`);
        assert.deepEqual(await readAll(drafts, (await drafts.reopen(left!.draft, undefined)).draft), large.subarray(0, length), `seed ${seed}`);
      });
    }
  });

  it('drop the file that lasted when what came after it, over a kill, lasts too', async () => {
    const simulation = createSimulation(1);
    const [first, second] = [pattern(1, 400 * KiB), pattern(2, 500)];
    await simulation.run(async (runtime) => {
      const {drafts} = await begin(runtime);
      const {draft} = await drafts.open(inode, base, seal, 0, undefined);
      await drafts.write(draft, 0, first);
      await drafts.sync(draft);
      await drafts.seal(draft, seal);
      await drafts.rebase(draft, inode, seal);
      await drafts.write(draft, 0, second);
    });
    simulation.kill();
    await simulation.run(async (runtime) => {
      const {drafts, blocks} = await begin(runtime);
      const [left] = await drafts.left();
      assert.equal((await blocks.drafts.left()).length, 2);
      await drafts.sync((await drafts.reopen(left!.draft, undefined)).draft);
      // The other is open.
      assert.deepEqual(await blocks.drafts.left(), []);
    });
  });

  it('know what they were sealed as, where power loss has taken what the log said of it', async () => {
    const bytes = pattern(1, 400 * KiB);
    for (let seed = 1; seed <= 10; seed++) {
      const simulation = createSimulation(seed);
      await simulation.run(async (runtime) => {
        const {drafts, blocks} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, undefined, 0, undefined);
        await drafts.write(draft, 0, bytes);
        await drafts.sync(draft);
        await drafts.seal(draft, seal);
        assert.deepEqual(await blocks.makeDurable([seal]), [true]);
      });
      simulation.crash();
      await simulation.run(async (runtime) => {
        const {drafts, blocks} = await begin(runtime);
        const [left] = await drafts.left();
        assert.deepEqual([left?.base, left?.seal], [base, seal], `seed ${seed}`);
        await drafts.close(left!.draft, false);
        assert.deepEqual(Buffer.from((await blocks.read({id: seal, length: bytes.length}, 0, bytes.length))!), bytes);
      });
    }
  });

  it('know what they were sealed as after they were synced, when the cache has it no more', async () => {
    for (const length of [3000, 400 * KiB]) {
      for (let seed = 1; seed <= 10; seed++) {
        const simulation = createSimulation(seed);
        const sealedAs = [seal, 13, 15] as ContentId[];
        await simulation.run(async (runtime) => {
          const {drafts, blocks} = await begin(runtime);
          const {draft} = await drafts.open(inode, base, undefined, 0, undefined);
          await drafts.write(draft, 0, pattern(1, length));
          await drafts.sync(draft);
          for (const content of sealedAs) {
            assert.ok(await drafts.seal(draft, content));
            await drafts.rebase(draft, inode, content);
            await blocks.drop(content);
            await drafts.write(draft, 0, pattern(content, 10));
          }
        });
        if (seed % 2 === 0) {
          simulation.kill();
          // To which what was changed last is still to be published.
          await simulation.run(async (runtime) => {
            const [left] = await (await begin(runtime)).drafts.left();
            assert.deepEqual([left?.base, left?.seal, left?.laterSeals], [15, undefined, undefined], `${length} bytes, seed ${seed}`);
          });
        }
        // The lives that look at it may end before they have done anything about it.
        for (const end of ['crash', 'kill', 'crash', 'kill'] as const) {
          simulation[end]();
          await simulation.run(async (runtime) => {
            const [left] = await (await begin(runtime)).drafts.left();
            assert.deepEqual([left?.base, left?.seal], [base, undefined]);
            assert.ok(left?.laterSeals?.includes(15 as ContentId), `${length} bytes, seed ${seed}`);
          });
        }
      }
    }
  });

  it('do not come back with the power when they were published by way of the store', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const simulation = createSimulation(seed);
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime);
        const {draft} = await drafts.open(inode, base, undefined, 0, undefined);
        await drafts.write(draft, 0, pattern(1, 10));
        await drafts.sync(draft);
        await drafts.write(draft, 10, pattern(2, 10));
        await drafts.rebase(draft, inode, 33 as ContentId);
      });
      simulation.crash();
      await life(simulation, async (drafts) => assert.deepEqual(await drafts.left(), [], `seed ${seed}`));
    }
  });
});
