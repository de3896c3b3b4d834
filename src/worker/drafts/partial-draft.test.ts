import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {WeirError} from '#base/errors.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import type {SealedBytes} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import {decodeRuns, piecesOf} from '#model/own-pages.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';
import {Drafts} from '#worker/drafts/drafts.ts';

const inode = 7 as InodeId;
const pattern = (seed: number, length: number): Buffer => Buffer.from(Uint8Array.from({length}, (_, i) => (seed * 37 + i + (i >>> 9) * 5) & 0xff));
const contentOf = (id: number, length: number): ReadableContent => ({id: id as ContentId, length, mount: 1 as MountId, storeKey: 'key' as ByteString, fingerprint: `f${id}`});

/** What the store has, by fingerprint. */
class Store {
  readonly versions = new Map<string, Buffer>();
  bytesRead = 0;

  put(id: number, bytes: Buffer): ReadableContent {
    this.versions.set(`f${id}`, bytes);
    return contentOf(id, bytes.length);
  }

  async *read({fingerprint}: ReadableContent, {offset, length}: {readonly offset: number; readonly length: number}): AsyncGenerator<Uint8Array> {
    const bytes = this.versions.get(fingerprint);
    if (!bytes) throw new WeirError('ContentChanged', 'another version');
    assert.ok(offset + length <= bytes.length, 'reads are within the content');
    this.bytesRead += length;
    for (let at = offset; at < offset + length; at += 100_000) yield bytes.subarray(at, Math.min(at + 100_000, offset + length));
  }
}

async function begin(runtime: Runtime, store: Store): Promise<{readonly blocks: BlockStore; readonly drafts: Drafts}> {
  for (const directory of ['/home', '/cache']) await runtime.disk.makeDirectory(directory, {recursive: true});
  await runtime.disk.syncDirectory('/');
  const blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}]});
  await blocks.loaded();
  return {blocks, drafts: new Drafts({runtime, blocks, directory: '/home/drafts', read: (content, range) => store.read(content, range)})};
}

const readAll = async (drafts: Drafts, draft: number): Promise<Buffer> => Buffer.from(await drafts.read(draft, {offset: 0, length: 8 * MiB}));

/** What a sealed content is, of the cache and the store. */
async function sealedBytes(blocks: BlockStore, store: Store, id: ContentId, {length, over}: SealedBytes): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (const {own, offset, length: count} of piecesOf(over ? decodeRuns(over.base.own) : [{first: 0, count: Infinity}], 0, length)) {
    if (own) bytes.set((await blocks.read({id, length}, offset, count))!, offset);
    else bytes.set(store.versions.get(over!.base.fingerprint)!.subarray(offset, offset + count), offset);
  }
  return bytes;
}

