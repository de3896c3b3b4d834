/** One play of a seed: several lives of an instance, used by several at once, and what there must be between them and in the end. */
import assert from 'node:assert/strict';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {type Random, randomFrom} from '#blockstore/fixture.test.ts';
import {systemContext} from '#contracts/context.ts';
import {Actor} from '#process/machine/actor.test.ts';
import {type Instance, Machine, type MachineOptions, ordinary, settled} from '#process/machine/fixture.test.ts';
import {type Death, SeenFile} from '#process/machine/history.test.ts';
import {EmptyDirectory, Ledger, type Node} from '#process/machine/ledger.test.ts';
import {writeTypeSetting} from '#model/mount.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const lives = 5;
const stepsMax = 50;
const logLines = 20;
/** What a clock is set by at most, forward or back. */
const clockMsMax = 4 * 3_600_000;
const distant = ['far', 'deep'];

type Wanted = readonly (readonly [path: string, node: Node])[];

/** What fails says what was done, and what the instance has logged last. */
export async function play(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const machine = new Machine(seed, random, optionsOf(random));
  try {
    await playOn(machine, seed, random);
  } catch (error) {
    if (error instanceof Error) error.message += `\n${machine.simulation.log.slice(-logLines).map((line) => JSON.stringify(line)).join('\n')}`;
    throw error;
  }
}

