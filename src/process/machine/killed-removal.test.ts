/** A file with attributes of its own, of an instance that is killed while it removes it, perhaps before that lasts in its store. The next life looks, then the power fails. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {systemContext} from '#contracts/context.ts';
import {type Instance, Machine} from '#process/machine/fixture.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const path = fromText('/home/a/x');
const stepMs = 0.1;
const steps = 60;

/** What it is marked with as the namespace shows it, or that there is no such file. */
async function look({files, runtime}: Instance): Promise<string> {
  try {
    await files.refresh(fromText('/home/'), systemContext);
    await files.list({directory: fromText('/home/a/'), view: 'children', limit: 10}, systemContext);
    const {inode} = await files.stat(path, {kind: 'file'}, systemContext);
    return Buffer.from(inode.xattrs?.['user.mark'] ?? []).toString();
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
    return 'none';
  } finally {
    await runtime.clock.sleep(2_000);
  }
}

test('a file whose removal was killed is there as it was after power loss, or is not', async () => {
  const seen = new Set<string>();
  for (let step = 0; step < steps; step++) {
    const machine = new Machine(step, randomFrom(step));
    const {simulation} = machine;
    const killed = machine.life(async ({files, runtime}) => {
      await files.makeDirectory(fromText('/home/a/'), {parents: true}, systemContext);
      const writer = await files.create(path, {kind: 'file', parents: 'implied', length: 1, writeType: 'CACHE_THROUGH'}, systemContext);
      await writer.write(Buffer.from('x'));
      await writer.commit({length: 1});
      await files.setAttributes(path, {xattrs: {'user.mark': Buffer.from('mark')}}, {kind: 'file'}, systemContext);
      runtime.clock.after(step * stepMs, () => simulation.kill());
      await files.remove(path, {kind: 'file'}, systemContext);
      await new Promise(() => {});
    });
    await assert.rejects(killed, SimulatedCrash);
    let between = '';
    const next = machine.life(async (instance) => {
      between = await look(instance);
      simulation.crash();
      await new Promise(() => {});
    });
    await assert.rejects(next, SimulatedCrash);
    await machine.life(async (instance) => {
      const after = await look(instance);
      assert.ok(after === 'none' || after === 'mark', `killed after ${step * stepMs} ms: "${between}" before the power failed, "${after}" after`);
      seen.add(`${between}, ${after}`);
    });
  }
  assert.ok(seen.size > 1, [...seen].join('; '));
});
