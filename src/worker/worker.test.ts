import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import {KiB, MiB} from '#base/units.ts';
import {systemContext} from '#contracts/context.ts';
import {bytesOf, contentOf, mount, read, stamped, testWorker} from '#worker/fixture.test.ts';

describe('reads', () => {
  it('fetch a whole object once, hand it out and cache it', async () => {
    const {worker, store, put} = testWorker();
    const bytes = stamped('a', 1, 20 * MiB + 12345);
    const content = put('a', bytes);
    assert.ok((await read(worker, content, 0, bytes.length)).equals(bytes));
    assert.equal(store.counters.bytesRead, bytes.length);
    const body = await worker.read(content, {offset: 0, length: bytes.length}, {}, systemContext);
    assert.equal(body.kind, 'lease');
    assert.ok((await bytesOf(body)).equals(bytes));
    assert.ok((await read(worker, content, 5 * MiB + 17, 4096)).equals(bytes.subarray(5 * MiB + 17, 5 * MiB + 17 + 4096)));
    assert.equal(store.counters.bytesRead, bytes.length);
    assert.equal(worker.heldBytes.now, 0);
  });

  it('share what is on its way among all who ask', async () => {
    const {worker, store, put} = testWorker();
    const bytes = stamped('a', 1, 6 * MiB);
    const content = put('a', bytes);
    const all = await Promise.all(Array.from({length: 20}, (_, i) => read(worker, content, i * 1000, bytes.length - 2000 * i)));
    all.forEach((got, i) => assert.ok(got.equals(bytes.subarray(i * 1000, i * 1000 + bytes.length - 2000 * i))));
    assert.equal(store.counters.bytesRead, bytes.length);
  });

  it('say ContentChanged before anything is delivered', async () => {
    const {worker, store, put} = testWorker();
    const content = put('a', stamped('a', 1, MiB));
    store.outside.put(asciiBytes('a'), stamped('a', 2, MiB));
    await assert.rejects(worker.read(content, {offset: 0, length: MiB}, {}, systemContext), {kind: 'ContentChanged'});
    store.outside.remove(asciiBytes('a'));
    await assert.rejects(worker.read(content, {offset: 0, length: MiB}, {}, systemContext), {kind: 'ContentChanged'});
    assert.equal(worker.heldBytes.now, 0);
  });

  it('follow what was moved within its store after some of it was read', async () => {
    const {worker, store, put} = testWorker();
    const bytes = stamped('a', 1, 20 * MiB);
    const content = put('a', bytes);
    assert.ok((await read(worker, content, 0, 100)).equals(bytes.subarray(0, 100)));
    const {fingerprint} = store.outside.put(asciiBytes('b'), bytes);
    store.outside.remove(asciiBytes('a'));
    const moved = {...content, storeKey: asciiBytes('b'), fingerprint};
    assert.ok((await read(worker, moved, 10 * MiB, 1000)).equals(bytes.subarray(10 * MiB, 10 * MiB + 1000)));
  });

  it('pass through a cache that refuses', async () => {
    const {worker, blocks, put} = testWorker();
    blocks.mode = 'refuse';
    const bytes = stamped('a', 1, 40 * MiB);
    const content = put('a', bytes);
    assert.ok((await read(worker, content, 0, bytes.length)).equals(bytes));
    assert.ok((await read(worker, content, 0, bytes.length)).equals(bytes));
    assert.equal(worker.heldBytes.now, 0);
  });

  it('keep all pages also when the cache is slower than the store', async () => {
    const {worker, blocks, put} = testWorker();
    blocks.beforeFill = async () => {
      for (let turn = 0; turn < 50; turn++) await new Promise(resolve => setImmediate(resolve));
    };
    const bytes = stamped('a', 1, 12 * MiB + 777);
    const content = put('a', bytes);
    assert.ok((await read(worker, content, 0, bytes.length)).equals(bytes));
    while (worker.heldBytes.now > 0) await new Promise(resolve => setImmediate(resolve));
    assert.equal(blocks.presence(content.id)?.complete, true);
  });

  it('keep small contents whole', async () => {
    const {worker, store, blocks, put} = testWorker();
    const bytes = stamped('s', 1, 200 * KiB);
    const content = put('s', bytes);
    assert.ok((await read(worker, content, 100_000, 10)).equals(bytes.subarray(100_000, 100_010)));
    await new Promise(resolve => setImmediate(resolve));
    assert.ok((await read(worker, content, 0, bytes.length)).equals(bytes));
    assert.equal(store.counters.requests.read, 1);
    assert.equal(blocks.presence(content.id)?.complete, true);
  });
});

