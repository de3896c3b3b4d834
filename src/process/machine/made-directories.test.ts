/** Directories that a mount makes in the home: answered when they survive the process, lasting with the commit, whatever the store's disk has of them when the power fails. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {systemContext} from '#contracts/context.ts';
import {type Instance, Machine} from '#process/machine/fixture.test.ts';
import {mount} from '#process/machine/ledger.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const seeds = 20;
const [a, b, c] = ['/home/a/', '/home/a/b/', '/home/c/'] as ByteString[] as [ByteString, ByteString, ByteString];

const has = async ({files}: Instance, path: ByteString): Promise<boolean> => await files.stat(path, {kind: 'directory'}, systemContext).then(() => true, (error: unknown) => {
  if (!isKind(error, 'NotFound')) throw error;
  return false;
});

const inStore = async ({disk}: Pick<Instance['runtime'], 'disk'>, path: ByteString): Promise<boolean> => await disk.stat(`/data${path.slice(0, -1)}`).then(() => true, (error: unknown) => {
  if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
  return false;
});

async function diesAfter(machine: Machine, death: 'kill' | 'crash', work: (instance: Instance) => Promise<void>): Promise<void> {
  await assert.rejects(machine.life(async (instance) => {
    await work(instance);
    machine.simulation[death]();
    await new Promise(() => {});
  }), SimulatedCrash);
}

async function made({files}: Instance): Promise<void> {
  for (const path of [a, b, c]) await files.makeDirectory(path, {existing: 'fail'}, mount);
}

async function synced(instance: Instance): Promise<void> {
  await made(instance);
  const {inode} = await instance.files.stat(b, {kind: 'directory'}, mount);
  await instance.files.sync(inode.id, mount);
}

async function begun(seed: number): Promise<Machine> {
  const machine = new Machine(seed, randomFrom(seed));
  await machine.life(async ({files}) => void (await files.makeDirectory('/home/' as ByteString, {}, systemContext)));
  return machine;
}

async function areThere(instance: Instance, where: string): Promise<void> {
  for (const path of [a, b, c]) {
    assert.ok(await has(instance, path), `${where}: ${path} is shown`);
    assert.ok(await inStore(instance.runtime, path), `${where}: the store has ${path}`);
  }
}

test('what was synced survives power loss, also where the store has lost it', async () => {
  let lost = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const machine = await begun(seed);
    await diesAfter(machine, 'crash', synced);
    await machine.simulation.run(async (runtime) => {
      for (const path of [a, b, c]) if (!(await inStore(runtime, path))) lost++;
    });
    await machine.life((instance) => areThere(instance, `seed ${seed}`));
  }
  assert.ok(lost > 0, 'some disks had lost one');
});

test('it is there after a kill, and lasts some seconds later in the store, too', async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const machine = await begun(seed);
    await diesAfter(machine, 'kill', made);
    await diesAfter(machine, 'crash', async (instance) => {
      await areThere(instance, `seed ${seed}, killed`);
      await instance.runtime.clock.sleep(10_000);
    });
    await machine.simulation.run(async (runtime) => {
      for (const path of [a, b, c]) assert.ok(await inStore(runtime, path), `seed ${seed}: ${path}`);
    });
  }
});

test('what is removed, or renamed, is not made again', async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const machine = await begun(seed);
    const moved = '/home/moved/' as ByteString;
    await diesAfter(machine, seed % 2 === 0 ? 'crash' : 'kill', async (instance) => {
      const {files} = instance;
      await made(instance);
      await files.remove(c, {kind: 'directory'}, mount);
      await files.rename(a, moved, {kind: 'directory', replace: false}, mount);
      await files.sync(undefined, mount);
    });
    await machine.life(async (instance) => {
      await instance.runtime.clock.sleep(10_000);
      for (const [path, wanted] of [[a, false], [c, false], [moved, true], [`${moved}b/` as ByteString, true]] as const) {
        assert.equal(await has(instance, path), wanted, `seed ${seed}: ${path}`);
        assert.equal(await inStore(instance.runtime, path), wanted, `seed ${seed}: ${path} in the store`);
      }
    });
  }
});