describe('drafts over a large content', () => {
  it('read of it only what lies around what is changed', async () => {
    await createSimulation(1).run(async (runtime) => {
      const store = new Store();
      const before = pattern(1, 5 * MiB + 100);
      const {drafts, blocks} = await begin(runtime, store);
      const {draft, length} = await drafts.openOver(inode, store.put(1, before), 2 as ContentId);
      assert.deepEqual([length, store.bytesRead], [before.length, 0]);
      await drafts.write(draft, MiB + 10, Buffer.from('changed'));
      assert.equal(store.bytesRead, 64 * KiB);
      await drafts.write(draft, before.length, Buffer.from('appended'));
      assert.equal(store.bytesRead, 64 * KiB + 100);
      const sealed = (await drafts.seal(draft, 2 as ContentId))!;
      assert.deepEqual(decodeRuns(sealed.over!.base.own), [{first: 16, count: 1}, {first: 80, count: 1}]);
      assert.equal(sealed.over!.after, 1);
      const expected = Buffer.concat([before, Buffer.from('appended')]);
      expected.write('changed', MiB + 10);
      assert.ok((await sealedBytes(blocks, store, 2 as ContentId, sealed)).equals(expected));
      assert.equal(blocks.presence(2 as ContentId)!.presentBytes, 64 * KiB + 108);
      assert.equal(await drafts.seek(draft, 0, 'hole'), expected.length, 'what nobody looked at is data');
    });
  });

  it('say so when what was not changed is gone, and go on when the store has what they were sealed as', async () => {
    await createSimulation(1).run(async (runtime) => {
      const store = new Store();
      const before = pattern(1, 3 * MiB);
      const {drafts, blocks} = await begin(runtime, store);
      const {draft} = await drafts.openOver(inode, store.put(1, before), 2 as ContentId);
      await drafts.write(draft, 0, pattern(9, 64 * KiB));
      const sealed = (await drafts.seal(draft, 2 as ContentId))!;
      const made = await sealedBytes(blocks, store, 2 as ContentId, sealed);
      await drafts.rebase(draft, inode, 2 as ContentId);
      // Persisted.
      store.versions.clear();
      await assert.rejects(drafts.read(draft, {offset: MiB, length: 10}), /another version/);
      await assert.rejects(drafts.write(draft, MiB + 5, Buffer.from('x')), /another version/);
      assert.ok((await drafts.read(draft, {offset: 0, length: 64 * KiB})).length > 0);
      const content = store.put(2, made);
      assert.equal(drafts.move(draft, {...content, id: 3 as ContentId}), false, 'another file');
      assert.equal(drafts.move(draft, content), true);
      assert.equal(drafts.move(draft, content), false, 'nothing new');
      await drafts.write(draft, MiB + 5, Buffer.from('x'));
      made.write('x', MiB + 5);
      assert.ok((await readAll(drafts, draft)).equals(made));
      const again = (await drafts.seal(draft, 4 as ContentId))!;
      assert.deepEqual([again.over!.after, again.over!.base.id], [2, 2]);
      assert.ok((await sealedBytes(blocks, store, 4 as ContentId, again)).equals(made));
    });
  });

  it('hold what a buffer holds, over seals, persisting and restarts', async () => {
    const change = fc.oneof(
      {weight: 5, arbitrary: fc.record({op: fc.constant('write' as const), at: fc.nat(1200 * KiB), length: fc.integer({min: 1, max: 200 * KiB})})},
      {weight: 2, arbitrary: fc.record({op: fc.constant('write' as const), at: fc.nat(15).map((page) => page * 64 * KiB), length: fc.constantFrom(64 * KiB, 128 * KiB)})},
      {weight: 3, arbitrary: fc.record({op: fc.constant('punch' as const), at: fc.nat(1200 * KiB), length: fc.integer({min: 1, max: 300 * KiB})})},
      {weight: 3, arbitrary: fc.record({op: fc.constant('truncate' as const), at: fc.oneof(fc.nat(1300 * KiB), fc.nat(20).map((page) => page * 64 * KiB)), length: fc.constant(0)})},
      {weight: 2, arbitrary: fc.record({op: fc.constantFrom('seal' as const, 'persist' as const, 'restart' as const, 'reopen' as const), at: fc.constant(0), length: fc.constant(0)})},
    );
    await fc.assert(fc.asyncProperty(fc.array(change, {maxLength: 14}), fc.integer({min: 300 * KiB, max: 1024 * KiB}), fc.boolean(), async (changes, baseLength, aligned) => {
      const simulation = createSimulation(1);
      const store = new Store();
      let expected = pattern(99, aligned ? Math.floor(baseLength / 65536) * 65536 : baseLength);
      let content = store.put(1, expected);
      let next = 2;
      let seed = 1;
      let steps = changes;
      // One life after the other, each to the next restart.
      for (;;) {
        const ended = await simulation.run(async (runtime) => {
          const {drafts, blocks} = await begin(runtime, store);
          let draft: number;
          const left = await drafts.left();
          let id = next++ as ContentId;
          const open = async (): Promise<void> => {
            draft = content.length > 256 * KiB && (!content.pending || content.over)
              ? (await drafts.openOver(inode, content, id)).draft
              : (await drafts.open(inode, content.id, id, content.length, (async function* () { yield expected; })())).draft;
          };
          const openSealed = async (): Promise<void> => {
            // It reads what the cache has of its own.
            store.versions.set('', expected);
            await open();
            store.versions.delete('');
          };
          if (left.length === 0) await openSealed();
          else if (left[0]!.seal === content.id) {
            // It became that, and nothing came after.
            await drafts.close(left[0]!.draft, false);
            await openSealed();
          } else draft = (await drafts.reopen(left[0]!.draft, content)).draft;
          const seal = async (): Promise<void> => {
            const sealed = (await drafts.seal(draft, id))!;
            assert.ok((await sealedBytes(blocks, store, id, sealed)).equals(expected), 'sealed as it is');
            content = {...contentOf(id, expected.length), fingerprint: '', pending: 'pending', ...(sealed.over ? {over: {...sealed.over.base}} : {})};
            await drafts.rebase(draft, inode, id);
            id = next++ as ContentId;
          };
          for (const [i, {op, at, length}] of steps.entries()) {
            if (op === 'write') {
              const chunk = pattern(seed++, length);
              const larger = Buffer.alloc(Math.max(expected.length, at + length));
              expected.copy(larger);
              chunk.copy(larger, at);
              expected = larger;
              if (!drafts.writeNow(draft!, at, chunk)) await drafts.write(draft!, at, chunk);
            } else if (op === 'punch') {
              const end = Math.min(expected.length, at + length);
              if (end <= at) continue;
              expected = Buffer.from(expected).fill(0, at, end);
              await drafts.punch(draft!, {offset: at, length: end - at});
            } else if (op === 'truncate') {
              const other = Buffer.alloc(at);
              expected.copy(other);
              expected = other;
              await drafts.truncate(draft!, at);
            } else if (op === 'seal' || op === 'reopen') {
              await seal();
              if (op === 'seal') continue;
              await drafts.close(draft!, false);
              await openSealed();
            } else if (op === 'persist') {
              await seal();
              store.versions.clear();
              content = store.put(content.id, Buffer.from(expected));
              drafts.move(draft!, content);
            } else {
              await drafts.closeAll();
              await blocks.close();
              return {rest: steps.slice(i + 1)};
            }
            assert.ok((await readAll(drafts, draft!)).equals(expected), `after ${op}`);
          }
          assert.ok((await readAll(drafts, draft!)).equals(expected));
          await drafts.closeAll();
          await blocks.close();
          return undefined;
        });
        if (!ended) return;
        steps = ended.rest;
      }
    }), {numRuns: 60});
  });

  for (const death of ['kill', 'crash'] as const) {
    it(`lose nothing that was ${death === 'kill' ? 'answered' : 'synced'} to ${death === 'kill' ? 'kill -9' : 'power loss'}, at any point, and mix nothing`, async () => {
      const points = new Set<string>();
      const base = pattern(50, 700 * KiB + 11);
      const pages = [0, 3, 7, 10];
      const word = (n: number): Buffer => Buffer.from(`write number ${n}`);
      for (let seed = 1; seed <= 60; seed++) {
        const simulation = createSimulation(seed);
        const store = new Store();
        const content = store.put(1, base);
        let [written, synced] = [0, 0];
        const work = async (runtime: Runtime): Promise<void> => {
          const {drafts} = await begin(runtime, store);
          const {draft} = await drafts.openOver(inode, content, 2 as ContentId);
          for (const [i, page] of pages.entries()) {
            await drafts.write(draft, page * 64 * KiB + 100, word(i));
            written = i + 1;
            if (i % 2 === 0) continue;
            await drafts.sync(draft);
            synced = i + 1;
          }
          await drafts.seal(draft, 2 as ContentId);
        };
        const names = [...points];
        const point = names[seed % Math.max(1, names.length)];
        if (seed > 1 && point) simulation.crashAt(point, 1 + (seed % 4), death);
        await simulation.run(work).catch((error: unknown) => {
          if (!(error instanceof SimulatedCrash)) throw error;
        });
        for (const name of simulation.pointsHit.keys()) if (name.startsWith('drafts.') || name.includes('Draft')) points.add(name);
        simulation[death]();
        const verify = async (runtime: Runtime): Promise<void> => {
          const {drafts} = await begin(runtime, store);
          const [left] = await drafts.left();
          const sure = death === 'kill' ? written : synced;
          if (!left) return assert.equal(sure, 0, `seed ${seed}: ${sure} writes are lost`);
          assert.deepEqual([left.inode, left.base, left.seal], [inode, 1, 2]);
          const {draft} = await drafts.reopen(left.draft, content);
          const bytes = await readAll(drafts, draft);
          assert.equal(bytes.length, base.length);
          for (const [i, page] of pages.entries()) {
            const at = page * 64 * KiB + 100;
            const found = bytes.subarray(at, at + word(i).length);
            if (i < sure) assert.ok(found.equals(word(i)), `seed ${seed}: write ${i} is lost`);
            else assert.ok(found.equals(word(i)) || found.equals(base.subarray(at, at + word(i).length)), `seed ${seed}: write ${i} is neither`);
            bytes.set(base.subarray(at, at + word(i).length), at);
          }
          assert.ok(bytes.equals(base), `seed ${seed}: nothing else was changed`);
        };
        for (let isVerified = false; !isVerified; ) {
          isVerified = await simulation.run(verify).then(() => true, (error: unknown) => {
            if (error instanceof SimulatedCrash) return false;
            throw error;
          });
        }
      }
      assert.ok(points.size >= 4, [...points].join());
    });
  }

  it('can be read when power loss has taken what the log said of the page in which the base ends', async () => {
    const base = pattern(50, 700 * KiB + 11);
    const more = pattern(9, 40 * KiB);
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 30; seed++) {
      const simulation = createSimulation(seed);
      const store = new Store();
      const content = store.put(1, base);
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime, store);
        const {draft} = await drafts.openOver(inode, content, 2 as ContentId);
        await drafts.write(draft, 0, Buffer.from('synced'));
        await drafts.sync(draft);
        await drafts.write(draft, base.length, more);
      });
      simulation.crash();
      await simulation.run(async (runtime) => {
        const {drafts} = await begin(runtime, store);
        const [left] = await drafts.left();
        const {draft, length} = await drafts.reopen(left!.draft, content);
        const bytes = await readAll(drafts, draft);
        lengths.add(length);
        assert.equal(bytes.length, length);
        assert.equal(bytes.toString('latin1', 0, 6), 'synced');
        assert.ok(bytes.subarray(6, base.length).equals(base.subarray(6)), `seed ${seed}`);
        for (const [i, byte] of bytes.subarray(base.length).entries()) assert.ok(byte === more[i] || byte === 0, `seed ${seed}: byte ${i} is neither`);
      });
    }
    assert.ok(lengths.has(base.length), [...lengths].join());
  });
});