describe('probes', () => {
  it('bring metadata and bytes in one request', async () => {
    const {worker, store} = testWorker();
    const bytes = stamped('p', 1, 3 * MiB);
    store.outside.put(asciiBytes('p'), bytes, {'content-type': 'text/plain'});
    const {observation, probeId} = await worker.probe(mount, asciiBytes('p'), {offset: 0}, {ageMsMax: 0}, systemContext);
    assert.equal(observation.object?.length, bytes.length);
    assert.equal(observation.object?.metadata['content-type'], 'text/plain');
    const content = contentOf(7, asciiBytes('p'), bytes.length, observation.object.fingerprint);
    const body = await worker.read(content, {offset: 0, length: bytes.length}, {probeId}, systemContext);
    assert.ok((await bytesOf(body)).equals(bytes));
    assert.equal(store.counters.requests.read, 1);
    assert.equal(store.counters.requests.stat, 0);
  });

  it('see that there is nothing, and that there is too little', async () => {
    const {worker, store} = testWorker();
    assert.equal((await worker.probe(mount, asciiBytes('none'), {offset: 0}, {ageMsMax: 0}, systemContext)).observation.object, undefined);
    store.outside.put(asciiBytes('short'), stamped('short', 1, 10));
    assert.equal((await worker.probe(mount, asciiBytes('short'), {offset: 1_000_000}, {ageMsMax: 0}, systemContext)).observation.object?.length, 10);
  });
});

describe('loads', () => {
  it('bring a content into the cache, once, and say how far they are', async () => {
    const {worker, store, blocks, put} = testWorker();
    const bytes = stamped('l', 1, 30 * MiB + 5);
    const content = put('l', bytes);
    await read(worker, content, 9 * MiB, 100_000);
    const steps = await Array.fromAsync(worker.load(content, systemContext));
    assert.ok(steps.length > 3);
    assert.ok(steps.every((step, i) => step.totalBytes === bytes.length && (i === 0 || step.loadedBytes >= steps[i - 1]!.loadedBytes)));
    assert.equal(steps.at(-1)?.loadedBytes, bytes.length);
    assert.equal(blocks.presence(content.id)?.complete, true);
    assert.equal(store.counters.bytesRead, bytes.length);
    const location = await worker.locate(content);
    assert.equal(location.tiers[0]?.bytes, bytes.length);
    assert.equal(location.upstreamBytes, bytes.length);
    await Array.fromAsync(worker.load(content, systemContext));
    assert.equal(store.counters.bytesRead, bytes.length);
    await worker.free([content.id]);
    assert.equal(blocks.presence(content.id), undefined);
  });

  it('fail when the cache does not keep them, or the version is gone', async () => {
    const {worker, store, blocks, put} = testWorker();
    const content = put('l', stamped('l', 1, 10 * MiB));
    blocks.mode = 'refuse';
    await assert.rejects(Array.fromAsync(worker.load(content, systemContext)), {kind: 'NoSpace'});
    blocks.mode = 'ok';
    store.outside.put(asciiBytes('l'), stamped('l', 2, 10 * MiB));
    await assert.rejects(Array.fromAsync(worker.load(content, systemContext)), {kind: 'ContentChanged'});
    assert.equal(worker.heldBytes.now, 0);
  });
});
