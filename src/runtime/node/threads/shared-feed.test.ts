import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {FeedFollower, FeedPublisher} from '#runtime/node/threads/shared-feed.ts';
import {countersIn, SharedCounters} from '#runtime/node/threads/shared-counters.ts';
import {nodeMetrics} from '#runtime/node/node-metrics.ts';

describe('a feed', () => {
  it('is taken whole and in order, in the turn in which it was published', () => {
    using feed = new FeedPublisher<{readonly text: string}>();
    const follower = new FeedFollower<{readonly text: string}>(feed.end);
    assert.deepEqual(follower.take(), []);
    feed.publish({text: 'one'});
    feed.publish({text: 'two'});
    assert.deepEqual(follower.take().map(({text}) => text), ['one', 'two']);
    assert.deepEqual(follower.take(), []);
    for (let i = 0; i < 1000; i++) feed.publish({text: String(i)});
    assert.equal(follower.take().length, 1000);
  });
});

describe('counters of threads', () => {
  it('are rendered with those of the main thread, and go on when another takes the place', async () => {
    const metrics = nodeMetrics();
    metrics.counter('weir_a_total', 'A.').add(5);
    const places = [new SharedCounters(metrics), new SharedCounters(metrics)];
    for (let life = 0; life < 3; life++) {
      for (const place of places) {
        const counters = countersIn(place.memory, (counter) => place.begun(counter));
        counters.counter('weir_a_total', 'A.').add();
        counters.counter('weir_b_total', 'B.', {kind: 'x'}).add(2);
        counters.counter('weir_a_total', 'A.').add();
      }
    }
    const text = await metrics.render();
    assert.match(text, /^weir_a_total 17$/m);
    assert.match(text, /^weir_b_total\{kind="x"\} 12$/m);
  });
});
