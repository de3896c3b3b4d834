import assert from 'node:assert/strict';
import {once} from 'node:events';
import {describe, it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {JobRunner, type JobWork} from '#master/jobs/job-runner.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const stubborn = (failures: number, told: string[]): JobWork => ({
  kind: 'move',
  path: '/b/a' as ByteString,
  run: async (signal) => {
    if (!signal.aborted) await once(signal, 'abort');
    signal.throwIfAborted();
  },
  abandon: () => (failures-- > 0 ? Promise.reject(new WeirError('Unavailable', 'the store is away')) : Promise.resolve(void told.push('abandoned'))),
  end: () => void told.push('ended'),
});

describe('a job', () => {
  it('that cannot be cancelled says why, and is when it can be', async () => {
    const simulation = createSimulation(1);
    await simulation.run(async (runtime) => {
      const runner = new JobRunner(runtime);
      const told: string[] = [];
      runner.start(1, stubborn(3, told));
      await assert.rejects(runner.cancel(1), /the store is away/);
      assert.deepEqual(runner.list().map(({state, lastError}) => [state, lastError]), [['failed', 'the store is away']]);
      assert.equal(await runner.ended(1), 'cancelled');
      assert.deepEqual([told, runner.list()], [['abandoned', 'ended'], []]);
      await runner.close();
    });
  });

  it('that is being cancelled does not hold up the end of the process', async () => {
    const simulation = createSimulation(1);
    await simulation.run(async (runtime) => {
      const runner = new JobRunner(runtime);
      const told: string[] = [];
      runner.start(1, stubborn(Infinity, told));
      await assert.rejects(runner.cancel(1), /the store is away/);
      const ended = runner.ended(1);
      await runner.close();
      assert.deepEqual([await ended, told], ['process ended', []]);
    });
  });
});
