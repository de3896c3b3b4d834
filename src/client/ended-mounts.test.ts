import assert from 'node:assert/strict';
import test from 'node:test';
import type {InodeId} from '#base/ids.ts';
import type {FileDraft} from '#client/file-system.ts';
import {EndedMounts, type EndedMountsParts} from '#client/ended-mounts.ts';
import {context} from '#master/fixture.test.ts';

const inode = 7 as InodeId;

interface World {
  isBack: boolean;
  /** For so many times that it is asked. */
  kept: number;
}

const turn = () => new Promise(resolve => setImmediate(resolve));

/** What was done about the drafts of `mount-1`, of which nothing else is known. Time passes as soon as somebody waits, unless `still`. */
async function outcome(world: World, {gone, still = false}: {readonly gone: readonly string[]; readonly still?: boolean}): Promise<readonly string[]> {
  const said: string[] = [];
  const draft = {inode, dirty: true, publish: async () => void said.push('published'), close: async ({keep}: {readonly keep: boolean}) => void said.push(keep ? 'kept' : 'closed')} as unknown as FileDraft;
  const parts = {
    draftsOf: (holder: string) => (holder === 'mount-1' ? [draft] : []),
    isBack: () => world.isBack,
    isKept: async () => world.kept-- > 0,
    letGo: async (holder: string) => void said.push(`${holder} let go`),
    clock: {
      sleep: async (ms: number, {signal}: {signal: AbortSignal}) => {
        said.push(`waited ${ms}`);
        if (still) await new Promise(resolve => signal.addEventListener('abort', resolve));
      },
    },
    log: {warn: () => undefined, error: () => undefined},
    ended: () => undefined,
  } as unknown as EndedMountsParts;
  const ended = new EndedMounts(parts, context);
  for (const holder of gone) ended.gone(holder);
  await turn();
  await ended[Symbol.asyncDispose]();
  return said;
}

test('what a mount was writing that has died is published, when it has not come back for a while', async () => {
  assert.deepEqual(await outcome({isBack: false, kept: 0}, {gone: ['mount-1']}), ['mount-1 let go', 'waited 5000', 'published', 'kept']);
  assert.deepEqual(await outcome({isBack: false, kept: 0}, {gone: ['mount-2']}), ['mount-2 let go']);
});

test('one that is back has lost nothing', async () => {
  assert.deepEqual(await outcome({isBack: true, kept: 0}, {gone: ['mount-1']}), []);
});

test('what a mount has that is kept stays as it is until it is kept no more', async () => {
  assert.deepEqual(await outcome({isBack: false, kept: 2}, {gone: ['mount-1', 'mount-1']}), ['waited 1000', 'waited 1000', 'mount-1 let go', 'waited 5000', 'published', 'kept']);
});

test('an instance that ends leaves it to the next one', async () => {
  assert.deepEqual(await outcome({isBack: false, kept: 0}, {gone: ['mount-1'], still: true}), ['mount-1 let go', 'waited 5000']);
  assert.deepEqual(await outcome({isBack: false, kept: 9}, {gone: ['mount-1'], still: true}), ['waited 1000']);
});
