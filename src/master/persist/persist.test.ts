/** Contents that their store gets behind the answer: what may happen to a file before, and what becomes of it. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {describe, it} from 'node:test';
import {WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, putBehind, requestsOf, World} from '#master/fixture.test.ts';
import type {PartRecord} from '#contracts/writing.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';

/** A store that can be switched off, or whose writes wait to be let through. */
class Switch {
  off = false;
  writes = 0;
  held: (() => void)[] | undefined;
  refuses: (name: string, args: readonly unknown[]) => boolean = () => false;
  losesAnswer: (name: string) => boolean = () => false;
  wrap = (store: UnderStore): UnderStore => new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (this.off && name !== 'close') return Promise.reject(new WeirError('Unavailable', 'the store is down'));
        if (this.refuses(name as string, args)) return Promise.reject(new WeirError('Unavailable', 'the store is busy'));
        if (name === 'write') this.writes++;
        const call = () => (value as (...a: unknown[]) => unknown).apply(target, args);
        const answer = name === 'write' && this.held ? new Promise<void>((resolve) => this.held!.push(resolve)).then(call) : call();
        return answer instanceof Promise ? answer.then((got: unknown) => (this.losesAnswer(name as string) ? Promise.reject(new WeirError('Unavailable', 'the answer was lost')) : got)) : answer;
      };
    },
  });
}

async function scene(fn: (scene: {world: World; master: Master; runtime: Runtime; power: Switch; stored: (key: string) => string | undefined}) => Promise<void>, capabilities = {}): Promise<void> {
  const world = new World();
  const power = new Switch();
  world.wrap = power.wrap;
  const store = world.store('mem://bucket/', capabilities);
  const stored = (key: string): string | undefined => {
    const found = store.outside.bytes(bytes(key));
    return found && Buffer.from(found).toString();
  };
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await keys(master, '/b/');
    await fn({world, master, runtime, power, stored});
  });
}

/** What worker and client do for an upload whose parts the cache keeps. Answers the ETag. */
async function putInParts(world: World, master: Master, path: string, pieces: readonly string[]): Promise<string> {
  const begun = await master.beginWrite(bytes(path), {writeType: 'ASYNC_THROUGH'}, context);
  const {uploadId} = await master.createUpload(begun, {storeUploadId: ''}, context);
  const md5 = (data: Buffer | string) => createHash('md5').update(data);
  const records = pieces.map((piece, i): PartRecord => ({partNumber: i + 1, length: piece.length, etag: md5(piece).digest('hex'), checksums: {}, storePart: `@${i}`, modifiedAt: 0n}));
  for (const record of records) assert.equal(await master.putPart(bytes(path), uploadId, record, context), undefined);
  assert.equal((await master.putPart(bytes(path), uploadId, {...records[1]!, storePart: '+1'}, context))?.storePart, '@1');
  await master.putPart(bytes(path), uploadId, {...records[0]!, partNumber: 7}, context);
  assert.deepEqual(master.keptUploads().map(({upload, parts}) => [upload.uploadId, parts.length]), [[uploadId, pieces.length + 1]]);
  const ticket = await master.beginCompleteUpload(bytes(path), uploadId, {parts: pieces.length, unused: [7]}, context);
  assert.notEqual(ticket.content, begun.content);
  const whole = Buffer.from(pieces.join(''));
  world.cache.set(ticket.content, whole);
  await master.prepareCommit(ticket, context);
  const etag = `${md5(Buffer.concat(records.map((record) => Buffer.from(record.etag, 'hex')))).digest('hex')}-${pieces.length}`;
  await master.commitWrite(ticket, {length: whole.length, fingerprint: '', etag, checksums: {}, pending: true}, context);
  assert.deepEqual(master.keptUploads(), []);
  return etag;
}

const stateOf = async (master: Master, path: string) => (await master.stat(bytes(path), {kind: 'file'}, context)).inode.content?.pending;
const pending = async (master: Master, path = '/') => (await master.listPending({path: bytes(path), limit: 100}, context)).entries;

