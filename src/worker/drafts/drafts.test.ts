import assert from 'node:assert/strict';
import test from 'node:test';
import {isKind} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';
import {Drafts} from '#worker/drafts/drafts.ts';

const inode = 7 as InodeId;
const base = 9 as ContentId;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

async function* of(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

test('a draft begins with its base and is written anywhere', async () => {
  const simulation = createSimulation(1);
  await simulation.run(async ({disk}) => {
    const drafts = new Drafts(disk, '/drafts');
    const {draft, length} = await drafts.open(inode, base, of('hello ', 'world'));
    assert.equal(length, 11);
    await drafts.write(draft, 13, Buffer.from('!'));
    assert.equal(text(await drafts.read(draft, {offset: 6, length: 100})), 'world\0\0!');
    await drafts.truncate(draft, 5);
    assert.equal(text(await drafts.read(draft, {offset: 0, length: 100})), 'hello');
    await assert.rejects(drafts.open(inode, base, undefined), error => isKind(error, 'AlreadyExists'));
    await drafts.close(draft, false);
    assert.deepEqual(await drafts.left(), []);
    await assert.rejects(drafts.read(draft, {offset: 0, length: 1}), error => isKind(error, 'NotFound'));
  });
});

for (const seed of [1, 2, 3, 4]) {
  test(`a draft that was synced is found after power loss, under its inode and base (seed ${seed})`, async () => {
    const simulation = createSimulation(seed);
    await simulation.run(async ({disk}) => {
      await disk.makeDirectory('/home', {recursive: true});
      await disk.syncDirectory('/');
      const drafts = new Drafts(disk, '/home/drafts');
      const {draft} = await drafts.open(inode, undefined, undefined);
      await drafts.write(draft, 0, Buffer.from('kept'));
      await drafts.sync(draft);
      await drafts.write(draft, 4, Buffer.from(' or not'));
      const other = await drafts.open(8 as InodeId, base, of('published'));
      await drafts.rebase(other.draft, 8 as InodeId, 10 as ContentId);
      await drafts.sync(other.draft);
    });
    simulation.crash();
    await simulation.run(async ({disk}) => {
      const drafts = new Drafts(disk, '/home/drafts');
      const [first, second, ...more] = await drafts.left();
      assert.deepEqual([first?.inode, first?.base, second?.inode, second?.base, more.length], [inode, undefined, 8, 10, 0]);
      assert.ok(first!.length >= 4);
      assert.equal(text(await drafts.read(first!.draft, {offset: 0, length: 4})), 'kept');
      assert.equal(text(await drafts.read(second!.draft, {offset: 0, length: 100})), 'published');
      assert.deepEqual(await drafts.left(), [], 'they are open now');
    });
  });
}
