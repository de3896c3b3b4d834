import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {WeirError} from '#base/errors.ts';
import {type Served, SupervisedMount, type SupervisedMountParts} from '#process/supervised-mount.ts';
import {whyElsewhere} from '#process/whereabouts.ts';

type Over = 'gone' | 'lost';

/** Who serves, in order: each is over when it is told to be; an error is what it is refused with. */
function supervised(rounds: readonly (PromiseWithResolvers<Over> | WeirError | undefined)[], {keep = false, dies = false} = {}) {
  const did: string[] = [];
  let next = 0;
  const note = (what: string) => async (): Promise<undefined> => void did.push(what);
  const parts = {
    runtime: {clock: {sleep: async () => undefined}, log: {warn: () => undefined}} as unknown as SupervisedMountParts['runtime'],
    async serve({goOn}: {readonly goOn: boolean}): Promise<Served | undefined> {
      did.push(goOn ? 'go on' : 'begin');
      const round = rounds[next++];
      if (round instanceof WeirError) throw round;
      if (!round) return undefined;
      const unmount = async (): Promise<void> => {
        if (dies) throw new WeirError('Unavailable', 'it has gone');
        did.push('unmount');
        round.resolve('gone');
      };
      return {over: round.promise, leave: note('leave'), unmount, close: note('close')};
    },
    takeOver: note('end what is left'),
    keepMount: () => keep,
  };
  return {did, start: () => SupervisedMount.start(parts)};
}

describe('a supervised mount', () => {
  it('ends when it has gone, and is not unmounted then', async () => {
    const round = Promise.withResolvers<Over>();
    const {did, start} = supervised([round]);
    const mount = await start();
    round.resolve('gone');
    await mount.ended;
    await mount[Symbol.asyncDispose]();
    assert.deepEqual(did, ['begin', 'close']);
  });

  it('is gone on with by the next who serves it, and ends where nothing is left', async () => {
    const rounds = [Promise.withResolvers<Over>(), new WeirError('Unavailable', 'not yet'), Promise.withResolvers<Over>(), undefined] as const;
    const {did, start} = supervised(rounds);
    const mount = await start();
    rounds[0].resolve('lost');
    rounds[2].resolve('lost');
    await mount.ended;
    await mount[Symbol.asyncDispose]();
    assert.deepEqual(did, ['begin', 'close', 'go on', 'go on', 'close', 'go on']);
  });

  it('is unmounted at the end of its supervisor, or left', async () => {
    for (const [keep, how] of [[false, 'unmount'], [true, 'leave']] as const) {
      const {did, start} = supervised([Promise.withResolvers()], {keep});
      await (await start())[Symbol.asyncDispose]();
      assert.deepEqual(did, ['begin', how, 'close']);
    }
  });

  it('is taken away by its supervisor where nobody serves it any more', async () => {
    const {did, start} = supervised([Promise.withResolvers()], {dies: true});
    await (await start())[Symbol.asyncDispose]();
    assert.deepEqual(did, ['begin', 'end what is left', 'close']);
  });

  it('is unmounted also when it is gone on with at that moment', async () => {
    const rounds = [Promise.withResolvers<Over>(), Promise.withResolvers<Over>()] as const;
    const {did, start} = supervised(rounds);
    const mount = await start();
    rounds[0].resolve('lost');
    while (!did.includes('go on')) await Promise.resolve();
    await mount[Symbol.asyncDispose]();
    assert.deepEqual(did.slice(0, 4), ['begin', 'close', 'go on', 'unmount']);
  });

  it('fails where its directory has gone meanwhile', async () => {
    const round = Promise.withResolvers<Over>();
    const mount = await supervised([round, new WeirError('NotFound', 'there is no such directory')]).start();
    round.resolve('lost');
    await assert.rejects(mount.ended, {kind: 'NotFound'});
    await mount[Symbol.asyncDispose]();
  });

  it('is not begun where that is refused', async () => {
    await assert.rejects(supervised([new WeirError('Busy', 'taken')]).start(), {kind: 'Busy'});
  });
});

describe('whether an instance can make the mounts of another process', () => {
  const here = {machine: 'm', mountNamespace: 'n', root: '1:2', uid: 0};

  it('takes the same machine, mount namespace, root and user', () => {
    assert.equal(whyElsewhere(here, {...here}), undefined);
    for (const [change, why] of [[{machine: 'o'}, /another machine/], [{mountNamespace: 'o'}, /mount namespace/], [{root: '3:4'}, /root directory/], [{uid: 1}, /another user/]] as const) {
      assert.match(whyElsewhere(here, {...here, ...change})!, why);
    }
    assert.match(whyElsewhere(undefined, here)!, /serves no mounts/);
  });
});
