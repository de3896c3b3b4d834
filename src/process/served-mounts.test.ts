import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import {systemContext} from '#contracts/context.ts';
import type {DirectoryOptions} from '#contracts/mounts-api.ts';
import {ServedMounts, type ServedMountsParts} from '#process/served-mounts.ts';
import type {FuseDevice} from '#runtime/fuse.ts';

const here = {machine: 'm', mountNamespace: 'n', root: '1:2', uid: 0};
const options = (directory: string, readOnly = false): DirectoryOptions => ({directory, readOnly, allowOther: true, passthrough: false, sharedLocks: false, shownAs: {umask: 0}, flags: []});

/** A kernel that mounts, and asks for nothing. */
function instance() {
  const did: string[] = [];
  const device = (directory: string): FuseDevice => {
    let ended: () => void;
    const gone = (what: string) => {
      did.push(`${what} ${directory}`);
      ended();
    };
    const made: Partial<FuseDevice> = {
      user: undefined, kept: {read: into => void into.fill(0), write: () => undefined}, writeBytesMax: 4096, start: (_, end) => void (ended = end),
      leave: async () => void did.push(`leave ${directory}`), [Symbol.asyncDispose]: async () => gone('unmount'),
    };
    return made as FuseDevice;
  };
  const log = {debug() {}, info() {}, warn() {}, error() {}, child: () => log};
  const parts = {
    files: {}, keeper: '/mounts', whereabouts: here, recovering: {inodes: [], done: Promise.resolve()},
    runtime: {
      // Who waits waits in vain.
      clock: {sleep: async () => undefined, nowMs: () => 0, monotonicMs: () => 0}, random: {id: () => String(did.length)}, metrics: {gauge() {}, counterFrom() {}}, log,
    },
    fuse: () => ({
      takeOver: async () => undefined, isDead: async () => false,
      mount: async ({directory}: DirectoryOptions) => {
        did.push(`mount ${directory}`);
        return device(directory);
      },
    }),
  };
  return {did, mounts: new ServedMounts(parts as unknown as ServedMountsParts)};
}

/** Whoever asks for a mount, until it is told to go. */
function asking(mounts: ServedMounts, asked: DirectoryOptions, {from = here, goOn = false} = {}) {
  const gone = new AbortController();
  const news = mounts.serve(asked, {from, goOn}, {...systemContext, signal: gone.signal});
  return {next: () => news.next(), go: () => gone.abort()};
}

const mounted = {done: false, value: {mounted: true}};
const over = {done: true, value: undefined};

describe('the mounts that an instance serves', () => {
  it('are told of until they have gone', async () => {
    const {did, mounts} = instance();
    const asker = asking(mounts, options('/a'));
    assert.deepEqual(await asker.next(), mounted);
    const rest = asker.next();
    await mounts.unmount('/a');
    assert.deepEqual(await rest, over);
    await mounts.unmount('/a');
    assert.deepEqual(did, ['mount /a', 'unmount /a']);
    assert.deepEqual(await mounts.listServed(), []);
  });

  it('have one who supervises them at a time, and stay for the next', async () => {
    const {did, mounts} = instance();
    const first = asking(mounts, options('/a'));
    await first.next();
    await assert.rejects(asking(mounts, options('/a')).next(), {kind: 'Busy'});
    const rest = first.next();
    first.go();
    await rest;
    const second = asking(mounts, options('/a'));
    assert.deepEqual(await second.next(), mounted);
    assert.deepEqual(did, ['mount /a']);
    const end = second.next();
    second.go();
    await end;
    assert.deepEqual(await asking(mounts, options('/a', true)).next(), mounted);
    assert.deepEqual(did, ['mount /a', 'unmount /a', 'mount /a'], 'with other options it is another mount');
  });

  it('are not made where there was one that has been taken away, nor for those elsewhere, nor without bound', async () => {
    const {did, mounts} = instance();
    assert.deepEqual(await asking(mounts, options('/a'), {goOn: true}).next(), over);
    await assert.rejects(asking(mounts, options('/a'), {from: {...here, uid: 1}}).next(), {kind: 'PermissionDenied'});
    assert.deepEqual(did, []);
    for (let i = 0; i < 64; i++) await asking(mounts, options(`/${i}`)).next();
    await assert.rejects(asking(mounts, options('/a')).next(), {kind: 'Overloaded'});
  });

  it('end with the instance, or are left to the next one', async () => {
    for (const keep of [false, true]) {
      const {did, mounts} = instance();
      await mounts.serveOwn(options('/own'));
      await assert.rejects(asking(mounts, options('/own')).next(), {kind: 'Busy'});
      const asker = asking(mounts, options('/a'));
      await asker.next();
      const rest = asker.next();
      const told = keep ? assert.rejects(rest, error => isKind(error, 'Unavailable')) : rest.then(last => assert.deepEqual(last, over));
      if (keep) await mounts.leave();
      await mounts[Symbol.asyncDispose]();
      await told;
      const how = keep ? 'leave' : 'unmount';
      assert.deepEqual(did, ['mount /own', 'mount /a', `${how} /own`, `${how} /a`]);
      await assert.rejects(asking(mounts, options('/b')).next(), {kind: 'Unavailable'});
    }
  });
});
