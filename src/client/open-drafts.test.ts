/** Drafts that several mounts have, over the real master and the real worker; half of the mounts are processes of their own. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import {FileSystemClient} from '#client/file-system-client.ts';
import type {DraftSource, FileDraft} from '#client/file-system.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {RemoteDrafts} from '#client/remote-drafts.ts';
import {ServedDrafts} from '#client/served-drafts.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {bytes, context, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {MemoryBlocks} from '#worker/fixture.test.ts';
import {Worker} from '#worker/worker.ts';

const path = bytes('/b/file');
const text = (buffer: Uint8Array): string => Buffer.from(buffer).toString();
const all = {offset: 0, length: 1000};
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

interface Scene {
  readonly master: Master;
  readonly files: FileSystemClient;
  readonly drafts: OpenDrafts;
  readonly served: ServedDrafts;
  readonly info: FileInfo;
  /** What the store has. */
  readonly stored: () => string | undefined;
  /** A mount that has the file open; `far`: of a process of its own. */
  readonly mount: (name: string, far?: boolean) => Promise<{readonly source: DraftSource; readonly at: CallContext}>;
}

async function scene(play: (scene: Scene) => Promise<void>): Promise<void> {
  const world = new World();
  const store = world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await master.mount({path: bytes('/b'), uri: 'mem://bucket/', options: {}}, context);
    await using worker = new Worker({runtime, blocks: new MemoryBlocks(), drafts: '/drafts', stores: {get: () => store, isOurs: () => false}});
    const here = {master, worker};
    const drafts = new OpenDrafts({...here, here});
    const served = new ServedDrafts({drafts, clock: runtime.clock, random: runtime.random});
    const files = new FileSystemClient({...here, here, drafts});
    const writer = await files.create(path, {kind: 'file', length: 6}, context);
    await writer.write(Buffer.from('before'));
    const info = await writer.commit({length: 6});
    await play({
      master, files, drafts, served, info,
      stored: () => {
        const found = store.outside.bytes(bytes('file'));
        return found && text(found);
      },
      mount: async (name, far = false) => {
        await master.retain(info.inode.id, name, context);
        return {source: far ? new RemoteDrafts(served) : drafts, at: {...context, origin: name}};
      },
    });
  });
}

for (const far of [false, true]) {
  test(`what one mount writes another reads, changes and publishes (${far ? 'a process of its own' : 'in the instance'})`, () => scene(async ({info, mount, stored}) => {
    const [a, b] = [await mount('a'), await mount('b', far)];
    assert.equal(await b.source.joinDraft(info.inode.id, b.at), undefined, 'nobody writes it');
    const first = await a.source.openDraft(info, {empty: false}, a.at);
    assert.ok(b.source.isWrittenNow(info.inode.id));
    await first.write(0, Buffer.from('BEF'), a.at);
    const second = (await b.source.joinDraft(info.inode.id, b.at))!;
    assert.equal(text(await second.read(all, b.at)), 'BEFore');
    assert.equal(await second.write(undefined, Buffer.from(' and'), b.at), 6);
    assert.equal(await first.write(undefined, Buffer.from(' after'), a.at), 10);
    await second.refresh(b.at);
    assert.equal(second.length, 16);
    assert.ok(second.dirty);
    const published = await first.publish(a.at);
    assert.equal(stored(), 'BEFore and after');
    assert.deepEqual((await second.publish(b.at))?.inode.content?.id, published?.inode.content?.id, 'what nobody has changed is not published again');
    await first.close({keep: false}, a.at);
    await second.truncate(6, b.at);
    await second.publish(b.at);
    assert.equal(stored(), 'BEFore');
    await second.close({keep: false}, b.at);
    assert.equal(await a.source.joinDraft(info.inode.id, a.at), undefined);
  }));
}

