import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, requestsOf, World} from '#master/fixture.test.ts';

const text = (value: string): Uint8Array => Buffer.from(value);
const kind = (...kinds: Parameters<typeof isKind>[1][]) => (error: unknown): boolean => isKind(error, ...kinds);

test('what is in a bucket is found, once per maxAge, with one request an object', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  bucket.outside.put(bytes('dir/a.txt'), text('one'), {'content-type': 'text/plain'});
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const before = requestsOf(bucket);
    const info = await master.stat(bytes('/b/dir/a.txt'), {kind: 'file'}, context);
    assert.equal(info.length, 3);
    assert.equal(info.inode.content?.metadata['content-type'], 'text/plain');
    assert.equal(requestsOf(bucket) - before, 1);
    for (let i = 0; i < 5; i++) await master.stat(bytes('/b/dir/a.txt'), {kind: 'file'}, context);
    assert.equal(requestsOf(bucket) - before, 1, 'zero requests within maxAge');
    await assert.rejects(master.stat(bytes('/b/dir/none'), {kind: 'file'}, context), kind('NotFound'));
    await assert.rejects(master.stat(bytes('/b/dir/none'), {kind: 'file'}, context), kind('NotFound'));
    assert.equal(requestsOf(bucket) - before, 2, 'absence is remembered likewise');

    bucket.outside.put(bytes('dir/a.txt'), text('second'));
    bucket.outside.put(bytes('dir/none'), text('here now'));
    assert.equal((await master.stat(bytes('/b/dir/a.txt'), {kind: 'file'}, context)).length, 3, 'believed until then');
    await runtime.clock.sleep(61_000);
    const changed = await master.stat(bytes('/b/dir/a.txt'), {kind: 'file'}, context);
    assert.equal(changed.length, 6);
    assert.notEqual(changed.inode.id, info.inode.id, 'replaced from elsewhere: a new inode');
    assert.equal((await master.stat(bytes('/b/dir/none'), {kind: 'file'}, context)).length, 8);
    assert.equal(requestsOf(bucket) - before, 4);

    bucket.outside.remove(bytes('dir/a.txt'));
    await runtime.clock.sleep(61_000);
    await assert.rejects(master.stat(bytes('/b/dir/a.txt'), {kind: 'file'}, context), kind('NotFound'));
    await runtime.clock.sleep(1_000);
  });
  assert.equal(world.dropped.length, 2, 'the caches heard of both versions that are gone');
});

test('a symbolic link stays in a mount whose store has none, until the store has an object of its name', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await master.makeSymlink(bytes('/b/link'), bytes('target'), context);
    for (let i = 0; i < 3; i++) {
      await runtime.clock.sleep(61_000);
      assert.equal((await master.stat(bytes('/b/link'), {kind: 'file'}, context)).inode.target, 'target');
      await master.refresh(bytes('/b'), context);
      assert.deepEqual((await master.list({directory: bytes('/b'), view: 'children', limit: 10}, context)).entries.map(({key}) => key), ['link']);
    }
    bucket.outside.put(bytes('link'), text('an object'));
    await runtime.clock.sleep(61_000);
    assert.equal((await master.stat(bytes('/b/link'), {kind: 'file'}, context)).length, 9);
  });
});

test('always asks each time, immutable never again', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  bucket.outside.put(bytes('k'), text('1'));
  await world.life(async master => {
    await mountBucket(master, 'always');
    await master.stat(bytes('/b/k'), {kind: 'file'}, context);
    bucket.outside.put(bytes('k'), text('22'));
    assert.equal((await master.stat(bytes('/b/k'), {kind: 'file'}, context)).length, 2);
    await master.updateMount(bytes('/b'), {freshness: {kind: 'immutable'}}, context);
    bucket.outside.put(bytes('k'), text('333'));
    const before = requestsOf(bucket);
    assert.equal((await master.stat(bytes('/b/k'), {kind: 'file'}, context)).length, 2);
    assert.equal(requestsOf(bucket), before);
    await master.refresh(bytes('/b/k'), context);
    assert.equal((await master.stat(bytes('/b/k'), {kind: 'file'}, context)).length, 3);
  });
});

