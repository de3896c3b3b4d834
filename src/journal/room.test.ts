/** Room behind the last record, which is there so that a sync has no file to make longer. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {WeirError} from '#base/errors.ts';
import {ChangeLog} from '#journal/change-log.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {createSimulation, type Simulation} from '#runtime/sim/simulation.ts';

const directory = '/log';
const file = `${directory}/0000000000000001.log`;
const record = Buffer.from('a record');

/** One life; answers what was there when it began. */
async function life(simulation: Simulation, work: (log: ChangeLog, size: () => Promise<number>) => Promise<void>): Promise<{readonly records: number; readonly warnings: number}> {
  const found = {records: 0, warnings: 0};
  await simulation.run(async (runtime) => {
    await runtime.disk.makeDirectory(directory, {recursive: true});
    await runtime.disk.syncDirectory('/');
    const watched = {...runtime, log: {...runtime.log, warn: () => void found.warnings++}};
    const log = await ChangeLog.open(watched, {directory, after: 0, beginsHere: true, onRecord: () => void found.records++});
    await work(log, async () => (await runtime.disk.stat(file)).size);
    await log.close();
  });
  return found;
}

function bound(target: DiskFile, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'function' ? value.bind(target) : value;
}

const append = (log: ChangeLog, awaited?: 'safe') => log.append(record.length, (buffer, at) => at + record.copy(buffer, at), awaited);

test('a file does not grow while records are synced, and has no room left when it is closed', async () => {
  const simulation = createSimulation(1);
  await life(simulation, async (log, size) => {
    await append(log).durable;
    const first = await size();
    for (let i = 0; i < 100; i++) await append(log).durable;
    assert.equal(await size(), first);
    assert.ok(first > log.bytes);
  });
  const found = await life(simulation, async (log, size) => assert.equal(await size(), log.bytes));
  assert.deepEqual(found, {records: 101, warnings: 0});
});

test('a disk that is too full for room takes records all the same', async () => {
  const simulation = createSimulation(3);
  await simulation.run(async (runtime) => {
    await runtime.disk.makeDirectory(directory, {recursive: true});
    let refused = 0;
    const full = (opened: DiskFile): DiskFile => new Proxy(opened, {
      get: (target, name) => {
        if (name !== 'write') return bound(target, name);
        return async (buffers: readonly Uint8Array[], position: number) => {
          if (buffers[0]!.length < 65_536) return await target.write(buffers, position);
          refused++;
          await target.write([buffers[0]!.subarray(0, 5_000)], position);
          throw new WeirError('NoSpace', 'the disk is full');
        };
      },
    });
    const disk = {...runtime.disk, open: async (...args: Parameters<Disk['open']>) => full(await runtime.disk.open(...args))};
    await using log = await ChangeLog.open({...runtime, disk}, {directory, after: 0, beginsHere: true, onRecord: () => undefined});
    for (let i = 0; i < 3; i++) await append(log).durable;
    assert.equal((await runtime.disk.stat(file)).size, log.bytes);
    assert.equal(refused, 1);
  });
  assert.deepEqual(await life(simulation, async () => undefined), {records: 3, warnings: 0});
});

for (const end of ['kill', 'crash'] as const) {
  test(`records are found before the room that a ${end} leaves, and go on there`, async () => {
    const simulation = createSimulation(2);
    let sequence = 0;
    for (let round = 0; round < 3; round++) {
      await assert.rejects(life(simulation, async (log) => {
        assert.equal(log.sequence, sequence);
        append(log, 'safe');
        await append(log).durable;
        sequence += 2;
        simulation[end]();
        await new Promise(() => {});
      }), SimulatedCrash);
    }
    const found = await life(simulation, async (log, size) => assert.ok((await size()) > log.bytes, 'the room of the life before is used'));
    assert.deepEqual(found, {records: 6, warnings: 0});
  });
}
