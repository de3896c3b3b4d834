/** Quotas: what is used is what lies there, whatever was done, and after crashes; what has no room leaves nothing behind. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import type {Capabilities} from '#understore/under-store.ts';

const directories: Partial<Capabilities> = {directories: true, recursiveList: false, rename: 'tree', metadata: false};
const setQuota = (master: Master, path: string, limit: number | null) => master.setSetting(bytes(path), 'quota', limit === null ? null : String(limit), context);

async function counted(master: Master, {clock}: Pick<Runtime, 'clock'>, path: string): Promise<number> {
  for (let tries = 0; tries < 1_000; tries++) {
    const quota = await master.quota(bytes(path), context);
    assert.ok(quota, `${path} has a quota`);
    if (!quota.counting) return quota.used;
    await clock.sleep(10);
  }
  throw new Error(`${path} is never counted`);
}

/** Of the files whose first names lie there. */
async function used(master: Master, path: string): Promise<number> {
  const found = new Map<number, number>();
  for (const key of await keys(master, path, {view: 'tree'})) {
    if (key.endsWith('/')) continue;
    const {inode, length} = await master.stat(bytes(`${path}${key}`), {kind: 'file'}, context);
    if ((await master.pathOf(inode.id, context)).startsWith(path)) found.set(inode.id, length);
  }
  return [...found.values()].reduce((sum, length) => sum + length, 0);
}

async function refused(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (!(error instanceof WeirError) || error.kind === 'Internal' || error.kind === 'Corrupt') throw error;
    return error.kind;
  }
}

const name = fc.constantFrom('q/a', 'q/b', 'q/in/a', 'q/in/b', 'out/a', 'out/b', 'out/d/a');
const step = fc.record({what: fc.constantFrom('put', 'put', 'put', 'remove', 'rename', 'rename', 'exchange', 'link', 'remove tree', 'rename tree', 'exchange trees'), name, other: name, length: fc.nat(60)});

test('what is used is what lies there, after random changes and a crash', {timeout: 120_000}, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, {minLength: 10, maxLength: 40, size: 'max'}), fc.boolean(), fc.nat(400), async (steps, plain, crash) => {
    const world = new World(9);
    world.store('mem://bucket/', plain ? {} : directories);
    await world.life(async master => {
      await mountBucket(master, 'immutable');
      for (const directory of ['q', 'q/in', 'out', 'out/d']) await master.makeDirectory(bytes(`/b/${directory}`), {}, context);
      await put(master, '/b/q/a', 'there before');
      await setQuota(master, '/b/q/', 150);
    });
    world.simulation.crashAt('journal.append', 40 + crash);
    try {
      await world.life(async master => {
        for (const [i, {what, name: from, other, length}] of steps.entries()) {
          const [path, target] = [bytes(`/b/${from}`), bytes(`/b/${other}`)];
          const tree = (each: string): ReturnType<typeof bytes> => bytes(`/b/${each.slice(0, each.lastIndexOf('/') + 1)}`);
          if (i === 5) await setQuota(master, '/b/q/in/', 90).catch(() => undefined);
          if (what === 'put') await refused(put(master, path, 'x'.repeat(length), {length}));
          else if (what === 'remove') await refused(master.remove(path, {kind: 'file'}, context));
          else if (what === 'rename') await refused(master.rename(path, target, {replace: true, kind: 'file'}, context));
          else if (what === 'exchange') await refused(master.rename(path, target, {replace: false, exchange: true}, context));
          else if (what === 'link') await refused(master.link(path, target, context));
          else if (what === 'rename tree') await refused(master.rename(tree(from), tree(other), {replace: true}, context));
          else if (what === 'exchange trees') await refused(master.rename(tree(from), tree(other), {replace: false, exchange: true}, context));
          else await refused(master.remove(tree(from), {recursive: true}, context));
        }
      });
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
    world.simulation.crashAt('never');
    await world.life(async (master, runtime) => {
      await runtime.clock.sleep(60_000);
      for (const path of ['/b/q/', '/b/q/in/']) {
        const quota = await master.quota(bytes(path), context).catch(() => null);
        if (quota?.path !== path) continue;
        assert.equal(await counted(master, runtime, path), await used(master, path), path);
      }
    });
  }), {numRuns: 60});
});

test('what has no room is refused before anything happens, and what there is is shared', async () => {
  const world = new World(10);
  const {outside} = world.store('mem://bucket/', directories);
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    for (const directory of ['q', 'q/sub', 'out', 'out/full', 'out/empty']) await master.makeDirectory(bytes(`/b/${directory}`), {}, context);
    await put(master, '/b/q/sub/a', 'x'.repeat(40));
    await put(master, '/b/out/full/b', 'x'.repeat(70));
    await setQuota(master, '/b/q', 100);
    assert.equal(await counted(master, runtime, '/b/q'), 40);
    assert.equal(await refused(put(master, '/b/q/c', 'x'.repeat(61), {length: 61})), 'QuotaExceeded');
    assert.equal(outside.object(bytes('q/c')), undefined);
    const ticket = await master.beginWrite(bytes('/b/q/c'), {length: 60}, context);
    assert.equal(await refused(put(master, '/b/q/d', 'x', {length: 1})), 'QuotaExceeded', 'set aside for the other');
    await master.abandonWrite(ticket, context);
    await put(master, '/b/q/d', 'x', {length: 1});
    assert.equal(await refused(master.rename(bytes('/b/out/full/b'), bytes('/b/q/b'), {replace: false, kind: 'file'}, context)), 'QuotaExceeded');
    assert.ok(outside.object(bytes('out/full/b')));
    assert.equal(await refused(master.rename(bytes('/b/out/full/'), bytes('/b/q/full/'), {replace: false}, context)), 'CrossMount');
    await master.rename(bytes('/b/out/empty/'), bytes('/b/q/empty/'), {replace: false}, context);
    await master.rename(bytes('/b/q/sub/'), bytes('/b/q/empty/sub/'), {replace: false}, context);
    const {inode: {id}} = await master.stat(bytes('/b/q/empty/sub/a'), {kind: 'file'}, context);
    assert.deepEqual(await master.roomOf(id, context), {limit: 100, used: 41, lengthMax: 99});
    await put(master, '/b/q/empty/sub/a', '', {length: 0});
    assert.deepEqual(await master.quota(bytes('/b/q/empty/sub'), context), {path: '/b/q/', limit: 100, used: 1, counting: false});
    await assert.rejects(setQuota(master, '/b/q', -1), {kind: 'InvalidArgument'});
    await assert.rejects(master.setSetting(bytes('/b/q'), 'quota', '5', {...context, principal: {name: 'ann', uid: 1000, gids: [1000]}}), {kind: 'PermissionDenied'});
    await setQuota(master, '/b/q', null);
    assert.equal(await master.quota(bytes('/b/q'), context), null);
    await put(master, '/b/q/c', 'x'.repeat(500), {length: 500});
  });
});
