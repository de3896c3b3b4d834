import assert from 'node:assert/strict';
import {test} from 'node:test';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {LookupResult} from '#contracts/master-api.ts';
import {HeldNames} from '#frontends/fuse/held-names.ts';
import {context} from '#master/fixture.test.ts';

const thread = 7;
const found = (id: number, kind = 'file') => ({info: {inode: {id, kind}}, validUntil: 0}) as unknown as LookupResult;

class Scene {
  readonly retained: number[] = [];
  readonly released: number[] = [];
  /** Inodes that go while they are about to be held. */
  readonly fleeting = new Set<number>();
  readonly opened = new Set<number>();
  readonly timers = new Set<() => void>();
  readonly names = new HeldNames({
    files: {
      retain: async (inode) => {
        if (this.fleeting.has(inode)) throw new WeirError('NotFound', 'it has gone');
        this.retained.push(inode);
        return found(inode).info as FileInfo;
      },
      release: async (inode) => void this.released.push(inode),
    },
    handles: {isHeld: (inode) => this.opened.has(inode), isEnding: () => false},
    clock: {after: (_ms, fn) => (this.timers.add(fn), {[Symbol.dispose]: () => void this.timers.delete(fn)})},
    origin: 'mount-1', log: {debug: (message) => assert.fail(message)},
  });

  async looked(...answers: LookupResult[]): Promise<number | undefined> {
    const queue = answers.values();
    return (await this.names.found(thread, async () => queue.next().value!, context)).info?.inode.id;
  }
}

test('what a refused thread finds stays for it, also when it has gone once more before it was held', async () => {
  const scene = new Scene();
  const {names} = scene;
  assert.equal(names.isLooking(thread), false);
  names.refused(thread);
  assert.deepEqual([names.isLooking(thread), names.isLooking(8)], [true, false]);
  assert.equal(await scene.looked(found(1, 'directory')), 1);
  scene.fleeting.add(2);
  assert.equal(await scene.looked(found(2), found(3)), 3);
  assert.deepEqual([names.holds(thread, 3 as InodeId), names.holds(8, 3 as InodeId), scene.retained], [true, false, [3]]);
  // The kernel looks twice where it finds another one.
  assert.equal(await scene.looked(found(4)), 4);
  assert.deepEqual(scene.released, [3]);
  scene.opened.add(4);
  names.opened(thread);
  assert.deepEqual([scene.released, names.isLooking(thread), scene.timers.size], [[3], false, 0]);
});

test('nothing is held for long for who does not come', async () => {
  const scene = new Scene();
  scene.names.refused(thread);
  await scene.looked(found(5));
  for (const fn of scene.timers) fn();
  assert.deepEqual([scene.released, scene.names.isLooking(thread)], [[5], false]);
  // Whoever looks up without having been refused takes what there is.
  assert.equal(await scene.looked(found(6)), 6);
  assert.deepEqual(scene.retained, [5]);
});
