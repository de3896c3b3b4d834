/** What a mount was writing is sealed, and its commit fails; the next process of the mount goes on with it, or the instance publishes it when nobody comes. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {EndedMounts} from '#client/ended-mounts.ts';
import {OpenDrafts} from '#client/open-drafts.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {systemContext} from '#contracts/context.ts';
import type {SealedDraft} from '#contracts/writing.ts';
import type {Master} from '#master/master.ts';
import {type Instance, Machine} from '#process/machine/fixture.test.ts';

const path = fromText('/home/a/x');
const origin = 'mount-1';
const context = {...systemContext, origin};
const added = Buffer.from(' and more');

type GoingOn = (instance: Instance, drafts: OpenDrafts, length: number) => Promise<Buffer>;

/** Answers whether the content that was sealed and never committed is still cached. */
async function goneOnWith(length: number, goOn: GoingOn): Promise<boolean> {
  const written = Buffer.alloc(length, 'written ');
  return await new Machine(1, randomFrom(1)).life(async (instance) => {
    const {files, master, worker, blocks} = instance;
    await files.makeDirectory(fromText('/home/a/'), {parents: true}, context);
    let sealed: SealedDraft | undefined;
    const failing = new Proxy(master, {
      get: (target, name) => {
        if (name === 'commitSeal' && !sealed) return (_inode: unknown, draft: SealedDraft) => ((sealed = draft), Promise.reject(new Error('failed')));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    }) as Master;
    const drafts = new OpenDrafts({master: failing, worker, here: {master, worker}});
    const info = await files.makeFile(path, {mode: 0o644, writeTypeDefault: 'ASYNC_THROUGH'}, context);
    const draft = await drafts.openDraft(info, {empty: false, writeTypeDefault: 'ASYNC_THROUGH'}, context);
    await draft.write(0, written, context);
    await assert.rejects(draft.publish(context), /failed/);
    const wanted = Buffer.concat([written, await goOn(instance, drafts, length)]);
    await using file = await files.open(path, {range: {offset: 0}}, context);
    const read: Buffer[] = [];
    for await (const chunk of bodyChunks(await file.read({offset: 0, length: wanted.length}, context))) read.push(Buffer.from(chunk));
    assert.ok(Buffer.concat(read).equals(wanted), 'all that was written, and nothing else');
    return blocks.presence(sealed!.content) !== undefined;
  });
}

const nextProcess: GoingOn = async (_instance, drafts, length) => {
  const [draft] = await drafts.handOverDrafts(origin, context);
  await draft!.write(length, added, context);
  await draft!.publish(context);
  await draft!.close({keep: false}, context);
  return added;
};

const instanceItself: GoingOn = async ({runtime}, drafts) => {
  const log = {...runtime.log, error: (message: string) => assert.fail(message)};
  const done = Promise.withResolvers<void>();
  await using mounts = new EndedMounts({
    clock: {sleep: async () => {}}, log, draftsOf: (holder) => drafts.of(holder), isBack: () => false, isKept: async () => false, letGo: async () => {}, ended: () => done.resolve(),
  }, systemContext);
  mounts.gone(origin);
  await done.promise;
  return Buffer.alloc(0);
};

for (const length of [1000, 400_000]) {
  test(`${length} bytes are gone on with by the next process`, async () => {
    assert.equal(await goneOnWith(length, nextProcess), false);
  });
  test(`${length} bytes are published by the instance, when nobody comes`, async () => {
    assert.equal(await goneOnWith(length, instanceItself), false);
  });
}
