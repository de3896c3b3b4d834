/** Small objects under ASYNC_THROUGH, whose bytes the change log carries until the cache has synced them: what was acknowledged survives power loss at any moment, and again. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import type {FileSystem} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {systemContext} from '#contracts/context.ts';
import {Machine, settled} from '#process/machine/fixture.test.ts';
import {randomFrom} from '#blockstore/fixture.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const lives = 5;
const longestMs = 160;
const writers = 4;

const path = (name: number) => fromText(`/home/a/file-${name}`);
const bytesOf = (name: number): Buffer => Buffer.alloc(100 + (name % 7) * 1000, `object ${name} `);

for (const seed of [1, 2]) {
  test(`acknowledged small objects survive power loss, seed ${seed}`, async () => {
    const random = randomFrom(seed);
    const machine = new Machine(seed, random);
    let next = 0;
    const acknowledged: number[] = [];
    for (let life = 0; life < lives; life++) {
      await assert.rejects(machine.life(async ({files, runtime}) => {
        for (const name of acknowledged) await check(files, name);
        await files.makeDirectory(fromText('/home/a/'), {parents: true}, systemContext).catch(() => undefined);
        runtime.clock.after(Math.floor(random() * longestMs), () => machine.simulation.crash());
        await Promise.all(Array.from({length: writers}, async () => {
          for (;;) {
            const name = next++;
            const bytes = bytesOf(name);
            const options = {kind: 'file', parents: 'implied', length: bytes.length, writeType: 'ASYNC_THROUGH'} as const;
            const writer = files.createNow(path(name), options, systemContext) ?? (await files.create(path(name), options, systemContext));
            await writer.write(bytes);
            await writer.commit({length: bytes.length});
            acknowledged.push(name);
          }
        }));
      }), SimulatedCrash);
    }
    assert.ok(acknowledged.length > lives, 'something was acknowledged');
    await machine.life(async (instance) => {
      assert.deepEqual(await settled(instance, 60_000), []);
      for (const name of acknowledged) await check(instance.files, name);
    });
  });
}

async function check(files: FileSystem, name: number): Promise<void> {
  const bytes = bytesOf(name);
  const range = {offset: 0, length: bytes.length};
  await using file = await files.open(path(name), {range}, systemContext);
  assert.equal(file.info.length, bytes.length);
  const read = await Array.fromAsync(bodyChunks(await file.read(range, systemContext)), (chunk) => Buffer.from(chunk));
  assert.equal(Buffer.compare(Buffer.concat(read), bytes), 0, `object ${name}`);
}