async function playOn(machine: Machine, seed: number, random: Random): Promise<void> {
  const {simulation, trouble} = machine;
  const versioned = random() < 0.2 ? '/far/' : undefined;
  trouble.percent = random() < 0.4 ? random() * 20 : 0;
  const actors = ['/home/a/', '/home/b/', '/far/c/', '/deep/d/'].map((base) => new Actor(new Ledger(base, random, versioned !== undefined && base.startsWith(versioned))));
  await machine.life(async ({files}) => {
    using _ = trouble.pause();
    await files.makeDirectory('/home/' as ByteString, {}, systemContext);
    for (const name of distant) {
      const writeType = (name === 'far') === (seed % 2 === 0) ? 'ASYNC_THROUGH' : 'CACHE_THROUGH';
      await files.mount({path: `/${name}/` as ByteString, uri: `mem://${name}`, options: {}, writeType}, systemContext);
    }
    if (versioned) await files.setSetting(versioned as ByteString, 'versioning', 'Enabled', systemContext);
    for (const {ledger: {base}} of actors) for (const below of ['', 'd/']) await files.makeDirectory(`${base}${below}` as ByteString, {}, systemContext);
  });
  let death = 'kill' as Death;
  for (let life = 0; life < lives; life++) {
    const where = `seed ${seed}, life ${life}, after ${death}`;
    const next: Death = random() < 0.5 ? 'kill' : 'crash';
    const points = [...simulation.pointsHit.keys()];
    let [died, verified] = [false, false];
    // While it takes up what the last life has left.
    if (random() < 0.3) simulation.crashAt(points[Math.floor(random() * points.length)]!, 1 + Math.floor(random() * 3), next);
    if (random() < 0.2) simulation.setClock(Math.round((random() - 0.5) * clockMsMax));
    try {
      await machine.life(async (instance) => {
        for (const actor of actors) await actor.verify(instance, death, where);
        verified = true;
        if (random() < 0.1) simulation.setClock(Math.round((random() - 0.5) * clockMsMax));
        await change(instance, actors, random);
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
  trouble.percent = 0;
  const wanted: (readonly [path: string, node: Node])[] = [];
  const backup: Uint8Array[] = [];
  await machine.life(async (instance) => {
    for (const actor of actors) await actor.verify(instance, death, `seed ${seed}, at the end after ${death}`);
    for (const actor of actors) for (const [name, node] of await actor.end(instance)) wanted.push([`${actor.ledger.base}${name}`, node]);
    assert.deepEqual(await settled(instance, 600_000), [], `seed ${seed}: all is persisted`);
    await instance.runtime.clock.sleep(120_000);
    await checkStores(machine, instance, wanted, `seed ${seed}`);
    for (const actor of actors) await actor.verify(instance, 'kill', `seed ${seed}, persisted`);
    await checkUsage(instance, wanted, `seed ${seed}`);
    backup.push(...(await Array.fromAsync(instance.master.backup(systemContext))));
  });
  await machine.restore(backup);
  await machine.life(async (instance) => {
    for (const actor of actors) await actor.verify(instance, 'kill', `seed ${seed}, restored`);
    await checkUsage(instance, wanted, `seed ${seed}, restored`);
  });
}

/** What people set on the way. */
async function change({files, trouble}: Instance, actors: readonly Actor[], random: Random): Promise<void> {
  using _ = trouble.pause();
  if (random() < 0.2) {
    const {ledger: {base}} = actors[Math.floor(random() * actors.length)]!;
    const writeType = [null, 'ASYNC_THROUGH', 'CACHE_THROUGH'][Math.floor(random() * 3)]!;
    await files.setSetting(base as ByteString, writeTypeSetting, writeType, systemContext);
  }
  if (random() < 0.04) {
    const concerned = actors.filter(({ledger}) => ledger.base.startsWith('/far/') && !ledger.versioned);
    for (const {ledger} of concerned) ledger.versioned = true;
    await files.setSetting('/far/' as ByteString, 'versioning', 'Enabled', systemContext).catch((error: unknown) => {
      // Where a file has several names.
      if (!isKind(error, 'Conflict')) throw error;
      for (const {ledger} of concerned) ledger.versioned = false;
    });
  }
}

/** What is counted is what is there. */
async function checkUsage({files}: Instance, wanted: Wanted, where: string): Promise<void> {
  for (const name of distant) {
    const below = wanted.filter(([path, node]) => path.startsWith(`/${name}/`) && !(node instanceof EmptyDirectory));
    // Each name is a file, and has not got bytes of its own for that.
    const lengths = new Map(below.map(([, node]) => [node, node instanceof SeenFile ? node.bytes.last.length : 0]));
    const {files: count, bytes} = await files.usage(`/${name}/` as ByteString, systemContext);
    assert.deepEqual([count, bytes], [below.length, Array.from(lengths.values()).reduce((sum, length) => sum + length, 0)], `${where}: usage of ${name}`);
  }
}

function optionsOf(random: Random): MachineOptions {
  const [small, partial] = [random() < 0.3, random() < 0.5];
  return {
    ...ordinary, ...(small ? {memoryBytes: MiB, diskBytes: 8 * MiB} : {}), ...(partial ? {partialBytesMin: 300_000} : {}),
    attemptsMax: random() < 0.5 ? 1 : 3, distant: random() < 0.7 ? {} : {conditionalWrite: false},
  };
}

/** The stores have just that, a file of several names under one of them; and the cache nothing that must stay. */
async function checkStores(machine: Machine, {runtime, blocks}: Instance, wanted: Wanted, where: string): Promise<void> {
  const stored = new Map<string, Buffer>();
  for (const [path, node] of wanted) {
    if (node instanceof EmptyDirectory && path.startsWith('/home/')) assert.equal((await runtime.disk.stat(`/data${path}`.slice(0, -1))).kind, 'directory', `${where}: ${path} is in its store`);
  }
  for (const name of distant) {
    const {outside} = machine.distant(`mem://${name}`);
    for (const key of outside.keys()) if (!key.endsWith('/') && !key.startsWith('.weir/')) stored.set(`/${name}/${key}`, Buffer.from(outside.bytes(key)!));
  }
  const walk = async (directory: string): Promise<void> => {
    for (const name of await runtime.disk.readDirectory(`/data/${directory}`)) {
      if (name === '.weir') continue;
      const path = `${directory}${name}`;
      const {kind} = await runtime.disk.stat(`/data/${path}`);
      if (kind === 'directory') {
        await walk(`${path}/`);
        continue;
      }
      if (kind !== 'file') continue;
      await using file = await runtime.disk.open(`/data/${path}`, {mode: 'read'});
      const bytes = Buffer.alloc((await file.stat()).size);
      await file.read(bytes, 0);
      stored.set(`/${path}`, bytes);
    }
  };
  await walk('');
  const files = new Map<SeenFile, string[]>();
  for (const [path, node] of wanted) if (node instanceof SeenFile) files.set(node, [...(files.get(node) ?? []), path]);
  for (const [node, paths] of files) {
    const under = paths.filter((path) => stored.has(path));
    assert.equal(under.length, 1, `${where}: ${paths.join(' and ')} is in its store`);
    assert.ok(stored.get(under[0]!)!.equals(node.bytes.last), `${where}: ${under[0]} is in its store`);
    stored.delete(under[0]!);
  }
  assert.deepEqual([...stored.keys()], [], `${where}: the stores have nothing else`);
  assert.deepEqual(await blocks.drafts.left(), [], `${where}: no draft is left`);
}
