import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {MiB} from '#base/units.ts';
import {makePolicy} from '#blockstore/eviction/make-policy.ts';
import {NodeTable} from '#blockstore/index/node-table.ts';
import {DeadEntries} from '#blockstore/segments/dead-entries.ts';
import {OpenSegments} from '#blockstore/segments/open-segments.ts';
import {Segment} from '#blockstore/segments/segment.ts';
import {Tier} from '#blockstore/tier.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

describe('open segments', () => {
  it('stay few, but for what is held or written, and open again when asked', async () => {
    await createSimulation(1).run(async (runtime) => {
      const tier = new Tier(0, {name: 'SSD', directory: '/cache', quotaBytes: 64 * MiB}, makePolicy('lru', new NodeTable()), runtime);
      await runtime.disk.makeDirectory('/cache/segments', {recursive: true});
      const open = new OpenSegments(3);
      const made: Segment[] = [];
      for (let number = 0; number < 8; number++) {
        const segment = new Segment(number, {tier, life: 1, number, dead: new DeadEntries()}, open, () => {});
        await segment.create();
        await segment.file!.write([Buffer.from([number])], 0);
        segment.sealed = true;
        made.push(segment);
      }
      assert.equal(open.count, 3);
      const isOpen = () => made.filter((segment) => segment.file).map((segment) => segment.number);
      made[0]!.hold();
      await made[0]!.open();
      made[1]!.sealed = false;
      await made[1]!.open();
      const byte = Buffer.alloc(1);
      for (let round = 0; round < 3; round++) {
        for (const segment of made) {
          assert.equal(await (await segment.open()).read(byte, 0), 1);
          assert.equal(byte[0], segment.number);
          assert.ok(open.count <= 3 && made[0]!.file && made[1]!.file, `open: ${isOpen().join(' ')}`);
        }
      }
      made[0]!.letGo();
      made[1]!.sealed = true;
      // What is read goes after what is not.
      made[0]!.recent = made[1]!.recent = false;
      await made[2]!.open();
      await made[3]!.open();
      assert.deepEqual(isOpen().length, 3);
      assert.ok(made[2]!.file && made[3]!.file);
      for (const segment of made) await segment.close();
      assert.equal(open.count, 0);
    });
  });
});
