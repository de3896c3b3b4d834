/**
 * A whole instance, used as a mount and by S3 at once, killed and without power at any point of anything: what was acknowledged as durable or synced is
 * there, what was not is wholly as before or wholly new, never of another file; and in the end the stores have what the namespace shows. Three plays
 * by default; WEIR_TEST_SEEDS plays more, from WEIR_TEST_SEED on.
 */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {systemContext} from '#contracts/context.ts';
import {Actor} from '#process/machine/actor.test.ts';
import {type Instance, Machine, settled} from '#process/machine/fixture.test.ts';
import type {Death} from '#process/machine/history.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const lives = 5;
const stepsMax = 50;
const seeds = Number(process.env['WEIR_TEST_SEEDS'] ?? 3);
const first = Number(process.env['WEIR_TEST_SEED'] ?? 1);

async function play(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const machine = new Machine(seed);
  const {simulation} = machine;
  const actors = ['/home/a/', '/home/b/', '/far/c/'].map((base) => new Actor(base, random));
  await machine.life(async ({files}) => {
    await files.makeDirectory('/home/' as ByteString, {}, systemContext);
    await files.mount({path: '/far/' as ByteString, uri: 'mem://far', options: {}, writeType: seed % 2 === 0 ? 'ASYNC_THROUGH' : 'CACHE_THROUGH'}, systemContext);
    for (const {base} of actors) for (const below of ['', 'd/']) await files.makeDirectory(`${base}${below}` as ByteString, {}, systemContext);
  });
  let death = 'kill' as Death;
  for (let life = 0; life < lives; life++) {
    const where = `seed ${seed}, life ${life}, after ${death}`;
    const next: Death = random() < 0.5 ? 'kill' : 'crash';
    const points = [...simulation.pointsHit.keys()];
    let [died, verified] = [false, false];
    try {
      await machine.life(async (instance) => {
        for (const actor of actors) await actor.verify(instance, death, where);
        verified = true;
        if (random() < 0.6) simulation.crashAt(points[Math.floor(random() * points.length)]!, 1 + Math.floor(random() * 4), next);
        const steps = Math.floor(random() * stepsMax);
        using _ = random() < 0.5 ? instance.runtime.clock.after(random() * 4_000, () => simulation[next]()) : undefined;
        await Promise.all(actors.map((actor) => actor.act(instance, steps)));
      });
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
      died = true;
    }
    simulation.crashAt('never');
    // An orderly end loses nothing that was answered.
    const end = died ? next : 'kill';
    death = !verified && death === 'crash' ? 'crash' : end;
    if (end === 'kill') for (const actor of actors) actor.killed();
  }
  await machine.life(async (instance) => {
    for (const actor of actors) await actor.verify(instance, death, `seed ${seed}, at the end`);
    const wanted = new Map<string, Buffer>();
    for (const actor of actors) for (const [name, bytes] of await actor.end(instance)) wanted.set(`${actor.base}${name}`, bytes);
    assert.deepEqual(await settled(instance, 600_000), [], `seed ${seed}: all is persisted`);
    await instance.runtime.clock.sleep(60_000);
    await checkStores(machine, instance, wanted, `seed ${seed}`);
    for (const actor of actors) await actor.verify(instance, 'kill', `seed ${seed}, persisted`);
  });
}

/** The stores have just that, and the cache nothing that must stay. */
async function checkStores({distant}: Machine, {runtime, blocks}: Instance, wanted: ReadonlyMap<string, Buffer>, where: string): Promise<void> {
  const stored = new Map<string, Buffer>();
  for (const key of distant.outside.keys()) if (!key.endsWith('/') && !key.startsWith('.weir/')) stored.set(`/far/${key}`, Buffer.from(distant.outside.bytes(key)!));
  const walk = async (directory: string): Promise<void> => {
    for (const name of await runtime.disk.readDirectory(`/data/${directory}`)) {
      if (name === '.weir') continue;
      const path = `${directory}${name}`;
      if ((await runtime.disk.stat(`/data/${path}`)).kind === 'directory') {
        await walk(`${path}/`);
        continue;
      }
      await using file = await runtime.disk.open(`/data/${path}`, {mode: 'read'});
      const bytes = Buffer.alloc((await file.stat()).size);
      await file.read(bytes, 0);
      stored.set(`/${path}`, bytes);
    }
  };
  await walk('');
  assert.deepEqual([...stored.keys()].toSorted(), [...wanted.keys()].toSorted(), `${where}: the stores have these files`);
  for (const [path, bytes] of wanted) assert.ok(stored.get(path)!.equals(bytes), `${where}: ${path} is in its store`);
  assert.deepEqual(await blocks.drafts.left(), [], `${where}: no draft is left`);
}

describe('an instance on a machine that dies', () => {
  it('loses nothing, mixes nothing', async () => {
    for (let seed = first; seed < first + seeds; seed++) await play(seed);
  });
});
