/** Named drafts: what is written, synced and sealed is there after any crash, what is given up takes no room, and no bytes are counted twice. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {crc32c} from '@node-rs/crc32';
import fc from 'fast-check';
import {isKind, type ErrorKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {blockBytes, type BlockStore, type NamedDraft, pageBytes} from '#blockstore/block-store.ts';
import {DraftPages} from '#blockstore/drafts/draft-pages.ts';
import {Mortal} from '#blockstore/fixture.test.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const open = (runtime: Runtime, quotaBytes = 64 * MiB): Promise<BlockStore> =>
  openBlockStore({runtime, tiers: [{name: 'MEM', directory: '/shm', quotaBytes}, {name: 'SSD', directory: '/cache', quotaBytes}]});
const handle = (id: number, length: number) => ({id: id as ContentId, length});
const used = (store: BlockStore): number => store.status().tiers.reduce((sum, tier) => sum + tier.usedBytes, 0);
const pattern = (seed: number, length: number): Buffer => Buffer.from(Uint8Array.from({length}, (_, i) => (seed * 37 + i + (i >>> 9) * 5) & 0xff));
const fails = (kind: ErrorKind, work: Promise<unknown>): Promise<void> => assert.rejects(work, (error) => isKind(error, kind));

async function made(store: BlockStore, name: string, bytes = 0): Promise<NamedDraft> {
  const draft = await store.drafts.make(name, bytes);
  assert.ok(draft);
  return draft;
}

async function readAll(draft: NamedDraft): Promise<Buffer> {
  const bytes = Buffer.alloc(draft.length);
  assert.equal(await draft.read(bytes, 0), bytes.length);
  return bytes;
}

describe('named drafts', () => {
  it('are files that are written anywhere, cut and punched, and found again by their names', async () => {
    const simulation = createSimulation(1);
    const expected = Buffer.alloc(300_000);
    await simulation.run(async (runtime) => {
      const store = await open(runtime);
      await store.loaded();
      const draft = await made(store, 'upload-1');
      const put = async (position: number, bytes: Buffer) => {
        if (!draft.writeNow(bytes, position)) await draft.write([bytes.subarray(0, 7), bytes.subarray(7)], position);
        bytes.copy(expected, position);
      };
      await put(100_000, pattern(1, 200_000));
      await put(0, pattern(2, 70_000));
      await put(50_000, pattern(3, 100_000));
      await draft.truncate(250_000);
      await put(260_000, pattern(4, 40_000));
      expected.fill(0, 250_000, 260_000);
      await draft.punch(65_000, 80_000);
      expected.fill(0, 65_000, 145_000);
      assert.deepEqual(await readAll(draft), expected);
      await fails('AlreadyExists', store.drafts.make('upload-1'));
      await draft.rename('upload-2');
      assert.deepEqual(await store.drafts.left(), []);
      await draft.close();
      assert.deepEqual(await store.drafts.left(), [{name: 'upload-2', length: 300_000}]);
      await fails('Cancelled', draft.write([pattern(1, 1)], 0));
      await store.close();
    });
    await simulation.run(async (runtime) => {
      await using store = await open(runtime);
      assert.deepEqual(await store.drafts.left(), [{name: 'upload-2', length: 300_000}]);
      await fails('NotFound', store.drafts.open('upload-1'));
      const draft = await store.drafts.open('upload-2');
      assert.deepEqual(await readAll(draft), expected);
      assert.ok(await draft.seal(handle(1, 300_000), {durable: true}));
      await draft.discard();
      assert.deepEqual(await store.read(handle(1, 300_000), 0, 300_000), expected);
      assert.deepEqual(store.presence(1 as ContentId), {length: 300_000, complete: true, presentBytes: 300_000, pinned: false, dirty: true});
      assert.equal(used(store), 300_000);
    });
  });

  it('take room before they are written, and give back all of it', async () => {
    await createSimulation(2).run(async (runtime) => {
      await using store = await open(runtime, 4 * MiB);
      await store.loaded();
      assert.equal(await store.drafts.make('large', 5 * MiB), undefined);
      const draft = await made(store, 'a', 2 * MiB);
      assert.equal(used(store), 2 * MiB);
      await draft.write([pattern(1, 1 * MiB)], 0);
      assert.equal(used(store), 2 * MiB);
      draft.unreserve();
      assert.equal(used(store), 1 * MiB);
      assert.equal(await draft.reserve(8 * MiB), false);
      await fails('NoSpace', draft.write([Buffer.alloc(6 * MiB)], 2 * MiB));
      await draft.truncate(1 * MiB);
      await draft.punch(512 * KiB, 64 * KiB);
      assert.ok(used(store) <= 7 * MiB);
      await draft.discard();
      assert.equal(used(store), 0);
      const small = await made(store, 'small');
      await small.write([pattern(5, 1000)], 0);
      assert.ok(await small.seal(handle(9, 1000), {durable: false}));
      assert.deepEqual(await store.makeDurable([9 as ContentId]), [true]);
      await small.discard();
      assert.deepEqual(await store.read(handle(9, 1000), 0, 1000), pattern(5, 1000));
    });
  });

  it('go on after a content that was sealed from them is dropped', async () => {
    await createSimulation(3).run(async (runtime) => {
      await using store = await open(runtime);
      await store.loaded();
      const draft = await made(store, 'a');
      await draft.write([pattern(1, 1 * MiB)], 0);
      assert.ok(await draft.seal(handle(1, 1 * MiB), {durable: true}));
      assert.equal(used(store), 1 * MiB);
      await draft.write([pattern(2, 1 * MiB)], 1 * MiB);
      await store.drop(1 as ContentId);
      assert.equal(used(store), 2 * MiB);
      assert.ok(await draft.seal(handle(2, 2 * MiB), {durable: true}));
      assert.equal(used(store), 2 * MiB);
      await draft.discard();
      assert.deepEqual(await store.read(handle(2, 2 * MiB), 0, 2 * MiB), Buffer.concat([pattern(1, 1 * MiB), pattern(2, 1 * MiB)]));
      await store.drop(2 as ContentId);
      assert.equal(used(store), 0);
    });
  });

  it('lose no bytes to eviction while a content that was not committed shares them', async () => {
    const simulation = createSimulation(4);
    const length = blockBytes + 1 * MiB;
    const bytes = Buffer.concat([Buffer.alloc(blockBytes, 7), pattern(1, 1 * MiB)]);
    const opened = (runtime: Runtime) => openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 80 * MiB}]});
    await simulation.run(async (runtime) => {
      const store = await opened(runtime);
      await store.loaded();
      const draft = await made(store, 'a');
      await draft.write([bytes], 0);
      assert.ok(await draft.seal(handle(1, length), {durable: true}));
    });
    simulation.crash();
    await simulation.run(async (runtime) => {
      await using store = await opened(runtime);
      for (const id of await store.leftDirty()) await store.clean(id);
      for (let i = 2; i < 40; i++) await store.fill(handle(i, 1 * MiB), 0, [pattern(i, 1 * MiB)]);
      assert.ok(store.presence(1 as ContentId)?.complete);
      const draft = await store.drafts.open('a');
      assert.equal(store.presence(1 as ContentId), undefined);
      assert.ok((await readAll(draft)).equals(bytes));
      await draft.discard();
    });
  });

  it('know the checksums of pages however these were written', () => {
    const length = 3 * pageBytes + 1234;
    const piece = fc.record({position: fc.nat(length - 1), size: fc.integer({min: 1, max: 2 * pageBytes}), hole: fc.boolean()});
    fc.assert(
      fc.property(fc.array(piece, {maxLength: 12}), fc.boolean(), (pieces, inOrder) => {
        const pages = new DraftPages();
        const bytes = Buffer.alloc(length);
        let known = 0;
        for (const [i, {position, size, hole}] of (inOrder ? pieces.map((one, n) => ({...one, position: Math.min(length - 1, n * 20_000), size: 20_000, hole: false})) : pieces).entries()) {
          const end = Math.min(length, position + size);
          if (hole) {
            bytes.fill(0, position, end);
            pages.doubt(position, end - position);
            pages.clear(Math.ceil(position / pageBytes), Math.floor(end / pageBytes));
            continue;
          }
          pages.touch(position, end - position);
          pages.write([pattern(i, end - position)], position);
          pattern(i, end - position).copy(bytes, position);
        }
        for (let page = 0; page * pageBytes < length; page++) {
          const part = bytes.subarray(page * pageBytes, (page + 1) * pageBytes);
          const checksum = pages.checksum(page, part.length);
          if (checksum !== undefined) assert.equal(checksum, crc32c(part));
          if (checksum !== undefined) known++;
        }
        if (inOrder && pieces.length === 12) assert.equal(known, 4);
      }),
    );
  });

  it('survive a kill and power loss at every step, with what was synced and sealed', async () => {
    const points = [
      'beforeDraftWrite', 'afterDraftWrite', 'beforeDraftSync', 'afterDraftSync', 'beforeDraftLink', 'afterDraftLink',
      'beforeLogWrite', 'afterLogWrite', 'afterDraftSeal', 'beforeDraftDiscard', 'afterDraftDiscard',
    ];
    const [first, second] = [pattern(1, 400 * KiB), pattern(2, 300_001)];
    const whole = Buffer.concat([first, second]);
    for (const power of [false, true]) {
      for (const [i, point] of points.entries()) {
        for (let hit = 1; hit <= 3; hit++) {
          const simulation = createSimulation(100 * i + hit + (power ? 50 : 0));
          let [synced, sealed, discarded] = [0, false, false];
          await simulation.run(async (runtime) => {
            const mortal = new Mortal(runtime);
            const store = await open(mortal.runtime);
            await store.loaded();
            mortal.killAt(`blockstore.${point}`, hit);
            await mortal.until(
              (async () => {
                const draft = await made(store, 'a');
                await draft.write([first], 0);
                await draft.sync();
                synced = first.length;
                if (!draft.writeNow(second, first.length)) await draft.write([second], first.length);
                await Promise.all([draft.sync(), draft.sync()]);
                synced = whole.length;
                assert.ok(await draft.seal(handle(1, whole.length), {durable: true}));
                sealed = true;
                await draft.discard();
                discarded = true;
              })(),
            );
            await mortal.kill();
          });
          if (power) simulation.crash();
          const about = `${point} ${hit} ${power ? 'power' : 'kill'}`;
          // Who had it discarded knows that the content is committed; else it goes on with the draft.
          await simulation.run(async (runtime) => {
            await using store = await open(runtime);
            const [left] = await store.drafts.left();
            if (sealed || left?.sealed !== undefined) assert.deepEqual(await store.read(handle(1, whole.length), 0, whole.length), whole, about);
            if (discarded) return;
            if (sealed && !left) return;
            assert.ok(left || synced === 0, about);
            if (!left) return;
            for (const id of await store.leftDirty()) await store.clean(id);
            const draft = await store.drafts.open('a');
            const bytes = await readAll(draft);
            assert.deepEqual(bytes.subarray(0, synced), whole.subarray(0, synced), about);
            await draft.truncate(synced);
            await draft.write([whole.subarray(synced)], synced);
            assert.ok(await draft.seal(handle(2, whole.length), {durable: true}), about);
            await draft.discard();
            await store.drop(1 as ContentId);
            assert.equal(used(store), whole.length, about);
          });
          await simulation.run(async (runtime) => {
            await using store = await open(runtime);
            await store.loaded();
            for (const {name} of await store.drafts.left()) await store.drafts.discard(name);
            const [first, second] = await Promise.all([1, 2].map((id) => store.read(handle(id, whole.length), 0, whole.length)));
            for (const found of [first, second]) if (found) assert.deepEqual(found, whole, about);
            for (const id of [1, 2]) await store.drop(id as ContentId);
            assert.equal(used(store), 0, about);
          });
        }
      }
    }
  });
});
