/** Drafts that become their files' contents by way of the store. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {WeirError} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {recoverDrafts} from '#client/draft-recovery.ts';
import type {FileDraft} from '#client/file-system.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {bytes, context, mountBucket, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Log} from '#runtime/log.ts';
import type {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {Capabilities} from '#understore/under-store.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import {Worker} from '#worker/worker.ts';

const path = bytes('/b/large');
const key = bytes('large');
const before = Buffer.from(Uint8Array.from({length: 2 * MiB + 77}, (_, i) => (i * 7 + (i >>> 10) * 3) & 0xff));

const thatRenames: Partial<Capabilities> = {directories: true, recursiveList: false, rename: 'tree', metadata: false};
const inStore = (store: MemoryUnderStore): Buffer => Buffer.from(store.outside.bytes(key)!);

interface Play {
  readonly store: MemoryUnderStore;
  readonly faults: Faults;
  readonly master: Master;
  readonly client: FileSystemClient;
  readonly open: () => Promise<FileDraft>;
  readonly readAll: () => Promise<Buffer>;
}

async function play(play: (stage: Play) => Promise<void>, capabilities: Partial<Capabilities> = {}): Promise<void> {
  const world = new World();
  const store = world.store('mem://bucket/', capabilities);
  const faults = new Faults();
  await world.life(async (master, runtime) => {
    world.wrap = (inner) => withFaults(inner, runtime.clock, faults);
    await mountBucket(master);
    for (const directory of ['/cache', '/drafts']) await runtime.disk.makeDirectory(directory, {recursive: true});
    await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 256 * MiB}]});
    await blocks.loaded();
    await using worker = new Worker({runtime, blocks, stores: master.stores, drafts: '/drafts', partialBytesMin: 300 * KiB});
    const client = new FileSystemClient({master, worker, drafts: new OpenDrafts({master, worker, here: {master, worker}})});
    store.outside.put(key, before);
    const open = async () => await client.openDraft(await client.stat(path, {kind: 'file'}, context), {empty: false}, context);
    const readAll = async (): Promise<Buffer> => {
      await using file = await client.open(path, {kind: 'file'}, context);
      const parts: Uint8Array[] = [];
      const body = await file.read({offset: 0, length: file.info.length}, context);
      if (body.kind === 'bytes') parts.push(body.bytes);
      else if (body.kind === 'stream') for await (const part of body.stream) parts.push(Buffer.from(part));
      else {
        using lease = body.lease;
        const into = Buffer.alloc(lease.length);
        await lease.read(into, lease.offset);
        parts.push(into);
      }
      return Buffer.concat(parts);
    };
    await play({store, faults, master, client, open, readAll});
  });
}

describe('a small change of a large file by way of the store', () => {
  it('is made of the version that the store has, and of what was changed', async () => {
    for (const capabilities of [{}, thatRenames]) await play(async ({store, open, readAll}) => {
      const draft = await open();
      assert.equal(store.counters.bytesRead, 0, 'nothing is copied');
      const expected = Buffer.from(before);
      for (const [at, word] of [[MiB + 5, 'once'], [MiB + 9, 'again'], [70, 'elsewhere']] as const) {
        await draft.write(at, Buffer.from(word), context);
        expected.write(word, at);
        const {bytesWritten} = store.counters;
        const info = await draft.publish(context);
        assert.ok(inStore(store).equals(expected), 'the store has it when it is answered');
        assert.equal(info?.inode.content?.etag, store.outside.object(key)?.etag);
        assert.ok(store.counters.bytesWritten - bytesWritten <= 128 * KiB, 'little was sent');
        assert.equal((await draft.read({offset: at, length: word.length}, context)).toString(), word);
        assert.ok(Buffer.from(await draft.read({offset: 0, length: expected.length}, context)).equals(expected), 'what was not changed is the new version\'s');
      }
      await draft.close({keep: false}, context);
      assert.ok((await readAll()).equals(expected));
    }, capabilities);
  });

  it('leaves in the cache what it had', async () => {
    await play(async ({store, open, readAll}) => {
      assert.ok((await readAll()).equals(before));
      for (const word of ['first', 'second', 'third']) {
        const draft = await open();
        await draft.write(MiB + word.length * 100_000, Buffer.from(word), context);
        await draft.publish(context);
        await draft.close({keep: false}, context);
        const {bytesRead} = store.counters;
        assert.ok((await readAll()).equals(inStore(store)));
        assert.equal(store.counters.bytesRead, bytesRead, 'nothing was fetched again');
      }
    });
  });

  it('has the bytes of a buffer, whatever is done, with and without versions', async () => {
    const step = fc.record({
      do: fc.constantFrom('write' as const, 'write' as const, 'truncate' as const, 'punch' as const, 'publish' as const, 'reopen' as const, 'read' as const),
      at: fc.nat(2 * MiB + 200_000), length: fc.integer({min: 1, max: 150_000}),
    });
    await fc.assert(fc.asyncProperty(fc.array(step, {maxLength: 12}), fc.boolean(), fc.boolean(), async (steps, versioned, renames) => {
      await play(async ({store, master, open, readAll}) => {
        if (versioned) await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
        let expected = Buffer.from(before);
        const grow = (end: number): void => {
          if (end > expected.length) expected = Buffer.concat([expected, Buffer.alloc(end - expected.length)]);
        };
        let draft = await open();
        const publish = async (): Promise<void> => {
          await draft.publish(context);
          assert.ok(inStore(store).equals(expected), 'in the store');
        };
        for (const [i, {do: what, at, length}] of steps.entries()) {
          if (what === 'write') {
            grow(at + length);
            expected.fill(i + 1, at, at + length);
            await draft.write(at, Buffer.alloc(length, i + 1), context);
          } else if (what === 'truncate') {
            grow(at);
            expected = expected.subarray(0, at);
            await draft.truncate(at, context);
          } else if (what === 'punch') {
            const count = Math.max(0, Math.min(length, expected.length - at));
            expected = Buffer.from(expected).fill(0, Math.min(at, expected.length), Math.min(at, expected.length) + count);
            await draft.punch(at, count, context);
          } else if (what === 'read') assert.ok(Buffer.from(await draft.read({offset: 0, length: expected.length}, context)).equals(expected));
          else await publish();
          if (what !== 'reopen') continue;
          await draft.close({keep: false}, context);
          assert.ok((await readAll()).equals(expected), 'read back');
          draft = await open();
        }
        await publish();
        await draft.close({keep: false}, context);
        assert.ok((await readAll()).equals(expected), 'read back at the end');
      }, renames ? thatRenames : {});
    }), {numRuns: 30});
  });

  it('keeps the version before it, where versions are kept', async () => {
    await play(async ({store, master, open}) => {
      await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
      const draft = await open();
      await draft.write(5, Buffer.from('changed'), context);
      const {bytesWritten} = store.counters;
      await draft.publish(context);
      assert.ok(store.counters.bytesWritten - bytesWritten < 128 * KiB);
      const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 10}, context);
      assert.equal(entries.filter((entry) => 'info' in entry && entry.info.inode.kind === 'file').length, 2);
      await draft.close({keep: false}, context);
    });
  });

  it('is made of what was not changed where that is now', async () => {
    for (const capabilities of [{}, thatRenames]) await play(async ({store, client, open}) => {
      const draft = await open();
      await draft.write(5, Buffer.from('changed'), context);
      await client.rename(path, bytes('/b/renamed'), {kind: 'file', replace: true}, context);
      const {bytesWritten} = store.counters;
      await draft.publish(context);
      assert.ok(store.counters.bytesWritten - bytesWritten < 128 * KiB);
      const expected = Buffer.from(before);
      expected.write('changed', 5);
      assert.ok(Buffer.from(store.outside.bytes(bytes('renamed'))!).equals(expected));
      await draft.close({keep: false}, context);
    }, capabilities);
  });

  it('goes once, however often it is published', async () => {
    await play(async ({store, open}) => {
      const draft = await open();
      await draft.write(5, Buffer.from('changed'), context);
      const first = await draft.publish(context);
      const {requests} = store.counters;
      assert.equal((await draft.publish(context))?.inode.content?.id, first?.inode.content?.id);
      assert.equal(store.counters.requests, requests);
      await draft.close({keep: false}, context);
    });
  });

  it('overwrites nothing that somebody else has put there', async () => {
    for (const late of [false, true]) {
      await play(async ({store, faults, open}) => {
        const draft = await open();
        await draft.write(5, Buffer.from('mine'), context);
        const theirs = Buffer.alloc(before.length, 'theirs');
        if (late) faults.add({call: 'completeUpload', delayMs: 1, error: () => (store.outside.put(key, theirs), new WeirError('Overloaded', 'again'))});
        else store.outside.put(key, theirs);
        if (late) await assert.rejects(draft.publish(context), {kind: 'Overloaded'});
        await assert.rejects(draft.publish(context), (error: unknown) => error instanceof WeirError && ['ContentChanged', 'PreconditionFailed'].includes(error.kind));
        assert.ok(inStore(store).equals(theirs));
        assert.deepEqual(store.outside.uploads(), []);
      });
    }
  });

  it('is recognised when its answer was lost', async () => {
    for (const call of ['completeUpload', 'finish'] as const) {
      await play(async ({store, faults, open, readAll}) => {
        const draft = await open();
        if (call === 'finish') await draft.truncate(100, context);
        await draft.write(5, Buffer.from('mine'), context);
        faults.add({call, errorAfter: () => new WeirError('Unavailable', 'the answer was lost')});
        const info = await draft.publish(context);
        assert.equal(faults.hits, 1);
        assert.equal(info?.inode.content?.fingerprint, store.outside.object(key)?.fingerprint);
        await draft.close({keep: false}, context);
        assert.equal((await readAll()).toString('latin1', 5, 9), 'mine');
      });
    }
  });

  it('goes whole to a store that says that it copies parts, and does not', async () => {
    await play(async ({store, faults, open, readAll}) => {
      const draft = await open();
      const expected = Buffer.from(before);
      faults.add({call: 'copyPart', times: 1_000, error: () => new WeirError('Unsupported', 'not here')});
      for (const at of [5, MiB, 9]) {
        await draft.write(at, Buffer.from('mine'), context);
        expected.write('mine', at);
        await draft.publish(context);
        assert.ok(inStore(store).equals(expected));
        assert.ok(Buffer.from(await draft.read({offset: 0, length: expected.length}, context)).equals(expected));
      }
      await draft.close({keep: false}, context);
      assert.ok((await readAll()).equals(expected));
      assert.deepEqual(store.outside.uploads(), []);
    });
  });

  it('fails with its store, and can be tried again', async () => {
    await play(async ({store, faults, open}) => {
      const draft = await open();
      await draft.write(5, Buffer.from('mine'), context);
      for (const call of ['createUpload', 'uploadPart', 'copyPart', 'completeUpload'] as const) {
        faults.add({call, error: () => new WeirError('Unavailable', 'the store is down')});
        await assert.rejects(draft.publish(context), {kind: 'Unavailable'});
        assert.ok(inStore(store).equals(before));
        await draft.write(9, Buffer.from(call), context);
      }
      await draft.publish(context);
      assert.equal(inStore(store).toString('latin1', 5, 23), 'minecompleteUpload');
      await draft.close({keep: false}, context);
    });
  });
});

describe('a process that dies while a small change of a large file goes to its store', () => {
  /** The file, as the next process has it when it has recovered what was left, and what it has complained of. */
  async function recovered(die: (master: Master, worker: Worker, draft: FileDraft, died: () => void) => void): Promise<{readonly content: Buffer; readonly said: number; readonly left: number}> {
    const world = new World();
    const store = world.store('mem://bucket/');
    const life = async <T>(use: (master: Master, worker: Worker, client: FileSystemClient, log: Log) => Promise<T>): Promise<T> => await world.life(async (master, runtime) => {
      for (const directory of ['/cache', '/drafts']) await runtime.disk.makeDirectory(directory, {recursive: true});
      await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}]});
      await blocks.loaded();
      await using worker = new Worker({runtime, blocks, stores: master.stores, drafts: '/drafts', partialBytesMin: 300 * KiB});
      return await use(master, worker, new FileSystemClient({master, worker, drafts: new OpenDrafts({master, worker, here: {master, worker}})}), runtime.log);
    });
    await life(async (master, worker, client) => {
      await mountBucket(master);
      store.outside.put(key, before);
      const draft = await client.openDraft(await client.stat(path, {kind: 'file'}, context), {empty: false}, context);
      await draft.write(5, Buffer.from('mine'), context);
      const {promise, resolve} = Promise.withResolvers<void>();
      die(master, worker, draft, resolve);
      void draft.publish(context).catch(() => undefined);
      await promise;
    });
    return await life(async (master, worker, client, log) => {
      let said = 0;
      const counting: Log = {...log, warn: () => void said++, error: () => void said++};
      await recoverDrafts({master, worker}, await worker.leftDrafts(), counting, context);
      const {length} = await client.stat(path, {kind: 'file'}, context);
      assert.equal(length, before.length);
      return {content: Buffer.from(store.outside.bytes(key)!), said, left: (await worker.leftDrafts()).length};
    });
  }
  const expected = Buffer.from(before);
  expected.write('mine', 5);

  it('before the store gets anything', async () => {
    assert.deepEqual(await recovered((master, _worker, _draft, died) => {
      master.beginWrite = async () => (died(), await new Promise(() => {}));
    }), {content: expected, said: 0, left: 0});
  });

  it('when the store has it, and nobody says so', async () => {
    assert.deepEqual(await recovered((master, _worker, _draft, died) => {
      master.commitWrite = async () => (died(), await new Promise(() => {}));
    }), {content: expected, said: 1, left: 0});
  });

  it('when the file has it, and the draft does not know', async () => {
    assert.deepEqual(await recovered((_master, worker, _draft, died) => {
      worker.rebaseDraft = async () => (died(), await new Promise(() => {}));
    }), {content: expected, said: 0, left: 0});
  });
});