test('an answer that comes late does not take the place of a later one', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  const [changed, made, removed] = [bytes('/b/changed'), bytes('/b/made'), bytes('/b/removed')];
  for (const name of ['changed', 'removed']) bucket.outside.put(bytes(name), text('1'));
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'maxAge=1ms');
    const asked = clock.steadyMs();
    const describe = (name: string) => {
      const {metadata = {}, ...object} = bucket.outside.object(bytes(name))!;
      return {...object, metadata};
    };
    const [first, gone] = [describe('changed'), describe('removed')];
    await clock.sleep(10);
    for (const name of ['changed', 'made']) bucket.outside.put(bytes(name), text('22'));
    bucket.outside.remove(bytes('removed'));
    assert.equal((await master.stat(changed, {}, context)).length, 2);
    assert.equal((await master.stat(made, {}, context)).length, 2);
    await assert.rejects(master.stat(removed, {}, context), kind('NotFound'));
    assert.equal((await master.observe(changed, {startedAt: asked, object: first}, context)).length, 2);
    assert.equal((await master.observe(made, {startedAt: asked}, context)).length, 2);
    await assert.rejects(master.observe(removed, {startedAt: asked, object: gone}, context), kind('NotFound'));
  });
});

test('an unknown key is opened without a round trip, and observed', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  bucket.outside.put(bytes('x/y'), text('1'), {'content-type': 'a/b'});
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const before = requestsOf(bucket);
    const opened = await master.open(bytes('/b/x/y'), {}, context);
    assert.ok('unknown' in opened);
    assert.equal(opened.unknown.storeKey, 'x/y');
    assert.equal(requestsOf(bucket), before);
    const object = bucket.outside.object(bytes('x/y'))!;
    const info = await master.observe(bytes('/b/x/y'), {startedAt: runtime.clock.nowMs(), object: {...object, metadata: object.metadata!}}, context);
    assert.equal(info.length, 1);
    assert.ok('known' in (await master.open(bytes('/b/x/y'), {}, context)));
    await assert.rejects(master.observe(bytes('/b/x/z'), {startedAt: runtime.clock.nowMs()}, context), kind('NotFound'));
    await assert.rejects(master.open(bytes('/b/x/z'), {}, context), kind('NotFound'), 'absence was learned too');
    // A listed file is opened like an unknown one: the listing did not bring its headers.
    bucket.outside.put(bytes('x/w'), text('1'));
    await master.refresh(bytes('/b/'), context);
    assert.deepEqual(await keys(master, '/b/', {delimiter: '/', prefix: 'x/'}), ['x/w', 'x/y']);
    assert.ok('unknown' in (await master.open(bytes('/b/x/w'), {}, context)));
    assert.ok('known' in (await master.open(bytes('/b/x/y'), {}, context)));
  });
});

test('what is written is in the bucket and in the namespace, with conditions', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const info = await put(master, '/b/d/new', 'body', {metadata: {'content-type': 'x/y'}});
    assert.equal(info.inode.content?.metadata['content-type'], 'x/y');
    assert.equal(Buffer.from(bucket.outside.bytes(bytes('d/new'))!).toString(), 'body');
    await assert.rejects(put(master, '/b/d/new', 'again', {precondition: {ifNoneMatch: '*'}}), kind('PreconditionFailed'));
    await put(master, '/b/d/new', 'again', {precondition: {ifMatch: info.inode.content!.etag}});
    await assert.rejects(put(master, '/b/d/new', 'third', {precondition: {ifMatch: info.inode.content!.etag}}), kind('PreconditionFailed'));
    await master.remove(bytes('/b/d/new'), {kind: 'file'}, context);
    assert.deepEqual(bucket.outside.keys(), []);
    await assert.rejects(master.stat(bytes('/b/d/'), {}, context), kind('NotFound'), 'implied directories vanish');
    await runtime.clock.sleep(1000);
  });
});

