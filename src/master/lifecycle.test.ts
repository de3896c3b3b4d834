/** Lifecycle rules in virtual time. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {timerTable} from '#codec/namespace/keys.ts';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {LifecycleRule} from '#model/lifecycle.ts';
import {encodeRetention, retentionAttribute} from '#model/object-lock.ts';
import type {Clock} from '#runtime/clock.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const dayMs = 86_400_000;
const rule = (more: Partial<LifecycleRule>): LifecycleRule => ({id: 'r', enabled: true, form: 'filter', filter: {}, ...more});

async function withRules(rules: readonly LifecycleRule[], versioned: boolean, fn: (master: Master, clock: Clock) => Promise<void>): Promise<void> {
  const world = new World(9);
  world.store('mem://bucket/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    if (versioned) await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
    await master.setSetting(bytes('/b/'), 'lifecycle', JSON.stringify(rules), context);
    await fn(master, clock);
  });
}

async function shown(master: Master): Promise<string[]> {
  const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 1000}, context);
  return entries.flatMap(entry => ('info' in entry && entry.info.inode.kind === 'file' ? [`${entry.key}${entry.info.deleteMarker ? ' marker' : ''}${entry.latest ? '' : ' old'}`] : []));
}

test('objects end at the midnight after their days, where prefix, size and tags say so', async () => {
  const tags = Buffer.from('class=short');
  await withRules([rule({expiration: {days: 1}, filter: {prefix: 'logs/', sizeOver: 1}}), rule({id: 't', expiration: {days: 1}, filter: {tags: [['class', 'short']]}})], false, async (master, clock) => {
    for (const key of ['logs/a', 'logs/b', 'other']) await put(master, `/b/${key}`, key === 'logs/b' ? 'x' : 'long');
    await put(master, '/b/tagged', 'x', {xattrs: {'weir.s3.tagging': tags}});
    await clock.sleep(dayMs / 2);
    assert.deepEqual(await shown(master), ['logs/a', 'logs/b', 'other', 'tagged']);
    await clock.sleep(2 * dayMs);
    assert.deepEqual(await shown(master), ['logs/b', 'other']);
  });
});

test('a disabled rule ends nothing; a date that has passed ends all', async () => {
  await withRules([rule({enabled: false, expiration: {days: 1}}), rule({id: 'd', expiration: {dateMs: 0}, filter: {prefix: 'x'}})], false, async (master, clock) => {
    for (const key of ['a', 'x']) await put(master, `/b/${key}`, key);
    await clock.sleep(3 * dayMs);
    assert.deepEqual(await shown(master), ['a']);
  });
});

test('noncurrent versions end but the newest, then markers that hide nothing; what is locked stays', async () => {
  const rules = [rule({expiration: {days: 1}, filter: {prefix: 'a'}}), rule({id: 'n', noncurrent: {days: 1, keep: 1}}), rule({id: 'm', expiration: {expiredDeleteMarker: true}, filter: {prefix: 'm'}})];
  await withRules(rules, true, async (master, clock) => {
    for (const body of ['1', '2', '3']) await put(master, '/b/a', body);
    await put(master, '/b/k', 'locked', {xattrs: {[retentionAttribute]: encodeRetention({mode: 'COMPLIANCE', untilMs: 9e12})}});
    for (const body of ['2', '3']) await put(master, '/b/k', body);
    await master.remove(bytes('/b/m'), {kind: 'file', deleteMarker: true}, context);
    await clock.sleep(3 * dayMs);
    // `a` itself has ended too: a marker hides it, and of what it was the newest version stays.
    assert.deepEqual(await shown(master), ['a marker', 'a old', 'k', 'k old', 'k old']);
  });
});

test('an upload that was begun too long ago is aborted', async () => {
  await withRules([rule({abortUploadsAfterDays: 1})], false, async (master, clock) => {
    const ticket = await master.beginWrite(bytes('/b/up'), {}, context);
    await master.createUpload(ticket, {storeUploadId: 'none'}, context);
    const uploads = async () => (await master.listUploads({directory: bytes('/b/'), limit: 10}, context)).length;
    assert.equal(await uploads(), 1);
    await clock.sleep(3 * dayMs);
    assert.equal(await uploads(), 0);
  });
});

test('a walk that a crash breaks off goes on where it was; what came before that waits for the next midnight', async () => {
  const world = new World(9);
  world.store('mem://bucket/');
  const key = (i: number): string => `/b/k${String(i).padStart(4, '0')}`;
  const left = async (master: Master): Promise<number> => (await shown(master)).length;
  const crashed = world.life(async (master, {clock}) => {
    await mountBucket(master);
    for (let i = 0; i < 520; i++) await put(master, key(i), 'x');
    await master.setSetting(bytes('/b/'), 'lifecycle', JSON.stringify([rule({expiration: {dateMs: 0}})]), context);
    world.simulation.crashAt('master.timer.noted');
    await clock.sleep(dayMs);
  });
  await assert.rejects(crashed, error => error instanceof SimulatedCrash);
  await world.life(async (master, {clock}) => {
    const before = await left(master);
    assert.ok(before > 0 && before <= 21, `${before} are left`);
    await put(master, key(0), 'came back');
    await clock.sleep(2 * 60_000);
    assert.deepEqual(await shown(master), ['k0000']);
    await clock.sleep(dayMs);
    assert.deepEqual(await shown(master), []);
  });
});

test('rules that were set before there were timers are carried out', async () => {
  const world = new World(9);
  world.store('mem://bucket/');
  await world.life(async master => {
    await mountBucket(master);
    await put(master, '/b/k', 'x');
    await master.setSetting(bytes('/b/'), 'lifecycle', JSON.stringify([rule({expiration: {dateMs: 0}})]), context);
  });
  await world.simulation.run(async runtime => {
    const metastore = await world.metastore(runtime);
    await metastore.transact(tx => Array.from(tx.range(timerTable)).forEach(row => tx.delete(row.key))).durable;
    await metastore.close();
  });
  await world.life(async (master, {clock}) => {
    assert.deepEqual(await shown(master), ['k']);
    await clock.sleep(2 * 60_000);
    assert.deepEqual(await shown(master), []);
  });
});
