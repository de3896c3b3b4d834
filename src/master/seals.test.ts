import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {bytes, context as plain, mountBucket, putBehind, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const context = {...plain, moment: 'safe'} as const;
const seal = {writeTypeDefault: 'ASYNC_THROUGH'} as const;

async function make(master: Master, path: string): Promise<FileInfo> {
  const info = await master.makeFile(bytes(path), {mode: 0o640, ...seal}, context);
  assert.ok(info);
  return info;
}

/** What worker and client do when a draft is closed: kept by the cache, not synced. */
async function write(world: World, master: Master, {inode}: FileInfo, body: string): Promise<FileInfo> {
  const content = await master.beginSeal(inode.id, seal, context);
  assert.ok(content);
  world.cache.set(content, Buffer.from(body));
  const etag = createHash('md5').update(body).digest('hex');
  const info = await master.commitSeal(inode.id, {content, length: body.length, etag, metadata: {}, mtime: 5n, durable: false}, context);
  assert.ok(info);
  return info;
}

const inStore = (world: World, key: string): string | undefined => {
  const found = world.store('mem://bucket/').outside.bytes(bytes(key));
  return found && Buffer.from(found).toString();
};

async function contentOf(world: World, master: Master, path: string): Promise<string> {
  const {content} = (await master.stat(bytes(path), {kind: 'file'}, plain)).inode;
  return content!.pending ? world.cache.get(content!.id)?.toString() ?? '' : (inStore(world, path.slice('/b/'.length)) ?? 'not there');
}

async function persisted(master: Master, runtime: Runtime): Promise<void> {
  while ((await master.listPending({path: bytes('/b/'), limit: 10}, plain)).entries.length > 0) await runtime.clock.sleep(100);
}

/** Ends the life as the power does: what was not synced to the cache by then is lost from it. */
async function dies(world: World, work: (master: Master, runtime: Runtime) => Promise<void>): Promise<void> {
  await world.life(async (master, runtime) => {
    await work(master, runtime);
    world.simulation.crash();
    runtime.crashPoint('end');
  }).catch((error: unknown) => {
    if (!(error instanceof SimulatedCrash)) throw error;
  });
}

describe('what a mount makes', () => {
  it('is seen at once, and in its store when it lasts', async () => {
    const world = new World();
    world.store('mem://bucket/');
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      const made = await make(master, '/b/f');
      assert.deepEqual([made.length, made.inode.mode, made.inode.content?.pending], [0, 0o640, 'pending']);
      await assert.rejects(master.makeFile(bytes('/b/f'), {mode: 0o640, ...seal}, context), (error) => isKind(error, 'PreconditionFailed', 'AlreadyExists'));
      await assert.rejects(master.makeFile(bytes('/b/none/f'), {mode: 0o640, ...seal}, context), (error) => isKind(error, 'NotFound'));
      const written = await write(world, master, made, 'hello');
      assert.deepEqual([written.inode.id, written.length, written.inode.mtime], [made.inode.id, 5, 5n]);
      await runtime.clock.sleep(1_000);
      assert.equal(inStore(world, 'f'), undefined, 'what does not last is not persisted');
      await runtime.clock.sleep(4_000);
      assert.equal(inStore(world, 'f'), 'hello');
      await write(world, master, made, 'again');
      await master.sync(made.inode.id, context);
      await persisted(master, runtime);
      assert.equal(inStore(world, 'f'), 'again');
    });
  });

  it('takes the steps of every write where it must', async () => {
    const world = new World();
    world.store('mem://bucket/');
    await world.life(async (master) => {
      await mountBucket(master);
      const made = await make(master, '/b/f');
      await master.setSetting(bytes('/b/'), 'write-type', 'CACHE_THROUGH', plain);
      assert.equal(await master.makeFile(bytes('/b/g'), {mode: 0o640, ...seal}, context), undefined);
      assert.equal(await master.beginSeal(made.inode.id, seal, context), undefined);
      assert.equal(await master.beginSeal(made.inode.id, {}, context), undefined);
      await master.remove(bytes('/b/f'), {kind: 'file'}, plain);
      await assert.rejects(master.beginSeal(made.inode.id, seal, context), (error) => isKind(error, 'NotFound'));
    });
  });

  it('is what it was before, where its bytes are lost with the power', async () => {
    const world = new World();
    world.store('mem://bucket/');
    await dies(world, async (master, runtime) => {
      await mountBucket(master);
      const stored = await putBehind(world, master, '/b/stored', 'one');
      await persisted(master, runtime);
      const pending = await putBehind(world, master, '/b/pending', 'durable');
      const fresh = await make(master, '/b/fresh');
      const kept = await make(master, '/b/kept');
      for (const [info, body] of [[stored, 'two'], [stored, 'three'], [pending, 'lost'], [fresh, 'lost as well'], [kept, 'not lost']] as const) await write(world, master, info, body);
      await master.rename(bytes('/b/fresh'), bytes('/b/renamed'), {kind: 'file', replace: false}, plain);
      // The metadata survives; of the bytes only some.
      await master.sync(undefined, context);
      for (const [id, body] of world.cache) if (/^(two|three|lost)/.test(body.toString())) world.cache.delete(id);
    });
    await world.life(async (master, runtime) => {
      const found = await Promise.all(['stored', 'pending', 'renamed', 'kept'].map((name) => contentOf(world, master, `/b/${name}`)));
      assert.deepEqual(found, ['one', 'durable', '', 'not lost']);
      await persisted(master, runtime);
      assert.deepEqual(['stored', 'pending', 'renamed', 'kept'].map((name) => inStore(world, name)), ['one', 'durable', '', 'not lost']);
      assert.equal((await master.usage(bytes('/b/'), plain)).bytes, 18);
      assert.equal(world.cache.size, 0, 'nothing is left over');
    });
  });

  const stores = [['renames', {directories: true, recursiveList: false, rename: 'tree', metadata: false}], ['copies', {}]] as const;
  for (const [kind, capabilities] of stores) it(`is what it was before also where a directory above was renamed meanwhile, in a store that ${kind}`, async () => {
    const world = new World();
    world.store('mem://bucket/', capabilities);
    await dies(world, async (master, runtime) => {
      await mountBucket(master);
      const info = await putBehind(world, master, '/b/d/f', 'one');
      await persisted(master, runtime);
      await write(world, master, info, 'two');
      await master.rename(bytes('/b/d/'), bytes('/b/e/'), {kind: 'directory', replace: false}, context);
      await runtime.clock.sleep(1_000);
      assert.deepEqual(await master.listJobs(context), []);
      await master.sync(undefined, context);
      for (const [id, body] of world.cache) if (body.toString() === 'two') world.cache.delete(id);
    });
    await world.life(async (master) => {
      assert.equal(await contentOf(world, master, '/b/e/f'), 'one');
      assert.equal((await master.stat(bytes('/b/e/f'), {}, context)).inode.content!.storeKey, 'e/f');
    });
  });

  it('replaces a file by rename only when it lasts', async () => {
    const world = new World();
    world.store('mem://bucket/');
    await dies(world, async (master) => {
      await mountBucket(master);
      await write(world, master, await make(master, '/b/config'), 'old');
      const next = await write(world, master, await make(master, '/b/config.new'), 'new');
      let synced = false;
      const {makeDurable} = world.lasting;
      world.lasting = {...world.lasting, makeDurable: async (ids) => {
        synced ||= ids.includes(next.inode.content!.id);
        return await makeDurable(ids);
      }};
      await master.rename(bytes('/b/config.new'), bytes('/b/config'), {kind: 'file', replace: true}, context);
      assert.ok(synced);
    });
  });

  it('says when it cannot be synced, and is tried again', async () => {
    const world = new World();
    world.store('mem://bucket/');
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      const {lasting} = world;
      world.lasting = {...lasting, makeDurable: async (ids) => ids.map(() => false)};
      const made = await write(world, master, await make(master, '/b/f'), 'hello');
      await assert.rejects(master.sync(made.inode.id, context), (error) => isKind(error, 'Io'));
      await runtime.clock.sleep(20_000);
      assert.equal(inStore(world, 'f'), undefined);
      world.lasting = lasting;
      await runtime.clock.sleep(10_000);
      assert.equal(inStore(world, 'f'), 'hello');
    });
  });

  it('survives the end of its process at any point', async () => {
    for (const point of ['master.seal.commit', 'master.seal.committed', 'master.unsynced.sync', 'master.unsynced.synced', 'master.persist.noted', 'master.persist.sent', 'master.persist.shown']) {
      for (const hit of [1, 2, 3]) {
        const world = new World(hit);
        world.store('mem://bucket/');
        let answered = '';
        world.simulation.crashAt(point, hit, 'kill');
        await world.life(async (master, runtime) => {
          await mountBucket(master);
          const made = await make(master, '/b/f');
          for (const body of ['one', 'two', 'three']) {
            await write(world, master, made, body);
            answered = body;
            await runtime.clock.sleep(hit * 1500);
          }
          await persisted(master, runtime);
        }).catch((error: unknown) => {
          if (!(error instanceof SimulatedCrash)) throw error;
        });
        await world.life(async (master, runtime) => {
          if (answered === '') return;
          const found = await contentOf(world, master, '/b/f');
          const bodies = ['one', 'two', 'three'];
          assert.ok(bodies.indexOf(found) >= bodies.indexOf(answered), `${point} ${hit}: ${found} where ${answered} was answered`);
          await persisted(master, runtime);
          assert.equal(inStore(world, 'f'), found);
        });
      }
    }
  });
});
