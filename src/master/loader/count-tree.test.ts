import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import {bytes, context, mountBucket, put, requestsOf, World} from '#master/fixture.test.ts';

test('what lies below a directory is counted, loaded where it is not known, in slices', async () => {
  const world = new World(2);
  const bucket = world.store('mem://bucket/');
  const inner = world.store('mem://inner/');
  for (let i = 0; i < 1_700; i++) bucket.outside.put(bytes(`x/d${i % 7}/f${i}`), Buffer.from('abc'));
  inner.outside.put(bytes('deep/k'), Buffer.from('12345'));
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await put(master, '/b/x/own', 'four');
    await mountBucket(master, 'maxAge=60s', '/b/x/inner', 'mem://inner/');
    let turns = 0;
    const {clock} = runtime;
    const pause = clock.yield.bind(clock);
    clock.yield = async () => {
      turns++;
      await pause();
    };
    const expected = {files: 1_702, directories: 7 + 2, bytes: 1_700 * 3 + 4 + 5};
    assert.deepEqual(await master.usage(bytes('/b/x/'), context), expected);
    assert.ok(turns >= 3, 'others have their turn');
    const asked = requestsOf(bucket);
    assert.deepEqual(await master.usage(bytes('/b/x'), context), expected);
    assert.equal(requestsOf(bucket), asked, 'what is fresh is not asked for');
    assert.deepEqual(await master.usage(bytes('/b/x/d1/'), context), {files: 243, directories: 0, bytes: 729});
    await assert.rejects(master.usage(bytes('/b/x/own'), context), error => isKind(error, 'NotADirectory'));
    await assert.rejects(master.usage(bytes('/b/none'), context), error => isKind(error, 'NotFound'));
    const stop = new AbortController();
    stop.abort(new Error('gone'));
    await assert.rejects(master.usage(bytes('/b/x/'), {...context, signal: stop.signal}), /gone/);
  });
});
