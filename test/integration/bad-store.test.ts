/**
 * A store on a bad day: 500, 503, no answer, bodies cut or stalled in the middle, fewer bytes than promised, another ETag half way,
 * uploads that break off, answers that are lost. What is read is right or an error; what is written is whole or not there, in
 * the bucket and in the namespace alike; when the day is over everything works again. And the same with a cache disk that is full.
 */
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdtemp, rm, statfs, writeFile} from 'node:fs/promises';
import type {IncomingMessage} from 'node:http';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, afterEach, describe, test} from 'node:test';
import {type Stack, startStack, seededRandom} from './harness.ts';
import {type MisbehavingProxy, type Mood, startMisbehavingProxy} from './misbehaving-proxy.ts';
import {encodeKey, type S3Response} from './s3-client.ts';

let proxy: MisbehavingProxy | undefined;
const stack = await startStack('a store on a bad day', {
  mountOptions: ['maxAge=10m', 'partSize=5MiB', 'timeout=3s'],
  between: async port => (proxy = await startMisbehavingProxy(port)).port,
});

if (stack && proxy) describeBadStore(stack, proxy);

function describeBadStore(stack: Stack, proxy: MisbehavingProxy): void {
  const {weir, direct, bucket} = stack;
  let counter = 0;
  /** An object in the bucket that Weir has never seen. */
  const fresh = async (length: number): Promise<{key: string; bytes: Buffer}> => {
    const made = {key: `object ${counter++}`, bytes: randomBytes(length)};
    await direct.put(bucket, made.key, made.bytes);
    // What was learned by listings would say that it is not there, for maxAge.
    await weir.rest('POST', 'refresh', {path: `/${bucket}/`});
    return made;
  };
  const always = (mood: Mood, which: (request: IncomingMessage) => boolean = () => true): void => {
    proxy.spoiled = 0;
    proxy.mood = request => (which(request) ? mood : undefined);
  };
  /** The first `count` requests that it concerns. */
  const first = (count: number, mood: Mood, which: (request: IncomingMessage) => boolean = () => true): void => {
    always(mood, request => proxy.spoiled < count && which(request));
  };
  const get = (key: string, range?: string): Promise<S3Response> => weir.s3.request('GET', `/${bucket}/${encodeKey(key)}`, range ? {headers: {range}} : {});
  const put = (key: string, body: Buffer): Promise<S3Response> => weir.s3.request('PUT', `/${bucket}/${encodeKey(key)}`, {body});
  const isGet = (request: IncomingMessage): boolean => request.method === 'GET' && !request.url!.includes('list-type');
  const isUpload = (request: IncomingMessage): boolean => request.method === 'PUT';
  const isServerError = (status: number): boolean => status >= 500 && status < 600;
  /** A right answer, or an error: never wrong bytes, and no fewer than promised in good order. */
  const rightOrError = (response: S3Response, bytes: Buffer, what: string): 'right' | 'error' => {
    if (response.status !== 200 && response.status !== 206) {
      assert.ok(isServerError(response.status), `${what}: status ${response.status} ${response.code}`);
      return 'error';
    }
    assert.ok(response.body.equals(bytes.subarray(0, response.body.length)), `${what}: wrong bytes`);
    if (response.broken) return 'error';
    assert.equal(response.body.length, bytes.length, `${what}: too few bytes in good order`);
    return 'right';
  };

  describe('a store on a bad day', () => {
    afterEach(() => void (proxy.mood = () => undefined));
    after(async () => {
      direct.close();
      await stack[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    });

    for (const status of [500, 503]) {
      test(`${status} now and then is not seen by readers and writers`, async () => {
        const {key, bytes} = await fresh(3 << 20);
        first(2, {kind: 'status', status});
        assert.equal(rightOrError(await get(key), bytes, 'read'), 'right');
        assert.equal(proxy.spoiled, 2);
        first(1, {kind: 'status', status}, request => request.url!.includes('list-type'));
        assert.ok((await weir.s3.keys(bucket)).includes(key));
      });

      test(`${status} for good is an error, and forgotten when it is over`, async () => {
        const {key, bytes} = await fresh(400_000);
        const known = await fresh(400_000);
        assert.equal(rightOrError(await get(known.key), known.bytes, 'read'), 'right');
        always({kind: 'status', status});
        const refused = await get(key);
        assert.ok(isServerError(refused.status), `${refused.status} ${refused.code}`);
        assert.equal(rightOrError(await get(known.key), known.bytes, 'what is cached'), 'right');
        const written = await put(`refused ${status}`, bytes);
        assert.ok(isServerError(written.status), `${written.status} ${written.code}`);
        proxy.mood = () => undefined;
        assert.equal((await get(`refused ${status}`)).status, 404);
        assert.equal(rightOrError(await get(key), bytes, 'afterwards'), 'right');
        assert.ok((await weir.s3.keys(bucket)).includes(key), 'a failed listing is not remembered');
        assert.equal((await put(`refused ${status}`, bytes)).status, 200);
      });
    }

    test('bodies that are cut in the middle', async () => {
      const outcomes: Record<string, number> = {};
      for (const afterBytes of [0, 1, 1000, 65_536, 200_000, 1_000_000]) {
        const {key, bytes} = await fresh(2_500_000);
        first(1, {kind: 'cut', afterBytes}, isGet);
        const outcome = rightOrError(await get(key), bytes, `cut after ${afterBytes}`);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        assert.equal(proxy.spoiled, 1);
        assert.equal(rightOrError(await get(key), bytes, 'again'), 'right');
        always({kind: 'cut', afterBytes}, isGet);
        const other = await fresh(2_500_000);
        rightOrError(await get(other.key), other.bytes, `always cut after ${afterBytes}`);
        proxy.mood = () => undefined;
        assert.equal(rightOrError(await get(other.key), other.bytes, 'again'), 'right');
        assert.equal(rightOrError(await get(other.key), other.bytes, 'cached'), 'right');
      }
      assert.ok((outcomes['right'] ?? 0) > 0, JSON.stringify(outcomes));
    });

    test('fewer bytes than were promised', async () => {
      for (const missingBytes of [1, 4096, 100_000]) {
        const {key, bytes} = await fresh(700_000);
        always({kind: 'fewer', missingBytes}, isGet);
        const response = await get(key);
        if (response.status === 200 && !response.broken) assert.ok(response.body.equals(bytes), `${missingBytes} missing: answered ${response.body.length} bytes as if all was well`);
        else rightOrError(response, bytes, `${missingBytes} missing`);
        proxy.mood = () => undefined;
        assert.equal(rightOrError(await get(key), bytes, 'again'), 'right');
      }
    });

    test('another ETag half way', async () => {
      const {key, bytes} = await fresh(60 << 20);
      let seen = 0;
      proxy.mood = request => (isGet(request) && ++seen > 1 ? {kind: 'etag', etag: '"0123456789abcdef0123456789abcdef"'} : undefined);
      const response = await get(key);
      assert.ok(seen > 1, 'it was fetched by one request; make the object larger');
      assert.equal(rightOrError(response, bytes, 'under a changing ETag'), 'error');
      proxy.mood = () => undefined;
      assert.equal(rightOrError(await get(key), bytes, 'again'), 'right');
    });

    test('uploads that break off, and answers that are lost, leave no half object and no lie', async () => {
      const moods: Mood[] = [{kind: 'status', status: 500}, {kind: 'status', status: 503}, {kind: 'lose-answer'}, {kind: 'cut-upload', afterBytes: 0}, {kind: 'cut-upload', afterBytes: 300_000}];
      for (const length of [1000, 900_000, 12 << 20]) {
        for (const mood of moods) {
          const key = `put ${length} ${JSON.stringify(mood)}`;
          const [before, bytes] = [randomBytes(5000), randomBytes(length)];
          for (const old of [undefined, before]) {
            const name = `${key} ${old ? 'over' : 'new'}`;
            if (old) assert.equal((await put(name, old)).status, 200);
            always(mood, isUpload);
            const response = await put(name, bytes);
            proxy.mood = () => undefined;
            const shown = await weir.s3.get(bucket, name);
            const stored = await direct.get(bucket, name);
            const [shownIs, storedIs] = [shown, stored].map(found => (found === undefined ? 'absent' : found.equals(bytes) ? 'new' : old && found.equals(old) ? 'old' : 'wrong'));
            if (response.status === 200) assert.equal(storedIs, 'new', `${name}: acknowledged, and the bucket's is ${storedIs}`);
            else assert.ok(isServerError(response.status), `${name}: ${response.status} ${response.code}`);
            assert.notEqual(storedIs, 'wrong', `${name}: half an object in the bucket`);
            assert.equal(shownIs, storedIs, `${name}: the bucket's is ${storedIs} and Weir shows ${shownIs} (answered ${response.status})`);
            assert.equal((await put(name, bytes)).status, 200, `${name}: afterwards`);
            assert.deepEqual(await direct.get(bucket, name), bytes);
          }
        }
      }
    });

    test('a failure at every second request, at random: what is acknowledged is there', async () => {
      const random = seededRandom(20261121);
      const moods: Mood[] = [{kind: 'status', status: 500}, {kind: 'status', status: 503}, {kind: 'lose-answer'}, {kind: 'cut', afterBytes: 500}, {kind: 'cut-upload', afterBytes: 100}];
      proxy.mood = () => (random() < 0.5 ? moods[Math.floor(random() * moods.length)] : undefined);
      const acknowledged = new Map<string, Buffer>();
      for (let i = 0; i < 25; i++) {
        const bytes = randomBytes(1 + Math.floor(random() * 200_000));
        const response = await put(`random/${i}`, bytes);
        if (response.status === 200) acknowledged.set(`random/${i}`, bytes);
        if (i % 3 === 0) rightOrError(await get([...acknowledged.keys()][0] ?? 'object 0'), [...acknowledged.values()][0] ?? (await direct.get(bucket, 'object 0'))!, 'read meanwhile');
      }
      proxy.mood = () => undefined;
      for (const [key, bytes] of acknowledged) {
        assert.ok((await direct.get(bucket, key))?.equals(bytes), `${key} in the bucket`);
        assert.ok((await weir.s3.get(bucket, key))?.equals(bytes), `${key} through Weir`);
      }
      for (const key of await weir.s3.keys(bucket, 'random/')) assert.ok((await weir.s3.get(bucket, key))?.equals((await direct.get(bucket, key))!), key);
    });

    test('no answer, and answers that stall: readers wait for the timeout and then get all of it, or an error', {timeout: 120_000}, async () => {
      const [silent, stalled, given] = [await fresh(900_000), await fresh(900_000), await fresh(900_000)];
      const moods = new Map<string, Mood>([[silent.key, {kind: 'hang'}], [stalled.key, {kind: 'stall', afterBytes: 300_000}], [given.key, {kind: 'hang'}]]);
      proxy.mood = request => {
        const key = decodeURIComponent(request.url!.slice(bucket.length + 2).split('?')[0]!);
        const mood = moods.get(key);
        moods.delete(key);
        return mood;
      };
      const impatient = weir.s3.request('GET', `/${bucket}/${encodeKey(given.key)}`, {signal: AbortSignal.timeout(500)}).catch((error: unknown) => error);
      const [one, two] = await Promise.all([get(silent.key), get(stalled.key), impatient]);
      rightOrError(one, silent.bytes, 'no answer');
      rightOrError(two, stalled.bytes, 'stalled');
      for (const {key, bytes} of [silent, stalled, given]) assert.equal(rightOrError(await get(key), bytes, 'again'), 'right');
    });

    test('an open connection that the link cuts', async () => {
      const {key, bytes} = await fresh(40 << 20);
      const reading = get(key);
      await new Promise(resolve => setTimeout(resolve, 40));
      stack.link.cutAll();
      rightOrError(await reading, bytes, 'cut');
      assert.equal(rightOrError(await get(key), bytes, 'again'), 'right');
    });
  });
}

test('a full cache disk makes the cache a pipe: reads and writes are right', async context => {
  const small = await mkdtemp(path.join(tmpdir(), 'weir-small-'));
  let mounted = false;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', small], {stdio: 'ignore'});
    mounted = true;
  } catch {
    context.diagnostic('no right to mount a small disk: a quota takes its place');
  }
  try {
    await using stack = await startStack('a full cache disk', {mountOptions: ['maxAge=10m'], args: ['--disk', `${small}:${mounted ? '1GiB' : '12MiB'}`]});
    if (!stack) return context.skip('no S3 server');
    const {weir, direct, bucket} = stack;
    const objects = [300, 100_000, 3 << 20, 9 << 20, 20 << 20].map((length, i) => ({key: `full/${i}`, bytes: randomBytes(length)}));
    for (const {key, bytes} of objects) await direct.put(bucket, key, bytes);
    for (let round = 0; round < 3; round++) {
      for (const {key, bytes} of objects) assert.ok((await weir.s3.get(bucket, key))?.equals(bytes), `${key}, round ${round}`);
      for (const {key, bytes} of objects) {
        await weir.s3.put(bucket, `${key} written`, bytes);
        assert.ok((await direct.get(bucket, `${key} written`))?.equals(bytes), `${key} written`);
      }
      if (mounted && round === 0) {
        // The rest of the disk is taken by somebody else.
        const {bavail, bsize} = await statfs(small);
        await writeFile(path.join(small, 'somebody else'), Buffer.alloc(Number(bavail) * Number(bsize) + 1)).catch(() => {});
      }
      if (round === 1) await weir.restart('SIGKILL');
    }
    direct.close();
  } finally {
    if (mounted) execFileSync('umount', ['-l', small]);
    await rm(small, {recursive: true, force: true});
  }
});
