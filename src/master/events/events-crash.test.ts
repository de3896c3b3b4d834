/**
 * A crash at every named point of changes that are told: what happened is told at least once, what did not happen never, and the events of a
 * key in their order.
 */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import {listen, Receiver, rule} from '#master/events/fixture.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const steps = ['put 1', 'put 2', 'delete', 'put 3'] as const;
const sizes = {'put 1': 1, 'put 2': 2, 'put 3': 3} as const;
/** As the message says it. */
const eventOf = (step: (typeof steps)[number]): string => (step === 'delete' ? 'ObjectRemoved:Delete' : `ObjectCreated:Put ${sizes[step]}`);

async function prepare(): Promise<{world: World; receiver: Receiver}> {
  const world = new World(3);
  const receiver = new Receiver();
  world.http = receiver;
  world.store('mem://bucket/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await master.putWebhook('hook', {url: 'http://receiver.example/'}, context);
    await listen(master, rule());
    await clock.sleep(1_000);
  });
  receiver.take();
  return {world, receiver};
}

/** How many steps were acknowledged. */
async function run({world, receiver}: {world: World; receiver: Receiver}): Promise<number> {
  let done = 0;
  // Every other message is refused the first time.
  receiver.answer = () => (receiver.attempts % 2 === 0 ? 200 : 500);
  try {
    await world.life(async (master, {clock}) => {
      for (const step of steps) {
        if (step === 'delete') await master.remove(bytes('/b/k'), {kind: 'file'}, context);
        else await put(master, '/b/k', 'x'.repeat(sizes[step]));
        done++;
        await clock.sleep(400);
      }
      await clock.sleep(20_000);
    });
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
  return done;
}

/** What has been told, without repetitions of what was told just before. */
function told(receiver: Receiver): string[] {
  const all = receiver.told.map(({event, record}) => {
    const {size} = (record['s3'] as {object: {size?: number}}).object;
    return size === undefined ? event : `${event} ${size}`;
  });
  return all.filter((one, i) => one !== all[i - 1]);
}

test('whatever the moment of a crash, all that happened is told, and nothing else', async () => {
  const rehearsal = await prepare();
  const before = new Map(rehearsal.world.simulation.pointsHit);
  assert.equal(await run(rehearsal), steps.length);
  assert.deepEqual(told(rehearsal.receiver), steps.map(eventOf));
  let crashes = 0;
  for (const [point, hits] of rehearsal.world.simulation.pointsHit) {
    const count = hits - (before.get(point) ?? 0);
    for (let hit = 1; hit <= Math.min(count, 6); hit++) {
      const prepared = await prepare();
      const {world, receiver} = prepared;
      world.simulation.crashAt(point, hit);
      const done = await run(prepared);
      if (done < steps.length) crashes++;
      receiver.answer = () => 200;
      const happened = await world.life(async (master, {clock}) => {
        await clock.sleep(120_000);
        const {entries} = await master.list({directory: bytes('/b/'), view: 'keys', limit: 10}, context);
        assert.equal((await master.listWebhooks(context))[0]!.backlog, 0);
        return entries.map(entry => ('info' in entry ? entry.info.length : 0))[0];
      });
      const where = `${point}, hit ${hit}, ${done} steps acknowledged`;
      const seen = told(receiver);
      // One that was not acknowledged may have happened, or may have been found in the store, of which nobody is told.
      const possible = [steps.slice(0, done), steps.slice(0, done + 1)].map(list => list.map(eventOf));
      assert.ok(possible.some(list => JSON.stringify(list) === JSON.stringify(seen)), `${where}: ${JSON.stringify(seen)}`);
      const last = seen.at(-1);
      if (seen.length > done && last !== 'ObjectRemoved:Delete') assert.equal(`ObjectCreated:Put ${happened}`, last, `${where}: what was told is there`);
      if (seen.length > done && last === 'ObjectRemoved:Delete') assert.equal(happened, undefined, `${where}: what was told to be gone is gone`);
    }
  }
  assert.ok(crashes > 20, `${crashes} crashes`);
});

/** How many tags were set, in order; what the namespace shows afterwards is the last that happened. */
async function tag({world}: {world: World}): Promise<number> {
  let done = 0;
  try {
    await world.life(async (master, {clock}) => {
      for (const value of ['1', '2', '3']) {
        await master.setAttributes(bytes('/b/k'), {xattrs: {'weir.s3.tagging': Buffer.from(value)}}, {kind: 'file'}, context);
        done++;
        await clock.sleep(100);
      }
    });
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
  return done;
}

async function prepareFile(): Promise<{world: World; receiver: Receiver}> {
  const prepared = await prepare();
  await prepared.world.life(async master => void (await put(master, '/b/k', 'x')));
  prepared.receiver.take();
  return prepared;
}

test('whatever the moment of a crash, a change that no store has a part in is told exactly if it happened', async () => {
  const rehearsal = await prepareFile();
  const before = new Map(rehearsal.world.simulation.pointsHit);
  assert.equal(await tag(rehearsal), 3);
  for (const [point, hits] of rehearsal.world.simulation.pointsHit) {
    const count = hits - (before.get(point) ?? 0);
    for (let hit = 1; hit <= Math.min(count, 6); hit++) {
      const prepared = await prepareFile();
      prepared.world.simulation.crashAt(point, hit);
      const done = await tag(prepared);
      const last = await prepared.world.life(async (master, {clock}) => {
        await clock.sleep(5_000);
        const {inode} = await master.stat(bytes('/b/k'), {kind: 'file'}, context);
        return Number(Buffer.from(inode.xattrs?.['weir.s3.tagging'] ?? '0').toString());
      });
      assert.ok(last >= done, `${point}, hit ${hit}`);
      const sequencers = prepared.receiver.told.filter(({event}) => event === 'ObjectTagging:Put').map(({record}) => (record['s3'] as {object: {sequencer: string}}).object.sequencer);
      assert.equal(new Set(sequencers).size, last, `${point}, hit ${hit}: ${last} happened`);
    }
  }
});

const files = ['1', '2', 'd/3'];

async function prepareTree(): Promise<{world: World; receiver: Receiver}> {
  const prepared = await prepare();
  await prepared.world.life(async (master, {clock}) => {
    for (const file of files) await put(master, `/b/t/${file}`, 'x');
    await clock.sleep(10_000);
  });
  prepared.receiver.take();
  return prepared;
}

async function renameTree({world}: {world: World}): Promise<boolean> {
  let done = false;
  try {
    await world.life(async (master, {clock}) => {
      await master.rename(bytes('/b/t/'), bytes('/b/u/'), {replace: false}, context);
      done = true;
      await clock.sleep(20_000);
    });
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
  return done;
}

test('whatever the moment of a crash, a renamed tree is told whole, or not at all where it was not renamed', async () => {
  const rehearsal = await prepareTree();
  const before = new Map(rehearsal.world.simulation.pointsHit);
  assert.equal(await renameTree(rehearsal), true);
  const all = files.flatMap(file => [`ObjectCreated:Copy u/${file}`, `ObjectRemoved:Delete t/${file}`]).sort();
  assert.deepEqual(rehearsal.receiver.take().sort(), all);
  for (const [point, hits] of rehearsal.world.simulation.pointsHit) {
    const count = hits - (before.get(point) ?? 0);
    for (let hit = 1; hit <= Math.min(count, 3); hit++) {
      const prepared = await prepareTree();
      prepared.world.simulation.crashAt(point, hit);
      const done = await renameTree(prepared);
      const happened = await prepared.world.life(async (master, {clock}) => {
        await clock.sleep(120_000);
        return (await master.list({directory: bytes('/b/'), prefix: bytes('u/'), view: 'keys', limit: 10}, context)).entries.length > 0;
      });
      const where = `${point}, hit ${hit}, ${done ? 'acknowledged' : 'not acknowledged'}`;
      assert.ok(happened || !done, where);
      assert.deepEqual([...new Set(prepared.receiver.take())].sort(), happened ? all : [], where);
    }
  }
});
