/** Multipart uploads that nobody will complete go from stores; those of others, and of clients that are still at it, stay. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {spilledPart} from '#model/multipart.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const dayMs = 24 * 3_600_000;

/** What client and worker do for a client's upload of `/b/KEY`. */
async function createUpload(master: Master, key: string): Promise<UploadRecord> {
  const ticket = await master.beginWrite(bytes(`/b/${key}`), {}, context);
  const storeUploadId = await master.stores.get(ticket.mount).createUpload({key: ticket.storeKey, metadata: {}}, context);
  return await master.createUpload(ticket, {storeUploadId}, context);
}

const open = (world: World): readonly string[] => world.store('mem://bucket/').outside.uploads();
const exists = async (master: Master, upload: UploadRecord): Promise<boolean> =>
  master.getUpload(upload.path, upload.uploadId, context).then(() => true, error => (isKind(error, 'NotFound') ? false : Promise.reject(error as Error)));

test('what a life has left open is aborted by the next; what others opened, and clients may complete, stays', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  const foreign = await bucket.createUpload({key: bytes('k'), metadata: {}}, context);
  let kept: UploadRecord | undefined;
  await world.life(async master => {
    await mountBucket(master);
    kept = await createUpload(master, 'k');
    const {mount} = kept;
    // Our own of a large object, whose writer dies.
    await master.stores.get(mount).createUpload({key: bytes('k'), metadata: {}}, context);
    // One that ended as it should leaves nothing to do.
    await master.stores.get(mount).abortUpload(bytes('k'), await master.stores.get(mount).createUpload({key: bytes('k'), metadata: {}}, context), context);
    assert.equal(open(world).length, 3);
  });
  const abortsBefore = bucket.counters.requests.abortUpload;
  await world.life(async (master, {clock}) => {
    await clock.sleep(1_000);
    assert.deepEqual(open(world).toSorted(), [foreign, kept!.storeUploadId].toSorted());
    assert.equal(bucket.counters.requests.abortUpload, abortsBefore + 1);
    assert.ok(await exists(master, kept!));
    // In a life of its own nothing is touched while it may still be at work.
    await master.stores.get(kept!.mount).createUpload({key: bytes('k'), metadata: {}}, context);
    await clock.sleep(dayMs - 3_600_000);
    assert.equal(open(world).length, 3);
    await clock.sleep(3 * 3_600_000);
    assert.deepEqual(open(world).toSorted(), [foreign, kept!.storeUploadId].toSorted());
  });
});

test('a client\'s upload ends when nothing was done with it for a week, or as long as its mount says', async () => {
  const world = new World();
  world.store('mem://bucket/');
  world.store('mem://brief/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await master.mount({path: bytes('/b/brief'), uri: 'mem://brief/', options: {uploadExpiry: '2h'}}, context);
    const upload = await createUpload(master, 'big');
    const brief = await createUpload(master, 'brief/big');
    await clock.sleep(4 * 3_600_000);
    assert.deepEqual(world.store('mem://brief/').outside.uploads(), []);
    assert.ok(!(await exists(master, brief)));
    await clock.sleep(6 * dayMs);
    await master.putPart(upload.path, upload.uploadId, {partNumber: 1, length: 1, etag: 'e', checksums: {}, storePart: 's', modifiedAt: clock.nowNs()}, context);
    await clock.sleep(6 * dayMs);
    assert.deepEqual(open(world), [upload.storeUploadId]);
    assert.ok(await exists(master, upload));
    // Not while it is being completed, either.
    const ticket = await master.beginCompleteUpload(upload.path, upload.uploadId, {parts: 1, unused: []}, context);
    await clock.sleep(dayMs - 3_600_000);
    await master.abandonWrite(ticket, context);
    await clock.sleep(dayMs);
    assert.deepEqual(open(world), []);
    assert.ok(!(await exists(master, upload)));
    assert.deepEqual(await master.listUploads({directory: bytes('/b/'), limit: 10}, context), []);
  });
});