test('a failing store fails the call and is believed in nothing', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  for (let i = 0; i < 2500; i++) bucket.outside.put(bytes(`k${String(i).padStart(5, '0')}`), text('x'));
  let failing = false;
  const {Proxy: P} = globalThis;
  world.wrap = store => new P(store, {get: (target, name) => {
    const value: unknown = Reflect.get(target, name, target);
    if (typeof value !== 'function') return value;
    return (...args: unknown[]) => {
      if (failing && (name === 'list' || name === 'stat') && target === bucket) return Promise.reject(new Error('store is down'));
      return (value as (...a: unknown[]) => unknown).apply(target, args);
    };
  }});
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const page = await master.list({directory: bytes('/b/'), view: 'keys', limit: 1000}, context);
    assert.equal(page.entries.length, 1000);
    failing = true;
    await assert.rejects(master.list({directory: bytes('/b/'), view: 'keys', limit: 1000, after: page.next!}, context), /down/);
    await assert.rejects(master.stat(bytes('/b/k02000'), {kind: 'file'}, context), /down/);
    failing = false;
    assert.equal((await keys(master, '/b/')).length, 2500);
    await runtime.clock.sleep(61_000);
    failing = true;
    await assert.rejects(keys(master, '/b/'), /down/);
    failing = false;
    assert.equal((await keys(master, '/b/')).length, 2500, 'nothing vanished because a listing failed');
  });
});

test('a large prefix is answered page by page, listed once per maxAge', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  for (let i = 0; i < 20_000; i++) bucket.outside.put(bytes(`p/${i % 10}/k${String(i).padStart(6, '0')}`), text('x'));
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const before = bucket.counters.requests.list;
    await master.list({directory: bytes('/b/'), view: 'keys', limit: 100}, context);
    assert.equal(bucket.counters.requests.list - before, 1, 'the first page needs one page of the store');
    assert.equal((await keys(master, '/b/')).length, 20_000);
    const once = bucket.counters.requests.list - before;
    assert.ok(once <= 22, `${once} requests for 20 pages`);
    assert.equal((await keys(master, '/b/')).length, 20_000);
    assert.deepEqual(await keys(master, '/b/', {delimiter: '/', prefix: 'p/', limit: 3}), Array.from({length: 10}, (_, i) => `p/${i}/`));
    assert.equal(bucket.counters.requests.list - before, once, 'listed once; delimited views come of the same knowledge');
    bucket.outside.remove(bytes('p/3/k000003'));
    bucket.outside.put(bytes('p/3/k000003+'), text('y'));
    await runtime.clock.sleep(61_000);
    const again = await keys(master, '/b/', {prefix: 'p/3/'});
    assert.equal(again.length, 2000);
    assert.equal(again[0], 'p/3/k000003+');
  });
});

test('what a page of a directory holds may be believed as long as the listing that told it', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  for (let i = 0; i < 2500; i++) bucket.outside.put(bytes(`p/k${String(i).padStart(6, '0')}`), text('x'));
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const began = runtime.clock.nowMs();
    const holds = async (seconds: number, after?: string): Promise<void> => {
      const {validUntil} = await master.list({directory: bytes('/b/p/'), view: 'children', limit: 1000, ...(after === undefined ? {} : {after: bytes(after)})}, context);
      const ms = validUntil! - began;
      assert.ok(ms >= seconds * 1000 && ms < (seconds + 1) * 1000, `behind ${after}: until ${ms} ms after the beginning`);
    };
    await holds(60);
    await runtime.clock.sleep(10_000);
    await holds(70, 'k001999');
    await holds(60);
    await holds(60, 'k001500');
    await runtime.clock.sleep(51_000);
    await holds(121);
    await holds(70, 'k001999');
  });
});