describe('a file under ASYNC_THROUGH', () => {
  it('is there at once, and in its store soon', () => scene(async ({world, master, runtime, stored}) => {
    await putBehind(world, master, '/b/a', 'one');
    assert.equal(await stateOf(master, '/b/a'), 'pending');
    assert.deepEqual((await pending(master)).map(({path, state, length}) => [path, state, length]), [['/b/a', 'uploading', 3]]);
    await runtime.clock.sleep(1_000);
    assert.equal(stored('a'), 'one');
    const {inode} = await master.stat(bytes('/b/a'), {kind: 'file'}, context);
    assert.equal(inode.content!.pending, undefined);
    assert.equal(inode.content!.fingerprint, world.store('mem://bucket/').outside.object(bytes('a'))!.fingerprint);
    assert.deepEqual(await pending(master), []);
    assert.equal(world.cache.size, 0);
  }));

  it('follows with rests to a store on a disk of this machine while others are written', () => scene(async ({world, master, runtime, power, stored}) => {
    power.held = [];
    for (let i = 0; i < 6; i++) await putBehind(world, master, `/b/${i}`, String(i));
    assert.equal(power.writes, 1);
    await master.persist(bytes('/b/4'), {}, context);
    await runtime.clock.sleep(10);
    assert.equal(power.writes, 2, 'somebody waits for it');
    await runtime.clock.sleep(400);
    assert.equal(power.writes, 6);
    const {held} = power;
    power.held = undefined;
    for (const go of held) go();
    await runtime.clock.sleep(1_000);
    assert.deepEqual(Array.from({length: 6}, (_, i) => stored(String(i))), ['0', '1', '2', '3', '4', '5']);
  }, {localFile: true}));

  it('sends many small files at once to such a store, and few large ones', () => scene(async ({world, master, runtime, power}) => {
    power.held = [];
    for (let i = 0; i < 20; i++) await putBehind(world, master, `/b/small${i}`, String(i));
    await runtime.clock.sleep(1_000);
    assert.equal(power.writes, 20);
    for (let i = 0; i < 20; i++) await putBehind(world, master, `/b/large${i}`, String(i).padEnd(70_000, '.'));
    await runtime.clock.sleep(1_000);
    assert.equal(power.writes, 36);
    const {held} = power;
    power.held = undefined;
    for (const go of held) go();
    await runtime.clock.sleep(1_000);
    assert.equal(power.writes, 40);
  }, {localFile: true}));

  it('goes together with others to a store that takes them so, and what stands in the way of one is no matter of theirs', () => scene(async ({world, master, runtime, power, stored}) => {
    power.off = true;
    for (let i = 0; i < 20; i++) await putBehind(world, master, `/b/${i}`, String(i));
    await runtime.clock.sleep(100);
    const outside = (i: number, body: string) => world.store('mem://bucket/').outside.put(bytes(String(i)), Buffer.from(body));
    await runtime.clock.sleep(2_000);
    outside(3, 'theirs');
    outside(4, '4');
    power.refuses = (name) => name === 'write';
    power.off = false;
    await runtime.clock.sleep(120_000);
    assert.deepEqual(Array.from({length: 20}, (_, i) => stored(String(i))), Array.from({length: 20}, (_, i) => (i === 3 ? 'theirs' : String(i))));
    assert.deepEqual((await pending(master)).map(({path}) => path), ['/b/3', '/b/4'], 'what has to be looked at goes by itself');
    power.refuses = () => false;
    await runtime.clock.sleep(120_000);
    assert.deepEqual((await pending(master)).map(({path, state}) => [path, state]), [['/b/3', 'conflict']]);
  }, {localFile: true, togetherBytesMax: 1_000}));

  it('waits for a store that is down, through restarts, and is never given up', async () => {
    const world = new World();
    const power = new Switch();
    world.wrap = power.wrap;
    const store = world.store('mem://bucket/');
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      power.off = true;
      await putBehind(world, master, '/b/a', 'one');
      await runtime.clock.sleep(300_000);
      const [file] = await pending(master, '/b/a');
      assert.equal(file!.state, 'waiting');
      assert.match(file!.lastError!, /down/);
      assert.ok(file!.failures > 4 && file!.failures < 20, `${file!.failures}`);
    });
    await world.life(async (master, runtime) => {
      assert.equal(await stateOf(master, '/b/a'), 'pending');
      await runtime.clock.sleep(60_000);
      power.off = false;
      await runtime.clock.sleep(61_000);
      assert.equal(Buffer.from(store.outside.bytes(bytes('a'))!).toString(), 'one');
      assert.equal(await stateOf(master, '/b/a'), undefined);
    });
  });

  it('is superseded by what is written over it before it is sent', () => scene(async ({world, master, runtime, power, stored}) => {
    power.off = true;
    for (const body of ['one', 'two', 'three']) await putBehind(world, master, '/b/a', body);
    assert.deepEqual((await pending(master)).map(({length}) => length), [5]);
    power.off = false;
    await runtime.clock.sleep(5_000);
    assert.equal(stored('a'), 'three');
    assert.equal(power.writes, 1);
    await runtime.clock.sleep(1_000);
    assert.equal(world.cache.size, 0, 'nothing of what was replaced stays in the cache');
  }));

  it('is renamed and removed without its store when that has nothing of it', () => scene(async ({world, master, runtime, power, stored}) => {
    power.off = true;
    await putBehind(world, master, '/b/a', 'A');
    await putBehind(world, master, '/b/c', 'C');
    await master.rename(bytes('/b/a'), bytes('/b/d/e'), {replace: false, kind: 'file'}, context);
    await master.remove(bytes('/b/c'), {kind: 'file'}, context);
    assert.deepEqual(await keys(master, '/b/'), ['d/e']);
    power.off = false;
    const before = requestsOf(world.store('mem://bucket/'));
    await runtime.clock.sleep(5_000);
    assert.deepEqual(world.store('mem://bucket/').outside.keys(), ['d/e']);
    assert.equal(stored('d/e'), 'A');
    assert.equal(requestsOf(world.store('mem://bucket/')) - before, 1, 'one upload and nothing else');
  }));

  it('takes the place of a persisted file by a rename that its store hears of with the bytes', () => scene(async ({world, master, runtime, power, stored}) => {
    await put(master, '/b/a', 'old');
    power.off = true;
    await putBehind(world, master, '/b/tmp', 'new');
    await master.rename(bytes('/b/tmp'), bytes('/b/a'), {replace: true, kind: 'file'}, context);
    assert.equal(stored('a'), 'old');
    power.off = false;
    await runtime.clock.sleep(5_000);
    assert.deepEqual([stored('a'), stored('tmp')], ['new', undefined]);
    assert.deepEqual(await pending(master), []);
  }));

  it('is brought to its store before it is renamed when that has an older version', () => scene(async ({world, master, stored}) => {
    await put(master, '/b/a', 'old');
    await putBehind(world, master, '/b/a', 'new');
    await master.rename(bytes('/b/a'), bytes('/b/c'), {replace: false, kind: 'file'}, context);
    assert.deepEqual([stored('a'), stored('c')], [undefined, 'new']);
  }));

  it('goes from its store too when that has an older version', () => scene(async ({world, master, runtime, stored}) => {
    await put(master, '/b/a', 'old');
    await putBehind(world, master, '/b/a', 'new');
    await master.remove(bytes('/b/a'), {kind: 'file'}, context);
    await runtime.clock.sleep(5_000);
    assert.equal(stored('a'), undefined);
    assert.deepEqual(await keys(master, '/b/'), []);
  }));

  it('moves and goes with its tree', () => scene(async ({world, master, runtime, power, stored}) => {
    await put(master, '/b/t/old', 'old');
    power.off = true;
    await putBehind(world, master, '/b/t/new', 'new');
    await putBehind(world, master, '/b/t/old', 'newer');
    power.off = false;
    await master.rename(bytes('/b/t/'), bytes('/b/u/'), {replace: false}, context);
    await runtime.clock.sleep(60_000);
    assert.deepEqual([stored('u/new'), stored('u/old'), stored('t/new'), stored('t/old')], ['new', 'newer', undefined, undefined]);
    power.off = true;
    await putBehind(world, master, '/b/u/third', '3');
    power.off = false;
    await master.remove(bytes('/b/u/'), {recursive: true}, context);
    await runtime.clock.sleep(60_000);
    assert.deepEqual(world.store('mem://bucket/').outside.keys(), []);
    assert.deepEqual(await pending(master), []);
  }));

  it('is not lost to what its store says', () => scene(async ({world, master, runtime, power, stored}) => {
    await put(master, '/b/d/a', 'old');
    power.off = true;
    await putBehind(world, master, '/b/d/a', 'new');
    await putBehind(world, master, '/b/d/b', 'b');
    power.off = false;
    world.wrap = (store) => store;
    power.writes = 0;
    await master.refresh(bytes('/b/'), context);
    assert.deepEqual(await keys(master, '/b/', {view: 'tree'}), ['d/', 'd/a', 'd/b']);
    assert.equal((await master.contentChanged(bytes('/b/d/a'), (await master.stat(bytes('/b/d/a'), {}, context)).inode.content!.id, context)).length, 3);
    await runtime.clock.sleep(10_000);
    assert.deepEqual([stored('d/a'), stored('d/b')], ['new', 'b']);
    await master.refresh(bytes('/b/'), context);
    assert.deepEqual(await keys(master, '/b/', {view: 'tree'}), ['d/', 'd/a', 'd/b']);
  }));

  it('is in conflict when its store was changed by others, until a person decides', () => scene(async ({world, master, runtime, power, stored}) => {
    const {outside} = world.store('mem://bucket/');
    await put(master, '/b/a', 'old');
    power.off = true;
    await putBehind(world, master, '/b/a', 'mine');
    await putBehind(world, master, '/b/c', 'mine too');
    outside.put(bytes('a'), Buffer.from('theirs'));
    outside.put(bytes('c'), Buffer.from('theirs too'));
    power.off = false;
    await runtime.clock.sleep(60_000);
    assert.deepEqual([stored('a'), stored('c')], ['theirs', 'theirs too']);
    assert.deepEqual([await stateOf(master, '/b/a'), await stateOf(master, '/b/c')], ['conflict', 'conflict']);
    assert.match((await pending(master))[0]!.lastError!, /another version/);
    await master.refresh(bytes('/b/'), context);
    assert.equal((await master.stat(bytes('/b/a'), {}, context)).length, 4);
    await assert.rejects(master.rename(bytes('/b/a'), bytes('/b/z'), {replace: false, kind: 'file'}, context), {kind: 'Conflict'});
    assert.deepEqual(await master.persist(bytes('/b/a'), {resolve: 'overwrite'}, context), {files: 1});
    assert.deepEqual(await master.persist(bytes('/b/c'), {resolve: 'discard'}, context), {files: 1});
    await runtime.clock.sleep(5_000);
    assert.deepEqual([stored('a'), stored('c')], ['mine', 'theirs too']);
    assert.equal((await master.stat(bytes('/b/c'), {}, context)).length, 10);
    assert.deepEqual(await pending(master), []);
    assert.equal(world.cache.size, 0);
  }));

  it('goes over what was there before it was written, though nobody had looked', () => scene(async ({world, master, runtime, stored}) => {
    await master.refresh(bytes('/b/'), context);
    world.store('mem://bucket/').outside.put(bytes('x/y'), Buffer.from('unseen'));
    await runtime.clock.sleep(10);
    await putBehind(world, master, '/b/x/y', 'mine');
    await runtime.clock.sleep(1_000);
    assert.equal(stored('x/y'), 'mine');
  }));

  it('is looked at before where the store knows no conditions', () => scene(async ({world, master, runtime, power, stored}) => {
    power.off = true;
    await putBehind(world, master, '/b/a', 'mine');
    await putBehind(world, master, '/b/c', 'C');
    world.store('mem://bucket/').outside.put(bytes('a'), Buffer.from('theirs'));
    power.off = false;
    await runtime.clock.sleep(60_000);
    assert.deepEqual([stored('a'), stored('c'), await stateOf(master, '/b/a')], ['theirs', 'C', 'conflict']);
  }, {conditionalWrite: false}));

  it('gives way to what is written through to the store', () => scene(async ({world, master, runtime, power, stored}) => {
    power.off = true;
    await putBehind(world, master, '/b/a', 'one');
    power.off = false;
    await put(master, '/b/a', 'two', {writeType: 'CACHE_THROUGH'});
    await runtime.clock.sleep(60_000);
    assert.equal(stored('a'), 'two');
    assert.deepEqual(await pending(master), []);
  }));

  it('is persisted before it is kept as a version', () => scene(async ({world, master, stored}) => {
    await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
    for (const body of ['one', 'two', 'three']) await putBehind(world, master, '/b/a', body);
    await master.remove(bytes('/b/a'), {kind: 'file', deleteMarker: true}, context);
    const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 10}, context);
    const bodies = entries.map((entry) => ('info' in entry && entry.info.inode.content ? stored(entry.info.inode.content.storeKey) : 'marker'));
    assert.deepEqual(bodies, ['marker', 'three', 'two', 'one']);
  }));

  it('keeps all its names', () => scene(async ({world, master, runtime, power, stored}) => {
    power.off = true;
    await putBehind(world, master, '/b/a', 'A');
    power.off = false;
    await master.link(bytes('/b/a'), bytes('/b/l'), context);
    await master.remove(bytes('/b/a'), {kind: 'file'}, context);
    await runtime.clock.sleep(60_000);
    assert.deepEqual(await keys(master, '/b/'), ['l']);
    assert.deepEqual([stored('a'), stored('l')], [undefined, 'A']);
  }));

  it('stays in the cache for who has it open when its name goes', () => scene(async ({world, master, power, runtime}) => {
    power.off = true;
    const {inode} = await putBehind(world, master, '/b/a', 'A');
    await master.retain(inode.id, 'reader', context);
    await putBehind(world, master, '/b/a', 'B');
    await runtime.clock.sleep(1_000);
    const open = await master.retain(inode.id, 'reader', context);
    assert.deepEqual([open.path, open.inode.content!.pending, world.cache.get(open.inode.content!.id)!.toString()], ['', 'pending', 'A']);
    await master.release(inode.id, 'reader', context);
    await runtime.clock.sleep(1_000);
    assert.equal(world.cache.size, 1);
    power.off = false;
    await runtime.clock.sleep(10_000);
    assert.deepEqual(world.store('mem://bucket/').outside.keys(), ['a']);
  }));
});

