/** Uploads whose parts the cache keeps: any parts in any order become the right bytes, and a crash at any step loses nothing that was acknowledged and keeps nothing else. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {describe, it} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {Mortal, randomFrom} from '#blockstore/fixture.test.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {systemContext} from '#contracts/context.ts';
import type {PartRecord, UploadRecord, WriteTicket} from '#contracts/writing.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import {Writes} from '#worker/writes/writes.ts';

const [mount, key] = [1 as MountId, asciiBytes('k')];
const draft = 50 as ContentId;
const upload: UploadRecord = {uploadId: 'u', path: asciiBytes('/m/k'), mount, storeKey: key, content: draft, storeUploadId: '', metadata: {}, initiatedAt: 0n, initiator: 'test'};
const ticket: WriteTicket = {writeId: 1, path: asciiBytes('/m/k'), content: draft, mount, storeKey: key, metadata: {}, writeType: 'ASYNC_THROUGH'};
/** No two ranges of a page's length are the same. */
function bytesOf(part: number, length: number, version = 0): Buffer {
  const bytes = Buffer.alloc(length, Buffer.from(Uint8Array.from({length: 251}, (_, i) => (part * 53 + version * 101 + i * 3) & 0xff)));
  for (let at = 0; at + 4 <= length; at += 4096) bytes.writeUInt32LE(at, at);
  return bytes;
}
const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();
const used = (store: BlockStore): number => store.status().tiers.reduce((sum, tier) => sum + tier.usedBytes, 0);
const ready = async () => {};

/** A worker's writes over a block store, and what the master would know. */
class Scene {
  readonly blocks: BlockStore;
  readonly writes: Writes;
  /** As the master has them. */
  readonly records: Map<number, PartRecord>;

  readonly store: MemoryUnderStore | undefined;

  constructor(runtime: Runtime, blocks: BlockStore, records: Map<number, PartRecord>, store?: MemoryUnderStore) {
    this.blocks = blocks;
    this.records = records;
    this.store = store;
    const stores = {get: () => store ?? assert.fail('the store is not asked')};
    this.writes = new Writes({blocks, stores: stores as never, clock: runtime.clock});
  }

  async begin(): Promise<void> {
    assert.equal(await this.writes.createUpload(ticket, systemContext), '');
  }

  async part(partNumber: number, bytes: Buffer, end: 'finish' | 'abort' = 'finish'): Promise<PartRecord | undefined> {
    const stream = await this.writes.uploadPart(upload, partNumber, {length: bytes.length}, systemContext);
    assert.equal(stream.copies, this.store ? stream.copies : true);
    let chunk = Buffer.alloc(300_000);
    for (let at = 0; at < bytes.length; at += chunk.length) {
      if (!stream.copies) chunk = Buffer.alloc(300_000);
      await stream.write(chunk.fill('?').subarray(0, bytes.copy(chunk, 0, at)));
    }
    if (end === 'abort') {
      await stream.abort();
      return undefined;
    }
    const record = await stream.finish();
    const replaced = this.records.get(partNumber);
    this.records.set(partNumber, record);
    if (replaced && replaced.storePart !== record.storePart) await (await this.writes.kept.get(draft)).replaced(replaced.storePart);
    return record;
  }

  async complete(id: number, numbers = [...this.records.keys()].toSorted((a, b) => a - b)): Promise<{readonly length: number; readonly etag: string}> {
    const parts = numbers.map((number) => this.records.get(number)!);
    const written = await this.writes.completeUpload(upload, id as ContentId, parts, ready, systemContext);
    assert.equal(written.pending, true);
    return written;
  }

  async read(id: number, length: number): Promise<Buffer> {
    const bytes = await this.blocks.read({id: id as ContentId, length}, 0, length);
    assert.ok(bytes, `content ${id} is there`);
    return Buffer.from(bytes);
  }
}

async function scene(fn: (scene: Scene, runtime: Runtime) => Promise<void>, quotaBytes = 200 * MiB): Promise<void> {
  await createSimulation(7).run(async (runtime) => {
    await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes}]});
    await blocks.loaded();
    await fn(new Scene(runtime, blocks, new Map()), runtime);
  });
}

