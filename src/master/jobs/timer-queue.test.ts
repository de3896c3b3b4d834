import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import {ChangeFeed} from '#master/change-feed.ts';
import {World} from '#master/fixture.test.ts';
import {type Task, TimerQueue} from '#master/jobs/timer-queue.ts';
import {listTimers, setTimer} from '#master/namespace/timers.ts';
import {Transactions} from '#master/transactions.ts';
import type {Runtime} from '#runtime/runtime.ts';

const minuteMs = 60_000;
const set = async (transactions: Transactions, subject: number, dueMs: number): Promise<void> => {
  await transactions.changeOwn(tx => setTimer(tx, {kind: 'lifecycle', subject: subject as InodeId, dueMs}));
};

/** One life of a queue. */
async function life(world: World, handler: (task: Task, transactions: Transactions) => Promise<number | undefined>, fn: (transactions: Transactions, runtime: Runtime) => Promise<void>): Promise<void> {
  await world.simulation.run(async runtime => {
    const metastore = await world.metastore(runtime);
    const transactions = new Transactions(metastore, runtime.clock, new ChangeFeed(runtime.clock));
    const queue = new TimerQueue(transactions, runtime, {lifecycle: task => handler(task, transactions)});
    queue.start();
    await fn(transactions, runtime);
    await queue.close();
    await metastore.close();
  });
}

test('tasks run when they are due, in that order, and are due again when they say so', async () => {
  const ran: [number, number][] = [];
  let from = 0;
  await life(new World(), async ({timer}, transactions) => {
    ran.push([timer.subject, Math.floor((transactions.now() - from) / minuteMs)]);
    return timer.subject === 1 && ran.length < 4 ? transactions.now() + 90 * minuteMs : undefined;
  }, async (transactions, {clock}) => {
    from = transactions.now();
    await set(transactions, 1, from + 10 * minuteMs);
    await set(transactions, 2, from + 5 * minuteMs);
    await set(transactions, 3, from - 1);
    await clock.sleep(300 * minuteMs);
    assert.deepEqual(transactions.peek(listTimers), []);
  });
  assert.deepEqual(ran, [[3, 1], [2, 5], [1, 10], [1, 100]]);
});

test('what a task has noted is there in the next life; what fails is tried again, from there', async () => {
  const world = new World();
  const seen: unknown[] = [];
  const progress = {startedAt: 7, after: 'k' as never};
  await life(world, async ({note}) => {
    await note(progress);
    throw new Error('the store does not answer');
  }, async (transactions, {clock}) => {
    await set(transactions, 1, 0);
    await clock.sleep(2 * minuteMs);
    assert.deepEqual(transactions.peek(listTimers).map(timer => timer.progress), [progress]);
  });
  await life(world, async ({timer}) => void seen.push(timer.progress), async (transactions, {clock}) => {
    await clock.sleep(5 * minuteMs);
    assert.deepEqual(seen, [], 'not at once');
    await clock.sleep(10 * minuteMs);
    assert.deepEqual([seen, transactions.peek(listTimers)], [[progress], []]);
  });
});

test('a task that is set anew while it runs ends at its next note, and begins anew', async () => {
  const seen: unknown[] = [];
  let ended = false;
  await life(new World(), async ({timer, note}, transactions) => {
    seen.push(timer.progress);
    if (seen.length > 1) return undefined;
    await note({startedAt: 1});
    await set(transactions, 1, 0);
    await note({startedAt: 2});
    ended = true;
    return undefined;
  }, async (transactions, {clock}) => {
    await set(transactions, 1, 0);
    await clock.sleep(5 * minuteMs);
    assert.deepEqual([seen, ended, transactions.peek(listTimers)], [[undefined, undefined], false, []]);
  });
});
