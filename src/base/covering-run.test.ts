import assert from 'node:assert/strict';
import {test} from 'node:test';
import {CoveringRun} from '#base/covering-run.ts';

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

test('who asks while a run is under way waits for one that began later, together', async () => {
  const gates: PromiseWithResolvers<void>[] = [];
  let running = 0;
  const work = new CoveringRun(async () => {
    assert.equal(++running, 1, 'one at a time');
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise.finally(() => running--);
  });
  const done: string[] = [];
  const ask = (name: string): Promise<unknown> => work.run().then(() => done.push(name), () => done.push(`${name} failed`));
  const first = ask('first');
  const later = [ask('second'), ask('third')];
  await turn();
  assert.equal(gates.length, 1);
  gates[0]!.reject(new Error('the disk is full'));
  await first;
  await turn();
  assert.deepEqual([done, gates.length], [['first failed'], 2]);
  later.push(ask('fourth'));
  gates[1]!.resolve();
  await Promise.all(later.slice(0, 2));
  await turn();
  assert.deepEqual([done, gates.length], [['first failed', 'second', 'third'], 3]);
  gates[2]!.resolve();
  await later[2];
  assert.equal(done.at(-1), 'fourth');
  const again = ask('again');
  gates[3]!.resolve();
  await again;
  assert.equal(gates.length, 4);
});