describe('the backlog', () => {
  it('is bounded: writers wait, then hear why', async () => {
    const world = new World();
    const power = new Switch();
    world.wrap = power.wrap;
    world.backlog = {filesMax: 2, waitMs: 5_000};
    world.store('mem://bucket/');
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      power.off = true;
      for (const name of ['a', 'b']) await putBehind(world, master, `/b/${name}`, name);
      await assert.rejects(putBehind(world, master, '/b/c', 'c'), {kind: 'Overloaded'});
      const waiting = putBehind(world, master, '/b/c', 'c');
      power.off = false;
      await master.persist(bytes('/b/'), {}, context);
      await waiting;
      await runtime.clock.sleep(5_000);
      assert.deepEqual(world.store('mem://bucket/').outside.keys(), ['a', 'b', 'c']);
    });
  });

  it('made of parts comes to its store in the same parts, with the same name', async () => {
    for (const [capabilities, inParts] of [[{}, true], [{partBytesMin: 5}, false], [{multipart: false}, false]] as const) {
      await scene(async ({world, master, runtime, stored}) => {
        const etag = await putInParts(world, master, '/b/a', ['one ', 'two', 'three']);
        await runtime.clock.sleep(1_000);
        assert.equal(stored('a'), 'one twothree');
        const {outside, counters} = world.store('mem://bucket/');
        assert.equal(counters.requests.uploadPart, inParts ? 3 : 0);
        assert.equal(outside.object(bytes('a'))?.etag === etag, inParts);
        assert.deepEqual(outside.uploads(), []);
        assert.equal(await stateOf(master, '/b/a'), undefined);
      }, capabilities);
    }
  });

  it('made of parts leaves no upload in a store that fails in the middle, nor a conflict when the answer was lost', () => scene(async ({world, master, runtime, power, stored}) => {
    const {outside, counters} = world.store('mem://bucket/');
    let refusals = 2;
    power.refuses = (name, args) => name === 'uploadPart' && args[2] === 2 && refusals-- > 0;
    power.losesAnswer = (name) => name === 'completeUpload' && counters.requests.completeUpload === 1;
    const etag = await putInParts(world, master, '/b/a', ['one ', 'two', 'three']);
    await runtime.clock.sleep(60_000);
    assert.equal(stored('a'), 'one twothree');
    assert.equal(outside.object(bytes('a'))?.etag, etag);
    assert.ok(refusals < 1);
    assert.deepEqual(outside.uploads(), []);
    assert.equal(await stateOf(master, '/b/a'), undefined);
  }));

  it('keeps its mount', () => scene(async ({world, master, runtime, power}) => {
    power.off = true;
    await putBehind(world, master, '/b/a', 'A');
    await assert.rejects(master.unmount(bytes('/b/'), context), {kind: 'Busy', message: /weir persist/});
    power.off = false;
    await master.persist(bytes('/b/'), {}, context);
    await runtime.clock.sleep(1_000);
    await master.unmount(bytes('/b/'), context);
    assert.deepEqual(world.store('mem://bucket/').outside.keys(), ['a']);
  }));

  it('takes the write type from the request, the directory above, the mount', () => scene(async ({master}) => {
    const typeOf = async (path: string, options = {}) => (await master.beginWrite(bytes(path), options, context)).writeType;
    assert.equal(await typeOf('/b/x'), 'CACHE_THROUGH');
    await master.updateMount(bytes('/b/'), {writeType: 'ASYNC_THROUGH'}, context);
    assert.equal(await typeOf('/b/x'), 'ASYNC_THROUGH');
    await master.makeDirectory(bytes('/b/d/'), {}, context);
    await master.setSetting(bytes('/b/d/'), 'write-type', 'CACHE_THROUGH', context);
    assert.equal(await typeOf('/b/d/e/f'), 'CACHE_THROUGH');
    assert.equal(await typeOf('/b/d/e/f', {writeType: 'ASYNC_THROUGH'}), 'ASYNC_THROUGH');
    await assert.rejects(master.setSetting(bytes('/b/d/'), 'write-type', 'LATER', context), {kind: 'InvalidArgument'});
  }));
});
