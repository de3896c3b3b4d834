/** Disks that fail, refuse, vanish or lie: what the store answers is right or nothing, and it goes on when they are back. */
import assert from 'node:assert/strict';
import {mkdtemp, open, readdir, rm, truncate} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {bytesOf} from '#blockstore/fixture.test.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const contents = [100, 5000, 200 * KiB, 300 * KiB, MiB + 17].map((length, i) => ({id: (i + 1) as ContentId, length}));

async function fillAll(store: BlockStore): Promise<boolean[]> {
  return await Promise.all(contents.map(({id, length}) => store.fill({id, length}, 0, [bytesOf(id, 0, length)])));
}

/** How many of the contents it gives, by every way there is; each right. */
async function readAll(store: BlockStore): Promise<number> {
  let given = 0;
  for (const content of contents) {
    const {id, length} = content;
    const right = bytesOf(id, 0, length);
    const whole = await store.read(content, 0, length);
    if (whole) given++;
    assert.ok(!whole || right.equals(whole), `content ${id} has other bytes`);
    const resident = store.readResident(content, 7, 50);
    assert.ok(!resident || right.subarray(7, 57).equals(resident), `content ${id} has other bytes in memory`);
    using lease = await store.lease(content, 0, length);
    if (!lease) continue;
    const bytes = Buffer.alloc(length);
    const count = await lease.read(bytes, lease.offset).catch(() => -1);
    assert.ok(count !== length || right.equals(bytes), `content ${id} has other bytes under a lease`);
  }
  return given;
}

/** Every file of the tier. */
async function filesOf(directory: string): Promise<string[]> {
  const entries = await readdir(directory, {recursive: true, withFileTypes: true});
  return entries.filter((entry) => entry.isFile() && /segments|files/.test(entry.parentPath)).map((entry) => path.join(entry.parentPath, entry.name));
}

describe('a block store on a bad disk', () => {
  for (const [operation, kind] of [['read', 'Io'], ['write', 'Io'], ['write', 'ReadOnly'], ['write', 'NoSpace'], ['sync', 'Io']] as const) {
    it(`serves nothing wrong and goes on after ${operation}s fail with ${kind}`, async () => {
      // Fewer than the writes that filling takes, which share their syncs and log records as it happens.
      for (let after = 0; after < 8; after += 2) {
        const simulation = createSimulation(after + 1);
        await simulation.run(async (runtime) => {
          await using store = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}]});
          if (operation === 'read') assert.ok((await fillAll(store)).every(Boolean));
          simulation.disk.fail(operation, kind, after);
          for (let times = 0; times < 3; times++) {
            await fillAll(store);
            await readAll(store);
          }
          if (operation !== 'sync') assert.notEqual(store.status().tiers[0]!.state, 'ok');
          simulation.disk.heal();
          await runtime.clock.sleep(5000);
          assert.deepEqual(await fillAll(store), contents.map(() => true));
          assert.equal(await readAll(store), contents.length);
          // It takes a write to know.
          assert.ok(await store.fill({id: 99 as ContentId, length: 10}, 0, [bytesOf(99, 0, 10)]));
          assert.equal(store.status().tiers[0]!.state, 'ok');
        });
      }
    });
  }

  it('makes absent what cannot be read, unless it must stay', async () => {
    const simulation = createSimulation(30);
    await simulation.run(async (runtime) => {
      await using store = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}]});
      await fillAll(store);
      for (const id of [2, 4]) store.pin(id as ContentId, true);
      simulation.disk.fail('read', 'Io');
      for (const content of contents) assert.equal(await store.read(content, 0, content.length), undefined);
      for (const {id} of contents) assert.equal(store.presence(id) !== undefined, id === 2 || id === 4, `content ${id}`);
      simulation.disk.heal();
      for (const id of [2, 4]) assert.ok(await store.read(contents[id - 1]!, 0, contents[id - 1]!.length));
    });
  });

  it('outlives its files on a real disk: removed, cut, or overwritten', async () => {
    for (const harm of ['removed', 'cut', 'overwritten'] as const) {
      const directory = await mkdtemp(path.join(tmpdir(), 'weir-bad-disk-'));
      try {
        const runtime = createNodeRuntime({log: {level: 'silent'}});
        const openIt = () => openBlockStore({runtime, tiers: [{name: 'SSD', directory, quotaBytes: 64 * MiB}]});
        await using first = await openIt();
        assert.ok((await fillAll(first)).every(Boolean));
        await first.close();
        await using store = await openIt();
        while (!store.warm) await runtime.clock.sleep(1);
        for (const file of await filesOf(directory)) {
          if (harm === 'removed') await rm(file);
          else if (harm === 'cut') await truncate(file, 10);
          else {
            await using handle = await open(file, 'r+');
            for (let at = 30; at < (await handle.stat()).size; at += 3000) await handle.write('wrong', at);
          }
        }
        const given = await readAll(store);
        // What is removed stays readable to who has it open.
        assert.ok(harm === 'removed' || given === 0, `${given} contents of files that were ${harm}`);
        await fillAll(store);
        await readAll(store);
        if (harm !== 'removed') assert.equal(await readAll(store), contents.length, `after the files were ${harm}`);
      } finally {
        await rm(directory, {recursive: true, force: true});
      }
    }
  });
});
