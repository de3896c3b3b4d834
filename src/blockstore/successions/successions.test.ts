import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, type ContentHandle, pageBytes} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import type {PageRun} from '#model/own-pages.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const open = async (runtime: Runtime): Promise<BlockStore> => {
  const store = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}]});
  await store.loaded();
  return store;
};
const handle = (id: number, length: number): ContentHandle => ({id: id as ContentId, length});

/** Every page of every content is another, unless it is the base's. */
function change(before: Buffer, id: number, length: number, pages: ReadonlySet<number>): {readonly bytes: Buffer; readonly own: readonly PageRun[]} {
  const bytes = Buffer.alloc(length);
  before.copy(bytes);
  const own: PageRun[] = [];
  for (let page = 0; page * pageBytes < length; page++) {
    const end = Math.min(length, (page + 1) * pageBytes);
    const isWhole = end <= before.length && (end % pageBytes === 0 || end === before.length);
    if (isWhole && !pages.has(page)) continue;
    bytes.fill(`<${id}:${page}>`, page * pageBytes, end);
    own.push({first: page, count: 1});
  }
  return {bytes, own};
}

async function fill(store: BlockStore, content: ContentHandle, bytes: Buffer, pages: Iterable<number>): Promise<void> {
  for (const page of pages) if (page * pageBytes < content.length) assert.ok(await store.fill(content, page, [bytes.subarray(page * pageBytes, (page + 1) * pageBytes)]));
}

describe('a content that is another but for some pages', () => {
  it('has that one\'s pages, also when it is dropped, and over a restart', async () => {
    const simulation = createSimulation(1);
    const before = Buffer.alloc(10 * pageBytes, 'before');
    const {bytes, own} = change(before, 2, before.length, new Set([3]));
    await simulation.run(async (runtime) => {
      const store = await open(runtime);
      await fill(store, handle(1, before.length), before, [0, 1, 2, 3, 4, 5]);
      store.succeed(handle(2, bytes.length), handle(1, before.length), own);
      assert.deepEqual(store.missing(handle(2, bytes.length), 0, 9), [{first: 3, count: 1}, {first: 6, count: 4}]);
      await fill(store, handle(2, bytes.length), bytes, [3]);
      await store.drop(1 as ContentId);
      assert.deepEqual(await store.read(handle(2, bytes.length), 100, 5 * pageBytes), bytes.subarray(100, 100 + 5 * pageBytes));
      assert.equal(await store.lease(handle(2, bytes.length), 2 * pageBytes, 2 * pageBytes), undefined, 'not in one file');
      using lease = await store.lease(handle(2, bytes.length), 4 * pageBytes + 5, pageBytes);
      const into = Buffer.alloc(10);
      await lease!.read(into, lease!.offset);
      assert.deepEqual(into, bytes.subarray(4 * pageBytes + 5, 4 * pageBytes + 15));
      await store.close();
    });
    await simulation.run(async (runtime) => {
      await using store = await open(runtime);
      assert.deepEqual(await store.read(handle(2, bytes.length), 0, 6 * pageBytes), bytes.subarray(0, 6 * pageBytes));
      assert.deepEqual(store.places(2 as ContentId).flatMap(({pages}) => pages), [[3, 1], [0, 3], [4, 2]]);
      await store.drop(2 as ContentId);
      assert.deepEqual(store.missing(handle(2, bytes.length), 0, 9), [{first: 0, count: 10}]);
    });
  });

  it('lets go of what nobody is made of any more', async () => {
    await createSimulation(1).run(async (runtime) => {
      await using store = await open(runtime);
      const before = Buffer.alloc(MiB, 'before');
      const used = () => store.status().tiers[0]!.usedBytes;
      const empty = used();
      await fill(store, handle(1, MiB), before, [0, 1, 2]);
      store.pin(1 as ContentId, true);
      for (const id of [2, 3]) store.succeed(handle(id, MiB), handle(id - 1, MiB), [{first: id, count: 1}]);
      await store.drop(1 as ContentId);
      assert.equal(store.presence(1 as ContentId)?.pinned, false, 'it may be evicted');
      await store.drop(2 as ContentId);
      assert.deepEqual(await store.read(handle(3, MiB), 0, pageBytes), before.subarray(0, pageBytes));
      await store.drop(3 as ContentId);
      assert.equal(used(), empty);
    });
  });

  it('gives its own bytes or none, over chains, drops, restarts and power loss', async () => {
    const pages = fc.uniqueArray(fc.nat(14), {maxLength: 6});
    const step = fc.oneof(
      {weight: 4, arbitrary: fc.record({do: fc.constant('change' as const), pages, length: fc.integer({min: 300 * KiB, max: 900 * KiB})})},
      {weight: 4, arbitrary: fc.record({do: fc.constant('fill' as const), pages, length: fc.nat(30)})},
      {weight: 2, arbitrary: fc.record({do: fc.constant('drop' as const), pages, length: fc.nat(30)})},
      {weight: 1, arbitrary: fc.record({do: fc.constantFrom('restart' as const, 'crash' as const), pages, length: fc.constant(0)})},
    );
    await fc.assert(fc.asyncProperty(fc.array(step, {maxLength: 25}), fc.boolean(), async (steps, aligned) => {
      const simulation = createSimulation(7);
      const first = Buffer.alloc(aligned ? 10 * pageBytes : 10 * pageBytes + 100, '<1>');
      const contents = new Map<number, Buffer>([[1, first]]);
      let last = 1;
      let rest = steps;
      let isSure = true;
      for (;;) {
        const ended = await simulation.run(async (runtime) => {
          const store = await open(runtime);
          for (const [i, each] of rest.entries()) {
            if (each.do === 'restart' || each.do === 'crash') {
              rest = rest.slice(i + 1);
              if (each.do === 'restart') await store.close();
              return each.do;
            }
            const ids = [...contents.keys()];
            const id = ids[each.length % Math.max(1, ids.length)] ?? last;
            if (each.do === 'change') {
              const before = contents.get(last) ?? first;
              const base = last;
              const {bytes, own} = change(before, ++last, each.length, new Set(each.pages));
              // Of what was dropped nothing comes.
              if (contents.has(base)) store.succeed(handle(last, bytes.length), handle(base, before.length), own);
              contents.set(last, bytes);
            } else if (each.do === 'fill') {
              if (contents.has(id)) await fill(store, handle(id, contents.get(id)!.length), contents.get(id)!, each.pages);
            } else if (ids.length > 1) {
              contents.delete(id);
              await store.drop(id as ContentId);
            }
            for (const [each, bytes] of contents) {
              const content = handle(each, bytes.length);
              const end = Math.ceil(bytes.length / pageBytes) - 1;
              const missing = new Set(store.missing(content, 0, end).flatMap(({first: from, count}) => Array.from({length: count}, (_, n) => from + n)));
              for (let page = 0; page <= end; page++) {
                const [at, length] = [page * pageBytes, Math.min(bytes.length, (page + 2) * pageBytes) - page * pageBytes];
                const found = (await store.read(content, at, length)) ?? store.readResident(content, at, length);
                if (found) assert.ok(bytes.subarray(at, at + length).equals(found), `content ${each}, page ${page}`);
                if (isSure) assert.equal(found !== undefined, !missing.has(page) && !(missing.has(page + 1) && length > pageBytes), 'what is not missing is there');
              }
            }
          }
          await store.close();
          return 'done';
        });
        if (ended === 'done') return;
        if (ended !== 'crash') continue;
        simulation.crash();
        // The power takes pages of which the log tells.
        isSure = false;
      }
    }), {numRuns: 60});
  });
});
