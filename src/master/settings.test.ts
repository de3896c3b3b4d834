/** What a directory begins with comes into being with it, or not at all. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import {bytes, context, World} from '#master/fixture.test.ts';

test('a directory is made with its settings in one transaction; of two makers one wins, with its own', async () => {
  await new World().life(async (master) => {
    const make = (policy: string) => master.makeDirectory(bytes('/bucket/'), {existing: 'fail', settings: {policy, versioning: 'Enabled', 'object-lock': '{}'}}, context);
    const made = await Promise.allSettled([make('one'), make('two')]);
    const winner = made.findIndex(({status}) => status === 'fulfilled');
    assert.deepEqual(made.map(({status}) => status).toSorted(), ['fulfilled', 'rejected']);
    const {settings, revision} = await master.getSettings(bytes('/bucket/'), context);
    assert.deepEqual(settings, {policy: ['one', 'two'][winner], versioning: 'Enabled', 'object-lock': '{}'});
    const won = made[winner];
    assert.equal(won?.status === 'fulfilled' && won.value.inode.settings, revision);
    await master.makeDirectory(bytes('/bucket/'), {existing: 'keep', settings: {policy: 'three'}}, context);
    assert.equal((await master.getSettings(bytes('/bucket/'), context)).settings['policy'], ['one', 'two'][winner]);
  });
});

test('settings that cannot be leave nothing behind', async () => {
  await new World().life(async (master) => {
    await assert.rejects(master.makeDirectory(bytes('/bucket/'), {settings: {Policy: 'x'}}, context), (error) => isKind(error, 'InvalidArgument'));
    await assert.rejects(master.stat(bytes('/bucket/'), {}, context), (error) => isKind(error, 'NotFound'));
  });
});
