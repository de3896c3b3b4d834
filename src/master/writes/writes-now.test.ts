/** Writes that are begun and committed on the spot end as those that take their time, or ask for them. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import type {BeginWriteOptions, WriteTicket} from '#contracts/writing.ts';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';

const behind = {writeType: 'ASYNC_THROUGH'} as const;
const object = (body: string) => ({length: body.length, fingerprint: '', etag: body, checksums: {}, pending: true}) as const;

async function onMaster(fn: (master: Master, world: World, runtime: Runtime) => Promise<void>): Promise<void> {
  const world = new World();
  world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await keys(master, '/b/');
    await fn(master, world, runtime);
  });
}

function begin(master: Master, world: World, path: string, body: string, options: BeginWriteOptions = {}): WriteTicket {
  const ticket = master.beginWriteNow(bytes(path), {...behind, ...options}, context);
  assert.ok(ticket);
  world.cache.set(ticket.content, Buffer.from(body));
  return ticket;
}

const lengthOf = async (master: Master, path: string) => (await master.stat(bytes(path), {kind: 'file'}, context)).length;

describe('a write on the spot', () => {
  it('shows nothing until it is committed, and then all, also over another of its kind', () => onMaster(async (master, world) => {
    const [first, second] = [begin(master, world, '/b/d/k', 'one'), begin(master, world, '/b/d/k', 'second')];
    await assert.rejects(master.stat(bytes('/b/d/k'), {kind: 'file'}, context), {kind: 'NotFound'});
    const answers = [master.commitWriteNow(first, object('one'), context)!, master.commitWriteNow(second, object('second'), context)!];
    assert.equal(await lengthOf(master, '/b/d/k'), 6);
    assert.deepEqual((await Promise.all(answers)).map((info) => info.length), [3, 6]);
    assert.throws(() => master.commitWriteNow(first, object('one'), context), {kind: 'NotFound'});
  }));

  it('is left to the ordinary steps where it is not plain', () => onMaster(async (master) => {
    const begins = (options: BeginWriteOptions, path = '/b/k') => master.beginWriteNow(bytes(path), options, context) !== undefined;
    assert.ok(begins(behind));
    assert.ok(!begins({writeType: 'CACHE_THROUGH'}));
    assert.ok(!begins({...behind, precondition: {ifNoneMatch: '*'}}));
    assert.ok(!begins({...behind, parents: 'none'}));
    assert.ok(!begins(behind, '/b/k/'));
    assert.throws(() => begins(behind, '/b/.weir/k'), (error) => isKind(error, 'PermissionDenied'));
  }));

  it('leaves what is kept by then to a commit that prepares', () => onMaster(async (master, world) => {
    await put(master, '/b/k', 'old');
    const ticket = begin(master, world, '/b/k', 'newer');
    await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
    assert.equal(master.commitWriteNow(ticket, object('newer'), context), undefined);
    await master.prepareCommit(ticket, context);
    await master.commitWrite(ticket, object('newer'), context);
    const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 10}, context);
    assert.equal(entries.length, 2);
  }));

  it('waits for its turn where another has it', () => onMaster(async (master, world) => {
    const other = await master.beginWrite(bytes('/b/k'), {writeType: 'CACHE_THROUGH'}, context);
    await master.prepareCommit(other, context);
    const ticket = begin(master, world, '/b/k', 'newer');
    assert.equal(master.commitWriteNow(ticket, object('newer'), context), undefined);
    const prepared = master.prepareCommit(ticket, context);
    await master.abandonWrite(other, context);
    await prepared;
    assert.equal((await master.commitWrite(ticket, object('newer'), context)).length, 5);
  }));

  it('fails where its path has moved to another place, and is over then', () => onMaster(async (master, world) => {
    await master.makeDirectory(bytes('/b/d/'), {}, context);
    const ticket = begin(master, world, '/b/d/k', 'lost');
    world.store('mem://other/');
    await master.remove(bytes('/b/d/'), {recursive: true, kind: 'directory'}, context);
    await master.mount({path: bytes('/b/d/'), uri: 'mem://other/', options: {}}, context);
    assert.throws(() => master.commitWriteNow(ticket, object('lost'), context), {kind: 'Conflict'});
    assert.throws(() => master.commitWriteNow(ticket, object('lost'), context), {kind: 'NotFound'});
    assert.ok(!world.cache.has(ticket.content), 'its bytes are dropped');
  }));
});
