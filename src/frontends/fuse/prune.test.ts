import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import {notification} from '#codec/fuse/abi.ts';
import {prune} from '#frontends/fuse/prune.ts';
import {Remembered} from '#frontends/fuse/remembered.ts';
import type {MountServices} from '#frontends/fuse/request.ts';

const validUntil = 60_000;

/** A kernel that never forgets by itself, and cannot forget what is in use. */
function mounted(minor: number, budget: number, inUse: (node: number) => boolean) {
  const remembered = new Remembered(() => 0, {nodes: budget});
  remembered.minor = minor;
  remembered.following = true;
  let asked = 0;
  const device = {
    notify: (code: number, body: Uint8Array) => {
      assert.equal(code, notification.prune);
      const view = Buffer.from(body);
      for (let i = 0; i < view.readUInt32LE(0); i++) {
        const node = Number(view.readBigUInt64LE(16 + i * 8));
        asked++;
        if (!inUse(node)) remembered.forget(node as InodeId, 1);
      }
      return Promise.resolve();
    },
  };
  const services = {remembered, device, numbered: (node: number) => node} as unknown as MountServices;
  const walk = async (from: number, to: number): Promise<number> => {
    let believed = 0;
    for (let node = from; node < to; node++) {
      if (remembered.node(node as InodeId, validUntil) > 0) believed++;
      if (remembered.crowded) await prune(services);
    }
    return believed;
  };
  return {remembered, walk, asked: () => asked};
}

test('a walk over ten times the budget stays within it, and every answer is believed', async () => {
  const {remembered, walk, asked} = mounted(45, 2_000, node => node === 1);
  assert.equal(await walk(2, 20_002), 20_000);
  assert.ok(remembered.count <= 2_000 && remembered.count >= 1_400, `${remembered.count} nodes`);
  assert.ok(asked() < 25_000);
});

test('what is in use is kept; the budget holds, and nobody is asked all the time', async () => {
  const {remembered, walk, asked} = mounted(45, 2_000, () => true);
  assert.ok((await walk(2, 20_002)) < 2_000);
  assert.equal(remembered.count, 2_000);
  assert.ok(asked() < 5_000, `${asked()} asked for`);
});

test('a kernel that does not know how is not asked', async () => {
  const {remembered, walk, asked} = mounted(44, 2_000, () => false);
  await walk(2, 20_002);
  assert.deepEqual([remembered.count, asked()], [2_000, 0]);
});
