import assert from 'node:assert/strict';
import {mkdtemp, rename, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {systemContext} from '#contracts/context.ts';
import type {Body} from '#contracts/worker-api.ts';
import {connector} from '#connectors/file/connector.ts';
import type {ReadableContent} from '#model/content.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {MemoryBlocks, noMetrics, stamped} from '#worker/fixture.test.ts';
import {Worker} from '#worker/worker.ts';

const bytesOf = async (body: Body) => Buffer.concat(await Array.fromAsync(bodyChunks(body)));

describe('files of this host', () => {
  const runtime = createNodeRuntime();
  const blocks = new MemoryBlocks();
  let directory: string;
  let store: UnderStore;
  let worker: Worker;
  let ids = 0;

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'weir-in-place-'));
    store = await connector.open(`file://${directory}`, {}, {disk: runtime.disk, http: {request: () => assert.fail()}, clock: runtime.clock, random: runtime.random, variables: {}});
    worker = new Worker({runtime: {...runtime, metrics: noMetrics}, blocks, stores: {get: () => store}});
  });
  after(async () => {
    await worker.close();
    await store.close();
    await rm(directory, {recursive: true});
  });

  const put = async (name: string, bytes: Buffer): Promise<ReadableContent> => {
    await writeFile(path.join(directory, name), bytes);
    const {observation} = await worker.probe(1 as MountId, asciiBytes(name), {offset: 0}, systemContext);
    const object = observation.object!;
    return {id: ++ids as ContentId, length: object.length, mount: 1 as MountId, storeKey: asciiBytes(name), fingerprint: object.fingerprint};
  };
  const read = (content: ReadableContent, offset: number, length: number) => worker.read(content, {offset, length}, {}, systemContext);

  it('are read where they are, small ranges as bytes, large ones as leases, and not cached', async () => {
    const bytes = stamped('f', 1, 2 * MiB);
    const content = await put('f', bytes);
    const small = await read(content, 5000, 4096);
    assert.equal(small.kind, 'bytes');
    assert.ok((await bytesOf(small)).equals(bytes.subarray(5000, 9096)));
    const large = await read(content, 100, MiB);
    assert.equal(large.kind, 'lease');
    assert.ok((await bytesOf(large)).equals(bytes.subarray(100, 100 + MiB)));
    assert.equal(blocks.contents.size, 0);
    assert.equal((await worker.locate(content)).inPlace, true);
  });

  it('that are replaced or changed are another version, before the first byte and after the last', async () => {
    const content = await put('g', stamped('g', 1, MiB));
    const lease = await read(content, 0, MiB);
    await writeFile(path.join(directory, 'g'), stamped('g', 2, MiB));
    await assert.rejects(bytesOf(lease), {kind: 'ContentChanged'});
    await assert.rejects(read(content, 0, 4 * KiB), {kind: 'ContentChanged'});
    await assert.rejects(read(content, 0, MiB), {kind: 'ContentChanged'});
    const renamed = await put('h', stamped('h', 1, MiB));
    await put('i', stamped('i', 1, MiB));
    await rename(path.join(directory, 'i'), path.join(directory, 'h'));
    await assert.rejects(read(renamed, 0, 4 * KiB), {kind: 'ContentChanged'});
    await rm(path.join(directory, 'h'));
    await assert.rejects(read(renamed, 0, MiB), {kind: 'ContentChanged'});
  });
});
