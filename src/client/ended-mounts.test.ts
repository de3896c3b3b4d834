import assert from 'node:assert/strict';
import test from 'node:test';
import type {InodeId} from '#base/ids.ts';
import {EndedMounts, type EndedMountsParts} from '#client/ended-mounts.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import {context} from '#master/fixture.test.ts';

const draft: DraftInfo = {draft: 3, inode: 7 as InodeId, length: 1, modified: 0n};

/** What was done about the drafts of `mount-1`, of which nothing else is known. */
async function outcome(isBack: boolean, use: (ended: EndedMounts, passed: () => void) => Promise<void>): Promise<readonly string[]> {
  const said: string[] = [];
  const waiting = Promise.withResolvers<void>();
  const parts = {
    draftsOf: (holder: string) => (holder === 'mount-1' ? [draft] : []),
    isBack: () => isBack,
    clock: {
      sleep: async (_ms: number, {signal}: {signal: AbortSignal}) => {
        said.push('waited');
        signal.addEventListener('abort', () => waiting.resolve());
        await waiting.promise;
      },
    },
    log: {warn: () => undefined, error: () => undefined},
    master: {statInode: () => Promise.reject(new Error('not asked for here')), pathOf: () => Promise.reject(new Error('nor this')), stat: () => Promise.reject(new Error('nor that'))},
    worker: {},
  } as unknown as EndedMountsParts;
  const log = {...parts.log, warn: () => void said.push('published')};
  const ended = new EndedMounts({...parts, log}, context);
  await use(ended, () => waiting.resolve());
  await ended[Symbol.asyncDispose]();
  return said;
}

const turn = () => new Promise(resolve => setImmediate(resolve));

test('what a mount was writing that has died is published, when it has not come back for a while', async () => {
  const ended = async (mounts: EndedMounts, passed: () => void): Promise<void> => {
    mounts.ended('mount-2');
    mounts.ended('mount-1');
    passed();
    await turn();
  };
  assert.deepEqual(await outcome(false, ended), ['waited', 'published']);
  assert.deepEqual(await outcome(true, ended), ['waited']);
});

test('an instance that ends leaves it to the next one', async () => {
  assert.deepEqual(await outcome(false, async mounts => mounts.ended('mount-1')), ['waited']);
});
