/** A file that is written through to its store in place, by a process that is killed when the store has it and the namespace does not: it stays the same file, also for who has it open. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {systemContext} from '#contracts/context.ts';
import {type Instance, Machine, ordinary} from '#process/machine/fixture.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const context = {...systemContext, origin: 'mount-1'};
const lengths = [1_000, 400_000, 800_000];
const markOf = (xattrs: Readonly<Record<string, Uint8Array>> | undefined): string => Buffer.from(xattrs?.['user.mark'] ?? []).toString();

async function contentOf({files}: Instance, path: ReturnType<typeof fromText>): Promise<Buffer> {
  await using file = await files.open(path, {range: {offset: 0}}, context);
  return Buffer.concat(await Array.fromAsync(bodyChunks(await file.read({offset: 0, length: file.info.length}, context)), (chunk) => Buffer.from(chunk)));
}

for (const place of ['/home/', '/far/']) for (const length of lengths) for (const point of ['master.write.prepared', 'master.write.finished', 'master.write.committed']) {
  test(`${length} bytes in ${place}, killed at ${point}, are the same file`, async () => {
    const path = fromText(`${place}x`);
    const machine = new Machine(1, randomFrom(1), {...ordinary, partialBytesMin: 500_000});
    const before = Buffer.alloc(length, 'before ');
    const after = Buffer.from(before);
    after.write('changed', 10);
    let inode: number | undefined;
    const killed = machine.life(async ({files}) => {
      if (place === '/far/') await files.mount({path: fromText('/far/'), uri: 'mem://far', options: {}, writeType: 'CACHE_THROUGH'}, systemContext);
      else await files.makeDirectory(fromText(place), {}, systemContext);
      const writer = await files.create(path, {kind: 'file', length, writeType: 'CACHE_THROUGH'}, systemContext);
      await writer.write(before);
      await writer.commit({length});
      await files.setAttributes(path, {xattrs: {'user.mark': Buffer.from('mark')}}, {kind: 'file'}, systemContext);
      const info = await files.stat(path, {kind: 'file'}, context);
      inode = info.inode.id;
      const draft = await files.openDraft(info, {empty: false}, context);
      await draft.write(10, Buffer.from('changed'), context);
      machine.simulation.crashAt(point, 1, 'kill');
      await draft.publish(context);
    });
    await assert.rejects(killed, SimulatedCrash);
    machine.simulation.crashAt('never');
    await machine.life(async (instance) => {
      const info = await instance.files.stat(path, {kind: 'file'}, context);
      assert.deepEqual([info.inode.id, markOf(info.inode.xattrs)], [inode, 'mark']);
      assert.ok((await contentOf(instance, path)).equals(after));
      assert.deepEqual(await instance.blocks.drafts.left(), []);
      assert.deepEqual(await instance.worker.leftDrafts(), []);
    });
  });
}
