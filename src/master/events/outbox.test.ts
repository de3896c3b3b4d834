/** The bound of the outbox. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {append, backlog, delivered, forgetQueue, stateOf, waiting} from '#master/events/outbox.ts';
import {bytes, World} from '#master/fixture.test.ts';
import type {BucketEvent} from '#model/notification.ts';

const event = (sequence: number): BucketEvent => ({
  name: 'ObjectCreated:Put', bucket: bytes('b'), key: bytes(`k${sequence}`), configurationId: 'c', time: 5n, sequence, principal: 'p', remote: '', requestId: '', owner: 'o',
});

test('the oldest event is given up when too many newer ones have come, and counted; those already delivered are not', async () => {
  await new World().simulation.run(async runtime => {
    await using metastore = await new World().metastore(runtime);
    const run = (fn: Parameters<typeof metastore.transact<void>>[0]) => void metastore.transact(fn);
    for (let i = 0; i < 5; i++) run(tx => append(tx, 'hook', event(i), 3));
    const shown = () => metastore.read(reader => waiting(reader, 'hook', 10).map(({event: {sequence}}) => sequence)).result;
    assert.deepEqual(shown(), [2, 3, 4]);
    assert.deepEqual(metastore.read(reader => [stateOf(reader, 'hook').dropped, backlog(reader, 'hook')]).result, [2, 3]);
    run(tx => delivered(tx, 'hook', [2]));
    run(tx => append(tx, 'hook', event(5), 3));
    assert.deepEqual([shown(), metastore.read(reader => stateOf(reader, 'hook').dropped).result], [[3, 4, 5], 2]);
    run(tx => append(tx, 'other', event(9), 3));
    for (const done of [false, true]) run(tx => assert.equal(forgetQueue(tx, 'hook', 2), done));
    assert.deepEqual([shown(), metastore.read(reader => [stateOf(reader, 'hook').next, backlog(reader, 'other')]).result], [[], [0, 1]]);
  });
});
