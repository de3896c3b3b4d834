/**
 * A file that waits for its store, of an instance that is killed while it brings it there: between the rename that gives the store's file its name and the
 * sync of that, too. The next life, which finds it there, forgets the bytes that the cache had; then the power fails.
 */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {systemContext} from '#contracts/context.ts';
import {Machine, settled} from '#process/machine/fixture.test.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const path = fromText('/home/a/x');
const bytes = Buffer.alloc(300_000, 'pending ');
const stepMs = 0.5;
const steps = 40;

test('a file that a killed process has brought to its store survives power loss', async () => {
  let begun = 0;
  for (let step = 0; step < steps; step++) {
    const machine = new Machine(step, randomFrom(step));
    const {simulation} = machine;
    const killed = machine.life(async ({files, master, runtime}) => {
      await files.makeDirectory(fromText('/home/a/'), {parents: true}, systemContext);
      const writer = await files.create(path, {kind: 'file', parents: 'implied', length: bytes.length, writeType: 'ASYNC_THROUGH'}, systemContext);
      await writer.write(bytes);
      await writer.commit({length: bytes.length});
      runtime.clock.after(step * stepMs, () => simulation.kill());
      for (;;) {
        if ((await master.listPending({path: fromText('/'), limit: 1}, systemContext)).entries[0]?.state === 'uploading') begun++;
        await runtime.clock.sleep(stepMs);
      }
    });
    await assert.rejects(killed, SimulatedCrash);
    const next = machine.life(async (instance) => {
      assert.deepEqual(await settled(instance, 60_000), []);
      simulation.crash();
      await new Promise(() => {});
    });
    await assert.rejects(next, SimulatedCrash);
    await machine.life(async ({files}) => {
      await using file = await files.open(path, {range: {offset: 0}}, systemContext);
      assert.equal(file.info.length, bytes.length, `killed after ${step * stepMs} ms`);
    });
  }
  assert.ok(begun > 0, 'some were killed while it was under way');
});
