/** The client over the real master and the real worker, on one store in memory. */
import assert from 'node:assert/strict';
import {it} from 'node:test';
import {FileSystemClient} from '#client/file-system-client.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {OpenFile} from '#client/file-system.ts';
import {bytes, context, World} from '#master/fixture.test.ts';
import {MemoryBlocks, stamped} from '#worker/fixture.test.ts';
import {Worker} from '#worker/worker.ts';

const whole = async (file: OpenFile) => Buffer.concat(await Array.fromAsync(bodyChunks(await file.read(file.resolve(undefined), context))));

it('what is in the bucket is read in one request, what is written is read back, what changes is noticed', async () => {
  const world = new World();
  const store = world.store('mem://bucket/');
  const first = stamped('cold', 1, 700_000);
  store.outside.put(bytes('dir/cold'), first);
  await world.life(async (master, runtime) => {
    await master.mount({path: bytes('/b'), uri: 'mem://bucket/', options: {}}, context);
    await using worker = new Worker({runtime, blocks: new MemoryBlocks(), drafts: '/drafts', stores: {get: () => store, isOurs: () => false}});
    const client = new FileSystemClient({master, worker});
    const before = {...store.counters.requests};
    {
      await using file = await client.open(bytes('/b/dir/cold'), {range: {offset: 0}}, context);
      assert.ok((await whole(file)).equals(first));
    }
    assert.equal(store.counters.requests.read - before.read, 1);
    {
      await using file = await client.open(bytes('/b/dir/cold'), {range: {offset: 0}}, context);
      assert.ok((await whole(file)).equals(first));
    }
    assert.equal(store.counters.requests.read - before.read, 1);

    const text = stamped('new', 1, 300_001);
    const writer = await client.create(bytes('/b/new'), {kind: 'file', length: text.length}, context);
    await writer.write(text);
    await writer.commit({length: text.length});
    assert.deepEqual(store.outside.bytes(bytes('new')), text);
    {
      await using file = await client.open(bytes('/b/new'), {range: {offset: 0}}, context);
      assert.ok((await whole(file)).equals(text));
    }
    assert.equal(store.counters.requests.read - before.read, 1);

    const changed = stamped('new', 2, 500_000);
    store.outside.put(bytes('new'), changed);
    await client.free(bytes('/b/new'), {kind: 'file'}, context);
    await using file = await client.open(bytes('/b/new'), {range: {offset: 0}}, context);
    assert.ok((await whole(file)).equals(changed));
  });
});
