import assert from 'node:assert/strict';
import {test} from 'node:test';
import {inodeKey} from '#codec/namespace/keys.ts';
import {systemContext} from '#contracts/context.ts';
import type {Changes} from '#contracts/master-api.ts';
import type {InodeId} from '#base/ids.ts';
import {ChangeFeed} from '#master/change-feed.ts';
import {bytes, context, keys, mountBucket, put, putBehind, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Transaction} from '#metastore/metastore.ts';

const id = (number: number): InodeId => number as InodeId;
const empty: Transaction = {get: () => undefined, look: () => undefined, range: () => [], recall: () => undefined, keep: () => undefined, put: () => undefined, delete: () => undefined};
/** A clock whose patience ends when the test says so. */
function patience() {
  let end = (): void => undefined;
  return {clock: {after: (_ms: number, fn: () => void) => ((end = fn), {[Symbol.dispose]: () => undefined})}, runOut: () => end()};
}
const changed = (feed: ChangeFeed, inode: number, origin?: string): void => feed.noting(empty, origin, tx => tx.put(inodeKey(id(inode)), new Uint8Array(0)), 1000).publish();

test('a change is answered when each listener has taken it in, and not told to who made it', async () => {
  const feed = new ChangeFeed(patience().clock);
  const listener = feed.watch('mount', systemContext)[Symbol.asyncIterator]();
  assert.deepEqual((await listener.next()).value, {inodes: [], names: []});
  changed(feed, 5, 'mount');
  await feed.told();
  changed(feed, 6);
  let told = false;
  const telling = feed.told().then(() => (told = true));
  assert.deepEqual((await listener.next()).value, {inodes: [6], names: []});
  changed(feed, 7);
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(told, false, 'it has it in hand');
  const next = listener.next();
  await telling;
  assert.deepEqual((await next).value, {inodes: [7], names: []});
  await listener.return?.(undefined);
  await feed.told();
  assert.equal(feed.count, 0);
});

test('what a mount writes is told to those that have the file open, as one range, and not waited for by who has it in hand himself', async () => {
  const feed = new ChangeFeed(patience().clock);
  const [a, b] = ['a', 'b'].map(name => feed.watch(name, systemContext)[Symbol.asyncIterator]());
  await Promise.all([a!.next(), b!.next()]);
  feed.written(id(5), {from: 10, to: 20}, ['a']);
  feed.written(id(5), {from: 40, to: Infinity}, ['a']);
  await feed.told('a');
  let told = false;
  const telling = feed.told('b').then(() => (told = true));
  assert.deepEqual((await a!.next()).value, {inodes: [], names: [], written: [{inode: 5, from: 10, to: Infinity}]});
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(told, false);
  void a!.next();
  await telling;
});

test('who is slow is told that it has lost something, and not waited for until it has heard that', async () => {
  const {clock, runOut} = patience();
  const feed = new ChangeFeed(clock);
  const listener = feed.watch('mount', systemContext)[Symbol.asyncIterator]();
  await listener.next();
  changed(feed, 5);
  const telling = feed.told();
  runOut();
  await telling;
  changed(feed, 6);
  await feed.told();
  assert.deepEqual((await listener.next()).value, {inodes: [6], names: [], lost: true});
  const next = listener.next();
  changed(feed, 7);
  const waiting = feed.told();
  assert.deepEqual((await next).value, {inodes: [7], names: []});
  void listener.next();
  await waiting;
});

/** What a mount named `test` is told. */
function listen(master: Master): AsyncDisposable & {readonly told: Changes[]} {
  const told: Changes[] = [];
  const stop = new AbortController();
  const following = (async () => {
    for await (const changes of master.watch('test', {...context, signal: stop.signal})) told.push(changes);
  })().catch(() => undefined);
  return {told, [Symbol.asyncDispose]: async () => {
    stop.abort();
    await following;
  }};
}

test('names say what they led to, also where a directory comes to hide a file', async () => {
  const world = new World();
  world.store('mem://bucket/');
  await world.life(async master => {
    await mountBucket(master);
    await using heard = listen(master);
    const {told} = heard;
    const {inode} = await put(master, '/b/d/file', 'x');
    await master.rename(bytes('/b/d/file'), bytes('/b/d/other'), {replace: false, kind: 'file'}, context);
    await put(master, '/b/d/other/below', 'y');
    await master.remove(bytes('/b/d/other'), {kind: 'file'}, {...context, origin: 'test'});
    await heard[Symbol.asyncDispose]();
    const names = told.flatMap(({names}) => names.map(({name, was}) => [name, was]));
    assert.deepEqual(names.filter(([name]) => name === 'file' || name === 'other'), [['file', undefined], ['file', inode.id], ['other', undefined], ['other', inode.id]]);
  });
});

test('that a store has got a file by now is no change of what the file shows', async () => {
  const world = new World();
  const store = world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await keys(master, '/b/');
    const {inode} = await putBehind(world, master, '/b/file', 'x');
    await using heard = listen(master);
    const {told} = heard;
    await runtime.clock.sleep(1_000);
    assert.ok(store.outside.bytes(bytes('file')), 'it is persisted');
    assert.deepEqual(told, [{inodes: [], names: []}]);
    await master.setAttributes(bytes('/b/file'), {mode: 0o600}, {}, context);
    assert.deepEqual(told.at(-1)!.inodes, [inode.id]);
  });
});

test('what only a question about one file brings is no change of what it shows', async () => {
  const world = new World();
  const store = world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    store.outside.put(bytes('file'), Buffer.from('x'));
    const [listed] = (await master.list({directory: bytes('/b/'), view: 'keys', limit: 10}, context)).entries;
    assert.ok(listed && 'info' in listed);
    const {inode} = listed.info;
    await using heard = listen(master);
    const {told} = heard;
    await runtime.clock.sleep(1_000);
    const {info} = await master.statInode(inode.id, context);
    assert.ok(inode.content!.listed && !info.inode.content!.listed, 'it was asked for');
    assert.deepEqual(told, [{inodes: [], names: []}]);
  });
});

test('of an inode that is made nobody remembers anything', async () => {
  const world = new World();
  const store = world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    store.outside.put(bytes('file'), Buffer.from('x'));
    await using heard = listen(master);
    const {told} = heard;
    await runtime.clock.sleep(1_000);
    const {inode} = await master.stat(bytes('/b/file'), {}, context);
    await runtime.clock.sleep(1_000);
    assert.deepEqual([told.at(-1)!.names.map(({name}) => name), told.flatMap(({inodes}) => inodes).includes(inode.id)], [['file'], false]);
    await master.setAttributes(bytes('/b/file'), {mode: 0o600}, {}, context);
    assert.deepEqual(told.at(-1)!.inodes, [inode.id]);
  });
});