test('a mount has a draft once, whatever it calls the file; others join it while it is opened, and open their own when it was put away', () => scene(async ({info, mount}) => {
  const [a, b] = [await mount('a'), await mount('b')];
  const opening = a.source.openDraft(info, {empty: false}, a.at);
  const joined = b.source.openDraft(info, {empty: false}, b.at);
  const [first, second] = await Promise.all([opening, joined]);
  await assert.rejects(a.source.openDraft(info, {empty: false}, a.at), error => isKind(error, 'AlreadyExists'));
  await first.write(0, Buffer.from('x'), a.at);
  assert.equal(text(await second.read(all, b.at)), 'xefore');
  await first.close({keep: false}, a.at);
  const ended = second.close({keep: false}, b.at);
  const anew = await a.source.openDraft(info, {empty: false}, a.at);
  await ended;
  assert.equal(text(await anew.read(all, a.at)), 'before', 'it was not published');
  await anew.close({keep: false}, a.at);
}));

test('a change is answered when the others have taken it in, unless they are changing the file themselves', () => scene(async ({info, master, mount}) => {
  const [a, b] = [await mount('a'), await mount('b')];
  const stop = new AbortController();
  const heard = master.watch('b', {...context, signal: stop.signal})[Symbol.asyncIterator]();
  await heard.next();
  const {id} = info.inode;
  const opening = a.source.openDraft(info, {empty: false}, a.at);
  assert.deepEqual((await heard.next()).value?.written, [{inode: id, from: 0, to: Infinity}], 'before anything is written');
  const second = (await b.source.joinDraft(id, b.at))!;
  let next = heard.next();
  const first = await opening;
  assert.equal(first.writeNow(0, Buffer.from('x')), false, 'not on the spot');
  let answered = false;
  const writing = first.write(2, Buffer.from('xyz'), a.at).then(() => (answered = true));
  assert.deepEqual((await next).value?.written, [{inode: id, from: 2, to: 5}]);
  await turn();
  assert.equal(answered, false);
  await second.write(0, Buffer.from('w'), b.at);
  assert.equal(answered, false, 'whoever writes meanwhile does not wait');
  next = heard.next();
  await writing;
  await second.close({keep: false}, b.at);
  await first.write(0, Buffer.from('v'), a.at);
  stop.abort();
  await assert.rejects(next);
  await first.close({keep: false}, a.at);
}));

test('the next process of a mount gets what the one before had, and what others have begun to write meanwhile; the one before can do no more', () => scene(async ({info, mount}) => {
  const [a, b] = [await mount('a'), await mount('b', true)];
  const first = await a.source.openDraft(info, {empty: false}, a.at);
  const [began] = await b.source.handOverDrafts('b', b.at) as [FileDraft];
  assert.equal(text(await began.read(all, b.at)), 'before');
  assert.equal(await began.write(undefined, Buffer.from('!'), b.at, 7), 6);
  const [goesOn, ...others] = await b.source.handOverDrafts('b', b.at) as [FileDraft];
  assert.equal(others.length, 0);
  await assert.rejects(began.write(0, Buffer.from('?'), b.at), error => isKind(error, 'NotFound'));
  assert.equal(await goesOn.write(undefined, Buffer.from('!'), b.at, 7), 6, 'nobody had answered the first');
  assert.equal(text(await goesOn.read(all, b.at)), 'before!');
  await first.close({keep: false}, a.at);
  await goesOn.publish(b.at);
  await goesOn.close({keep: false}, b.at);
}));

test('what one could not publish another does, or it is kept', () => scene(async ({info, mount, stored, master}) => {
  const [a, b] = [await mount('a'), await mount('b')];
  const first = await a.source.openDraft(info, {empty: false}, a.at);
  const second = (await b.source.joinDraft(info.inode.id, b.at))!;
  await first.write(6, Buffer.from('!'), a.at);
  await first.close({keep: true}, a.at);
  assert.ok(second.dirty);
  await second.publish(b.at);
  await second.close({keep: false}, b.at);
  assert.equal(stored(), 'before!');
  await master.release(info.inode.id, 'a', context);
}));
