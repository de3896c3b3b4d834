/** A home restored from a backup, beside stores that have gone on since: what they have is shown, and nothing that went with the cache. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {systemContext} from '#contracts/context.ts';
import {type Instance, Machine} from '#process/machine/fixture.test.ts';

async function put({files}: Instance, path: string, text: string): Promise<void> {
  const writer = await files.create(fromText(path), {kind: 'file', parents: 'implied', length: text.length}, systemContext);
  await writer.write(Buffer.from(text));
  await writer.commit({length: text.length});
}

async function shown({files}: Instance): Promise<Record<string, number>> {
  const {entries} = await files.list({directory: fromText('/home/'), view: 'tree', limit: 100}, systemContext);
  return Object.fromEntries(entries.flatMap((entry) => ('info' in entry ? [[entry.key, entry.info.length]] : [])));
}

test('shows what the home\'s own store has by now, and no upload whose parts the cache had', async () => {
  const machine = new Machine(1, randomFrom(1));
  const backup: Uint8Array[] = [];
  const uploaded = fromText('/home/upload');
  await machine.life(async (instance) => {
    const {files} = instance;
    await files.makeDirectory(fromText('/home/'), {}, systemContext);
    for (const name of ['changed', 'removed', 'same']) await put(instance, `/home/${name}`, 'before');
  });
  // In this life nothing has been written through to the store yet, which would have it asked again anyway.
  await machine.life(async (instance) => {
    const {files, master} = instance;
    assert.deepEqual(await shown(instance), {changed: 6, removed: 6, same: 6});
    const {uploadId} = await files.createUpload(uploaded, {kind: 'file', parents: 'implied', writeType: 'ASYNC_THROUGH'}, systemContext);
    const part = await files.uploadPart(uploaded, uploadId, 1, {length: 3}, systemContext);
    await part.write(Buffer.from('one'));
    await part.commit({length: 3});
    backup.push(...(await Array.fromAsync(master.backup(systemContext))));
    await put(instance, '/home/changed', 'changed since');
    await put(instance, '/home/made', 'made since');
    await files.remove(fromText('/home/removed'), {kind: 'file'}, systemContext);
  });
  await machine.restore(backup);
  await machine.life(async (instance) => {
    assert.deepEqual(await shown(instance), {changed: 13, made: 10, same: 6});
    assert.deepEqual(await instance.files.listUploads({directory: fromText('/'), limit: 10}, systemContext), []);
  });
});
