/** What a mount says of its locks to a master that has begun anew. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import {systemContext} from '#contracts/context.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import {KeptState} from '#frontends/fuse/kept-state.ts';
import {MountLocks} from '#frontends/fuse/mount-locks.ts';
import {Locks} from '#master/locks.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const inode = 5 as InodeId;
const {signal} = systemContext;
const request = (pid: number, type: LockRequest['type']): LockRequest => ({inode, whole: false, holder: 'mount', owner: String(pid), type, pid, start: 0, end: 9});

test('who was granted a lock has it, also where nobody was told that another has let it go', async () => {
  const mount = new MountLocks(KeptState.begin(undefined, 'mount', 1 as InodeId));
  const before = new Locks();
  await before.lock(request(1, 'write'), false, signal);
  mount.note(request(1, 'write'));
  const waiting = before.lock(request(2, 'write'), true, signal);
  // The answer to this is lost with the connection.
  await before.lock(request(1, 'none'), false, signal);
  await waiting;
  mount.note(request(2, 'write'));
  const after = new Locks();
  const simulation = createSimulation(1);
  const files = {lock: async (asked: LockRequest, {wait}: {readonly wait: boolean}) => (await after.lock(asked, wait, signal)) ?? null} as unknown as FileSystem;
  await mount.sayAgain({files, origin: 'mount', log: simulation.runtime.log}, systemContext);
  assert.deepEqual(simulation.log, []);
  // Sent again, as nobody answered it.
  await after.lock(request(1, 'none'), false, signal);
  assert.equal((await after.lock(request(3, 'write'), false, signal))?.pid, 2);
});
