import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fuseOptions} from '#cli/fuse-options.ts';

test('options of a mount: the later wins, what fstab says for others is passed over, what is unknown is refused', () => {
  assert.deepEqual(fuseOptions('dev,suid'), {readOnly: false, allowOther: true, passthrough: true, sharedLocks: false, shownAs: {umask: 0}, flags: ['dev', 'suid']});
  assert.deepEqual(fuseOptions('ro,noallow_other,noexec,defaults,nofail,x-systemd.automount,exec,nopassthrough'),
    {readOnly: true, allowOther: false, passthrough: false, sharedLocks: false, shownAs: {umask: 0}, flags: ['nosuid', 'nodev', 'exec']});
  assert.deepEqual(fuseOptions('uid=1000,gid=100,umask=027').shownAs, {uid: 1000, gid: 100, umask: 0o027});
  assert.equal(fuseOptions('shared_locks').sharedLocks, true);
  assert.equal(fuseOptions('subdir=/bucket/team').subdirectory, '/bucket/team');
  assert.deepEqual(fuseOptions('ro,rw').readOnly, false);
  for (const list of ['uid=0,fd=3', 'rootmode=0', 'umask=9', 'no such']) assert.throws(() => fuseOptions(list), /is not an option of a mount/);
});
