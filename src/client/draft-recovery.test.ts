import assert from 'node:assert/strict';
import {test} from 'node:test';
import {WeirError} from '#base/errors.ts';
import type {DraftServices} from '#client/draft-file.ts';
import {closePublished, recoverDrafts, retryDrafts} from '#client/draft-recovery.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {bytes, context, World} from '#master/fixture.test.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import type {Master} from '#master/master.ts';
import type {Log} from '#runtime/log.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import {MemoryBlocks} from '#worker/fixture.test.ts';
import {Worker} from '#worker/worker.ts';

const path = bytes('/b/file');

/** Writes a draft over `before`, lets `then` happen as the process dies, and recovers. Answers what the store has, and what was said. */
async function recovered(then: (master: Master, client: FileSystemClient, publish: () => Promise<unknown>) => Promise<void>): Promise<{content: string | undefined; warnings: number; left: number}> {
  const world = new World();
  const store = world.store('mem://bucket/');
  let warnings = 0;
  let left = 0;
  await world.life(async (master, runtime: Runtime) => {
    await master.mount({path: bytes('/b'), uri: 'mem://bucket/', options: {}}, context);
    const make = (): Worker => new Worker({runtime, blocks: new MemoryBlocks(), drafts: '/drafts', stores: {get: () => store, isOurs: () => false}});
    {
      await using worker = make();
      const client = new FileSystemClient({master, worker, drafts: new OpenDrafts({master, worker, here: {master, worker}})});
      const writer = await client.create(path, {kind: 'file', length: 6}, context);
      await writer.write(Buffer.from('before'));
      const info = await writer.commit({length: 6});
      const draft = await client.openDraft(info, {empty: false}, context);
      await draft.write(6, Buffer.from(' and after'), context);
      await then(master, client, async () => {
        // The name on disk stays what it was: the process dies before it is changed.
        worker.rebaseDraft = async () => {};
        await draft.publish(context);
      });
    }
    await using worker = make();
    const log: Log = {...runtime.log, warn: () => void warnings++, error: () => assert.fail('nothing fails')};
    await recoverDrafts({master, worker}, await worker.leftDrafts(), log, context);
    left = (await worker.leftDrafts()).length;
  });
  const content = store.outside.bytes(bytes('file'));
  return {content: content && Buffer.from(content).toString(), warnings, left};
}

test('what was written and not published is published', async () => {
  assert.deepEqual(await recovered(async () => {}), {content: 'before and after', warnings: 0, left: 0});
});

test('what was published and not noted so is left at that', async () => {
  assert.deepEqual(await recovered(async (_master, _client, publish) => void (await publish())), {content: 'before and after', warnings: 0, left: 0});
});

test('what was replaced meanwhile is not overwritten: as of a file that was unlinked, nobody could read it', async () => {
  const replaced = await recovered(async (_master, client) => {
    const writer = await client.create(path, {kind: 'file', length: 16}, context);
    await writer.write(Buffer.from('of somebody else'));
    await writer.commit({length: 16});
  });
  assert.deepEqual(replaced, {content: 'of somebody else', warnings: 0, left: 0});
});

test('what was removed meanwhile stays removed', async () => {
  assert.deepEqual(await recovered(async (master) => void (await master.remove(path, {kind: 'file'}, context))), {content: undefined, warnings: 0, left: 0});
});

test('what was sealed is kept until that lasts', async () => {
  const kept: boolean[] = [];
  const worker = {closeDraft: async (_draft: number, {keep}: {readonly keep: boolean}) => void kept.push(keep)};
  const left = {draft: 1, inode: 7, length: 3, modified: 0n} as DraftInfo;
  for (const [named, sync] of [[true, async () => {}], [true, () => Promise.reject(new Error('the disk is broken'))], [false, () => assert.fail('it has no name')]] as const) {
    await closePublished({master: {sync}, worker} as unknown as DraftServices, left, named, context);
  }
  assert.deepEqual(kept, [false, true, false]);
});

test('what meets a store that is down is tried again while the instance runs', async () => {
  const world = new World();
  const store = world.store('mem://bucket/');
  const faults = new Faults();
  await world.life(async (master, runtime) => {
    await master.mount({path: bytes('/b'), uri: 'mem://bucket/', options: {}}, context);
    const make = (): Worker => new Worker({runtime, blocks: new MemoryBlocks(), drafts: '/drafts', stores: {get: () => withFaults(store, runtime.clock, faults), isOurs: () => false}});
    {
      await using worker = make();
      const client = new FileSystemClient({master, worker, drafts: new OpenDrafts({master, worker, here: {master, worker}})});
      const writer = await client.create(path, {kind: 'file', length: 6}, context);
      await writer.write(Buffer.from('before'));
      const draft = await client.openDraft(await writer.commit({length: 6}), {empty: false}, context);
      await draft.write(6, Buffer.from(' and after'), context);
    }
    await using worker = make();
    faults.add({call: 'write', times: 3, error: () => new WeirError('Unavailable', 'the store is down')});
    let warnings = 0;
    const log: Log = {...runtime.log, warn: () => void warnings++, error: () => assert.fail('nothing is given up')};
    const waiting = await recoverDrafts({master, worker}, await worker.leftDrafts(), log, context);
    assert.deepEqual([waiting.length, Buffer.from(store.outside.bytes(bytes('file'))!).toString()], [1, 'before']);
    await retryDrafts({master, worker}, waiting, runtime.clock, log, context);
    assert.deepEqual([warnings, Buffer.from(store.outside.bytes(bytes('file'))!).toString()], [3, 'before and after']);
    // An instance that ends leaves it to the next one.
    const ended = new AbortController();
    ended.abort();
    await retryDrafts({master, worker}, waiting, runtime.clock, log, {...context, signal: ended.signal});
  });
});