test('mounts: overlap, taken paths, busy, update, unmount; secrets are masked', async () => {
  const world = new World();
  world.store('mem://bucket/').outside.put(bytes('k'), text('x'));
  world.store('mem://bucket/inner/');
  world.store('mem://other/');
  await world.life(async (master, runtime) => {
    await master.mount({path: bytes('/b'), uri: 'mem://bucket/', options: {secretKey: 'hush', pin: '1', region: 'r'}}, context);
    await assert.rejects(master.mount({path: bytes('/c'), uri: 'mem://bucket/inner/', options: {}}, context), kind('AlreadyExists'));
    await assert.rejects(master.mount({path: bytes('/b'), uri: 'mem://other/', options: {}}, context), kind('AlreadyExists'));
    await master.mount({path: bytes('/b/in/side'), uri: 'mem://other/', options: {}}, context);
    assert.deepEqual((await master.listMounts(context)).map(mount => mount.path), ['/', '/b/', '/b/in/side/']);
    assert.deepEqual((await master.listMounts(context))[1]!.options, {secretKey: '******', pin: '******', region: 'r'});
    await put(master, '/b/in/side/f', 'x');
    assert.deepEqual(await keys(master, '/b/', {view: 'tree'}), ['in/', 'in/side/', 'in/side/f', 'k']);
    await assert.rejects(master.unmount(bytes('/b'), context), kind('Busy'));
    await assert.rejects(master.remove(bytes('/b/in/side/'), {recursive: true}, context), kind('Busy'));
    await assert.rejects(master.rename(bytes('/b/k'), bytes('/b/in/side/k'), {replace: true}, context), kind('CrossMount'));
    await master.updateMount(bytes('/b'), {readOnly: true, options: {secretKey: '******', region: 's'}}, context);
    await assert.rejects(put(master, '/b/new', 'x'), kind('ReadOnly'));
    await master.unmount(bytes('/b/in/side'), context);
    await master.unmount(bytes('/b'), context);
    await runtime.clock.sleep(2_000);
    assert.deepEqual(await master.listJobs(context), []);
    assert.ok(world.store('mem://other/').outside.bytes(bytes('f')), 'the store is untouched');
    await assert.rejects(master.stat(bytes('/b/k'), {}, context), kind('NotFound'));
  });
});

test('renames and deletes: files, trees with and without a store that renames them', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  const home = world.store('mem://home/');
  for (const key of ['t/a', 't/d/b', 't/d/c', 'u/z']) bucket.outside.put(bytes(key), text(key));
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await master.rename(bytes('/b/u/z'), bytes('/b/u/y'), {replace: false, kind: 'file'}, context);
    assert.deepEqual(bucket.outside.keys(), ['t/a', 't/d/b', 't/d/c', 'u/y']);
    await master.rename(bytes('/b/t/'), bytes('/b/moved/'), {replace: false}, context);
    assert.deepEqual(await keys(master, '/b/'), ['moved/a', 'moved/d/b', 'moved/d/c', 'u/y'], 'seen at once');
    await put(master, '/b/t/new', 'waits for the store');
    await runtime.clock.sleep(2_000);
    assert.deepEqual(bucket.outside.keys(), ['moved/a', 'moved/d/b', 'moved/d/c', 't/new', 'u/y']);
    assert.deepEqual(await master.listJobs(context), []);
    assert.equal((await master.stat(bytes('/b/moved/d/b'), {}, context)).inode.content?.storeKey, 'moved/d/b');
    await master.remove(bytes('/b/moved/'), {recursive: true}, context);
    assert.deepEqual(await keys(master, '/b/'), ['t/new', 'u/y']);
    await runtime.clock.sleep(2_000);
    assert.deepEqual(bucket.outside.keys(), ['t/new', 'u/y']);

    await master.makeDirectory(bytes('/home/dir'), {parents: true}, context);
    await put(master, '/home/dir/f', 'x');
    await assert.rejects(master.remove(bytes('/home/dir/'), {}, context), kind('DirectoryNotEmpty'));
    await master.rename(bytes('/home/dir/'), bytes('/home/two'), {replace: false}, context);
    assert.deepEqual(home.outside.keys(), ['home/', 'home/two/', 'home/two/f']);
    assert.equal((await master.stat(bytes('/home/two/f'), {}, context)).inode.content?.storeKey, 'home/two/f');
    await master.remove(bytes('/home/'), {recursive: true}, context);
    await runtime.clock.sleep(2_000);
    assert.deepEqual(home.outside.keys(), []);
  });
});
