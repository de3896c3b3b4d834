/** Room behind the last record, which is there so that a sync has no file to make longer. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {ChangeLog} from '#journal/change-log.ts';
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