describe('an upload that the cache keeps', () => {
  it('becomes its parts, whatever their sizes, numbers and order', async () => {
    const large = 5 * MiB;
    const cases: readonly {readonly lengths: Readonly<Record<number, number>>; readonly order: readonly number[]; readonly use?: readonly number[]}[] = [
      {lengths: {1: large, 2: large, 3: 1234}, order: [1, 2, 3]},
      {lengths: {1: large, 2: large, 3: 1234}, order: [3, 2, 1]},
      {lengths: {1: large, 2: large + 17, 3: large}, order: [1, 2, 3]},
      {lengths: {1: large + 17, 2: large, 3: large + 17}, order: [2, 3, 1]},
      {lengths: {1: large, 2: large, 3: large, 4: 5}, order: [1, 2, 3, 4], use: [1, 3, 4]},
      {lengths: {3: large, 7: large, 9: 70_000}, order: [7, 3, 9]},
      {lengths: {1: 1000}, order: [1]},
      {lengths: {1: 0}, order: [1]},
      {lengths: {1: 300 * KiB}, order: [1, 1, 1]},
      {lengths: {1: large, 2: large, 3: 99}, order: [1, 2, 2, 3, 1]},
    ];
    for (const {lengths, order, use} of cases) {
      await scene(async (t) => {
        await t.begin();
        const last = new Map<number, Buffer>();
        for (const [i, number] of order.entries()) {
          last.set(number, bytesOf(number, lengths[number]!, i));
          await t.part(number, last.get(number)!);
        }
        const numbers = use ?? [...last.keys()].toSorted((a, b) => a - b);
        const bytes = Buffer.concat(numbers.map((number) => last.get(number)!));
        const {length, etag} = await t.complete(60, [...numbers]);
        const about = `parts ${order.join()} of ${JSON.stringify(lengths)}`;
        assert.equal(length, bytes.length, about);
        assert.equal(etag, `${md5(Buffer.concat(numbers.map((number) => md5(last.get(number)!)))).toString('hex')}-${numbers.length}`);
        await t.writes.kept.end(draft, 'committed');
        assert.ok((await t.read(60, length)).equals(bytes), about);
        assert.deepEqual(await t.blocks.drafts.left(), []);
        await t.blocks.drop(60 as ContentId);
        // Small contents stay in their segment until it is freed.
        if (length > 256 * KiB) assert.equal(used(t.blocks), 0, about);
      });
    }
  });

  it('goes on after a completion that was not committed, and leaves that its parts while it lasts', () => scene(async (t) => {
    await t.begin();
    const [one, two, other] = [bytesOf(1, 5 * MiB), bytesOf(2, 100_000), bytesOf(2, 100_000, 1)];
    await t.part(1, one);
    await t.part(2, two);
    await t.complete(60);
    await t.part(2, other);
    await t.part(3, other);
    assert.ok((await t.read(60, one.length + two.length)).equals(Buffer.concat([one, two])));
    await (await t.writes.kept.get(draft)).reopen(59 as ContentId);
    assert.ok(t.blocks.presence(60 as ContentId), 'another completion ends nothing of this one');
    await (await t.writes.kept.get(draft)).reopen(60 as ContentId);
    assert.equal(t.blocks.presence(60 as ContentId), undefined);
    await t.complete(61);
    await t.writes.kept.end(draft, 'committed');
    assert.ok((await t.read(61, one.length + 200_000)).equals(Buffer.concat([one, other, other])));
    await assert.rejects(t.part(4, other), (error) => isKind(error, 'NotFound'));
  }));

  it('does not complete with a part that was replaced since it was looked at', () => scene(async (t) => {
    await t.begin();
    await t.part(1, bytesOf(1, 5 * MiB));
    const before = new Map(t.records);
    await t.part(1, bytesOf(1, 5 * MiB, 1));
    const stale = new Scene({clock: undefined} as never, t.blocks, before);
    await assert.rejects(t.writes.completeUpload(upload, 60 as ContentId, [...stale.records.values()], ready, systemContext), (error) => isKind(error, 'ContentChanged'));
    await t.complete(61);
  }));

  it('takes back what was not ready, and keeps nothing of parts that were given up', () => scene(async (t) => {
    await t.begin();
    await t.part(1, bytesOf(1, 5 * MiB));
    const before = used(t.blocks);
    await t.part(2, bytesOf(2, 5 * MiB), 'abort');
    await t.part(1, bytesOf(1, 4 * MiB, 1), 'abort');
    assert.equal(used(t.blocks), before);
    const refuse = () => Promise.reject(new WeirError('PreconditionFailed', 'somebody was faster'));
    const parts = [...t.records.values()];
    await assert.rejects(t.writes.completeUpload(upload, 60 as ContentId, parts, refuse, systemContext), (error) => isKind(error, 'PreconditionFailed'));
    await (await t.writes.kept.get(draft)).reopen(60 as ContentId);
    await t.part(2, bytesOf(2, 5 * MiB));
    await t.writes.abortUpload(upload, systemContext);
    assert.equal(used(t.blocks), 0);
    assert.deepEqual(await t.blocks.drafts.left(), []);
  }));

  it('goes to its store with all parts for which there is no room, and is completed there; also after a restart', async () => {
    const pieces = [1, 2, 3, 4, 5, 6].map((number) => bytesOf(number, number === 6 ? 1000 : 5 * MiB));
    for (const restart of [false, true]) {
      const simulation = createSimulation(8);
      const records = new Map<number, PartRecord>();
      const store = new MemoryUnderStore({clock: {nowNs: () => 0n}});
      const tiers = [{name: 'SSD', directory: '/cache', quotaBytes: 24 * MiB}];
      await simulation.run(async (runtime) => {
        const blocks = await openBlockStore({runtime, tiers});
        await blocks.loaded();
        const t = new Scene(runtime, blocks, records, store);
        await t.begin();
        for (const [i, piece] of pieces.slice(0, 5).entries()) await t.part(i + 1, piece);
        if (!restart) await t.part(6, pieces[5]!);
        if (!restart) await finish(t);
        await blocks.close();
      });
      if (restart) {
        await simulation.run(async (runtime) => {
          await using blocks = await openBlockStore({runtime, tiers});
          const t = new Scene(runtime, blocks, records, store);
          await t.writes.kept.restore([{upload, parts: [...records.values()]}], () => assert.fail('nothing is lost'));
          await t.part(6, pieces[5]!);
          await finish(t);
        });
      }
    }
    async function finish(t: Scene): Promise<void> {
      const {storeParts, object} = {storeParts: [...t.records.values()].map(({storePart}) => storePart[0]), object: await t.writes.completeUpload(upload, 60 as ContentId, [...t.records.values()], ready, systemContext)};
      assert.deepEqual([storeParts.includes('@'), storeParts.slice(-2).join('')], [true, '==']);
      assert.equal(object.pending, undefined);
      await t.writes.kept.end(draft, 'committed');
      assert.ok(Buffer.concat(pieces).equals(t.store!.outside.bytes(key)!));
      assert.deepEqual(t.store!.outside.uploads(), []);
      assert.equal(used(t.blocks), 0);
    }
  });

  it('is one of many, of which few have their files open', () => scene(async (t) => {
    const ids = Array.from({length: 300}, (_, i) => (1000 + i) as ContentId);
    for (const id of ids) assert.ok(await t.writes.kept.begin(id));
    const left = (await t.blocks.drafts.left()).length;
    assert.equal(left, ids.length - 256);
    // One is asked for while its file is being closed.
    const closing = (await t.writes.kept.get(ids[200]!)).rest();
    await (await (await t.writes.kept.get(ids[200]!)).room(1, 10)).abandon();
    await closing;
    for (const id of [ids[0]!, ids[299]!]) {
      const stream = await t.writes.uploadPart({...upload, content: id}, 1, {length: 3}, systemContext);
      await stream.write(Buffer.from('abc'));
      const part = await stream.finish();
      await t.writes.completeUpload({...upload, content: id}, (id + 1000) as ContentId, [part], ready, systemContext);
      await t.writes.kept.end(id, 'committed');
      assert.equal((await t.read(id + 1000, 3)).toString(), 'abc');
    }
    for (const id of ids) await t.writes.kept.end(id, 'aborted');
    assert.deepEqual(await t.blocks.drafts.left(), []);
  }));

  it('ends in its store, too, when it is aborted; and does not begin here where there is little room', async () => {
    const store = new MemoryUnderStore({clock: {nowNs: () => 0n}});
    await createSimulation(9).run(async (runtime) => {
      await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 24 * MiB}]});
      await blocks.loaded();
      const t = new Scene(runtime, blocks, new Map(), store);
      await t.begin();
      for (let number = 1; number <= 5; number++) await t.part(number, bytesOf(number, 5 * MiB));
      assert.equal(store.outside.uploads().length, 1);
      await t.writes.abortUpload(upload, systemContext);
      assert.deepEqual(store.outside.uploads(), []);
      assert.equal(used(blocks), 0);
    });
    await scene(async (t) => {
      assert.equal(await t.writes.kept.begin(draft), false);
    }, 8 * MiB);
  });

  it('keeps what was acknowledged, and only that, through a kill or power loss at every step', async () => {
    const points = [
      'beforeDraftWrite', 'afterDraftWrite', 'beforeDraftSync', 'afterDraftSync', 'beforeDraftLink', 'afterDraftLink', 'beforeLogWrite', 'afterDraftSeal', 'beforeDraftDiscard', 'afterDraftDiscard',
    ];
    const length = 300 * KiB + 100;
    let [resumed, done] = [0, 0];
    for (const power of [false, true]) {
      for (const [i, point] of points.entries()) {
        for (const hit of [1, 2, 4, 6]) {
          const seed = i * 1000 + hit + (power ? 500 : 0);
          const simulation = createSimulation(seed);
          const random = randomFrom(seed);
          const records = new Map<number, PartRecord>();
          const versions = new Map<string, Buffer>();
          const make = (number: number, version: number): Buffer => {
            const bytes = bytesOf(number, number === 4 ? 7_000 : length, version);
            versions.set(md5(bytes).toString('hex'), bytes);
            return bytes;
          };
          const expected = () => Buffer.concat([...records.entries()].toSorted(([a], [b]) => a - b).map(([, {etag}]) => versions.get(etag)!));
          let committed = false;
          const about = `${point} ${hit} ${power ? 'power' : 'kill'}`;
          let whole = Buffer.alloc(0);
          await simulation.run(async (runtime) => {
            const mortal = new Mortal(runtime);
            const blocks = await openBlockStore({runtime: mortal.runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 400 * MiB}]});
            await blocks.loaded();
            const t = new Scene(mortal.runtime, blocks, records);
            mortal.killAt(`blockstore.${point}`, hit);
            await mortal.until((async () => {
              await t.begin();
              const order = random() < 0.5 ? [1, 2, 3, 4] : [4, 2, 1, 3];
              await Promise.all(order.map((number) => t.part(number, make(number, 0))));
              if (random() < 0.5) await t.part(2, make(2, 1));
              whole = expected();
              await t.complete(60);
              committed = true;
              await t.writes.kept.end(draft, 'committed');
            })());
            await mortal.kill();
          });
          if (power) simulation.crash();
          await simulation.run(async (runtime) => {
            await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 400 * MiB}]});
            const t = new Scene(runtime, blocks, records);
            const open = committed ? [] : [{upload, parts: [...records.values()]}];
            await t.writes.kept.restore(open, (_upload, error) => assert.equal(records.size, 0, `${about}: ${String(error)}`));
            if (committed) {
              done++;
              assert.ok((await t.read(60, whole.length)).equals(whole), about);
              assert.deepEqual(await blocks.drafts.left(), [], about);
              assert.ok(used(blocks) === whole.length, about);
              return;
            }
            for (const id of await blocks.leftDirty()) await blocks.clean(id);
            await blocks.drop(60 as ContentId);
            if (records.size === 0) return;
            resumed++;
            const kept = [...records.values()].reduce((sum, part) => sum + part.length, 0);
            assert.ok(used(blocks) <= kept + records.size * 128 * KiB, `${about}: ${used(blocks)} of ${kept} bytes`);
            for (const number of [1, 2, 3, 4]) if (!records.has(number)) await t.part(number, make(number, 2));
            await t.complete(61);
            await t.writes.kept.end(draft, 'committed');
            assert.ok((await t.read(61, expected().length)).equals(expected()), about);
            assert.equal(used(blocks), expected().length, about);
          });
        }
      }
    }
    assert.ok(resumed > 10 && done > 5, `${resumed} went on, ${done} were done`);
  });

  it('goes on empty when power loss, or an older backup, has taken its draft', async () => {
    for (const before of [undefined, 5000]) {
      const simulation = createSimulation(11);
      const records = new Map<number, PartRecord>();
      const lost: string[] = [];
      await simulation.run(async (runtime) => {
        await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 200 * MiB}]});
        await blocks.loaded();
        const t = new Scene(runtime, blocks, records);
        await t.begin();
        if (before !== undefined) await t.part(1, bytesOf(1, before));
        await (await t.writes.kept.get(draft)).rest();
        await blocks.drafts.discard('upload-50');
      });
      await simulation.run(async (runtime) => {
        await using blocks = await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes: 200 * MiB}]});
        const t = new Scene(runtime, blocks, records);
        await t.writes.kept.restore([{upload, parts: [...records.values()]}], (_upload, error) => void lost.push(String(error)));
        assert.equal(lost.length, before === undefined ? 0 : 1);
        if (before !== undefined) await assert.rejects(t.complete(60), (error) => isKind(error, 'ContentChanged'));
        await t.part(1, bytesOf(1, 7000, 2));
        await t.complete(61);
        assert.deepEqual(await t.read(61, 7000), bytesOf(1, 7000, 2));
      });
    }
  });
});
