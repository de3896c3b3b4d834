import assert from 'node:assert/strict';
import {test} from 'node:test';
import {SingleFlight} from '#master/loader/single-flight.ts';

test('callers share one question, a failure is remembered by nobody', async () => {
  const flights = new SingleFlight<number>();
  let asked = 0;
  const never = new AbortController().signal;
  const fail = async (): Promise<number> => {
    asked++;
    await Promise.resolve();
    throw new Error('store is away');
  };
  const both = await Promise.allSettled([flights.run('k', never, fail), flights.run('k', never, fail)]);
  assert.deepEqual(both.map(result => result.status), ['rejected', 'rejected']);
  assert.equal(asked, 1);
  assert.equal(await flights.run('k', never, async () => 5), 5);
  assert.equal(flights.count, 0);
});

test('the question ends with its last caller, not with its first', async () => {
  const flights = new SingleFlight<number>();
  const {promise, resolve} = Promise.withResolvers<number>();
  let cancelled = false;
  const ask = (signal: AbortSignal): Promise<number> => {
    signal.addEventListener('abort', () => (cancelled = true));
    return promise;
  };
  const first = new AbortController();
  const second = new AbortController();
  const a = flights.run('k', first.signal, ask);
  const b = flights.run('k', second.signal, ask);
  first.abort(new Error('gone'));
  await assert.rejects(a, /gone/);
  assert.equal(cancelled, false);
  second.abort(new Error('gone too'));
  await assert.rejects(b, /gone too/);
  assert.equal(cancelled, true);
  resolve(1);
});