test('an upload that the cache keeps ends there, and its store hears nothing of it', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    const ticket = await master.beginWrite(bytes('/b/kept'), {writeType: 'ASYNC_THROUGH'}, context);
    const upload = await master.createUpload(ticket, {storeUploadId: ''}, context);
    await clock.sleep(6 * dayMs);
    assert.deepEqual(world.endedUploads, []);
    await clock.sleep(2 * dayMs);
    assert.ok(!(await exists(master, upload)));
    assert.deepEqual(world.endedUploads, [upload.content]);
    await clock.sleep(dayMs);
    assert.equal(bucket.counters.requests.abortUpload, 0);
  });
});

test('an upload of the store stays while a kept upload has parts in it', async () => {
  const world = new World();
  world.store('mem://bucket/');
  let upload: UploadRecord | undefined;
  let spilled = '';
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    const ticket = await master.beginWrite(bytes('/b/kept'), {writeType: 'ASYNC_THROUGH'}, context);
    upload = await master.createUpload(ticket, {storeUploadId: ''}, context);
    spilled = await master.stores.get(ticket.mount).createUpload({key: ticket.storeKey, metadata: {}}, context);
    await master.putPart(upload.path, upload.uploadId, {partNumber: 2, length: 1, etag: 'e', checksums: {}, storePart: spilledPart(spilled, 't'), modifiedAt: clock.nowNs()}, context);
  });
  await world.life(async (master, {clock}) => {
    await clock.sleep(3 * dayMs);
    assert.deepEqual(open(world), [spilled]);
    await master.removeUpload(upload!.path, upload!.uploadId, context);
    await clock.sleep(dayMs);
    assert.deepEqual(open(world), []);
  });
});

test('a store that cannot abort is asked again', async () => {
  const world = new World();
  world.store('mem://bucket/');
  await world.life(async master => {
    await mountBucket(master);
    const {mount} = await put(master, '/b/x', 'x');
    await master.stores.get(mount).createUpload({key: bytes('k'), metadata: {}}, context);
  });
  let down = true;
  world.wrap = store => new Proxy(store, {
    get: (target, name): unknown => {
      if (name === 'abortUpload' && down) return async () => Promise.reject(new WeirError('Unavailable', 'down'));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  await world.life(async (_master, {clock}) => {
    await clock.sleep(1_000);
    assert.equal(open(world).length, 1);
    down = false;
    await clock.sleep(3_600_000);
    assert.deepEqual(open(world), []);
  });
});

test('whatever the moment of a crash, no upload stays that has a part and no record', async () => {
  const begin = async (): Promise<World> => {
    const world = new World(5);
    world.store('mem://bucket/');
    await world.life(async master => mountBucket(master));
    return world;
  };
  const work = async (world: World): Promise<void> => {
    await world.life(async (master, {clock}) => {
      const store = master.stores.get((await put(master, '/b/x', 'x')).mount);
      const own = await store.createUpload({key: bytes('k'), metadata: {}}, context);
      await store.uploadPart(bytes('k'), own, 1, (async function* () { yield Buffer.from('part'); })(), 4, context);
      await createUpload(master, 'c');
      await clock.sleep(9 * dayMs);
    });
  };
  const rehearsal = await begin();
  const before = new Map(rehearsal.simulation.pointsHit);
  await work(rehearsal);
  assert.deepEqual(open(rehearsal), []);
  const points = [...rehearsal.simulation.pointsHit].filter(([point]) => point.startsWith('master.upload'));
  assert.ok(points.length >= 4, points.join());
  for (const [point, hits] of points) {
    for (let hit = 1; hit <= hits - (before.get(point) ?? 0); hit++) {
      const world = await begin();
      world.simulation.crashAt(point, hit);
      await assert.rejects(work(world), error => error instanceof SimulatedCrash);
      await world.life(async (master, {clock}) => {
        await clock.sleep(1_000);
        const records = (await master.listUploads({directory: bytes('/b/'), limit: 10}, context)).map(upload => upload.storeUploadId);
        // In the instant between the store's answer and the note nothing was uploaded yet.
        const unnoted = point === 'master.upload.opened' ? 1 : 0;
        assert.ok(open(world).filter(id => !records.includes(id)).length <= unnoted, `${point} ${hit}`);
      });
    }
  }
});
