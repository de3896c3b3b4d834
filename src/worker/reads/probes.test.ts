import assert from 'node:assert/strict';
import {test} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {systemContext} from '#contracts/context.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';
import type {StoreRead, UnderStore} from '#understore/under-store.ts';
import {LinkEstimate} from '#worker/fills/link-estimate.ts';
import {Probes} from '#worker/reads/probes.ts';

const mount = 1 as MountId;
const key = asciiBytes('k');

test('a probe that the store is slow to answer is not shared by who asks when it is too old', () => createSimulation(1).run(async ({clock}) => {
  const asked: PromiseWithResolvers<StoreRead>[] = [];
  const store = {capabilities: {localFile: false}, read: () => {
    const answer = Promise.withResolvers<StoreRead>();
    asked.push(answer);
    return answer.promise;
  }} as unknown as UnderStore;
  const version = (fingerprint: string): StoreRead => ({
    object: {kind: 'file', key, length: 1, fingerprint, etag: fingerprint, checksums: {}, modified: 0n}, body: (async function* () {})(),
  }) as unknown as StoreRead;
  const probes = new Probes({get: () => store, isOurs: () => false}, clock, () => new LinkEstimate());
  const probe = async (ageMsMax: number): Promise<string | undefined> => (await probes.probe(mount, key, {offset: 0}, ageMsMax, systemContext)).observation.object?.fingerprint;
  const first = probe(1_000);
  const second = probe(1_000);
  await clock.sleep(500);
  const third = probe(1_000);
  assert.equal(asked.length, 1);
  await clock.sleep(600);
  const late = probe(1_000);
  const beside = probe(Number.MAX_SAFE_INTEGER);
  assert.equal(asked.length, 2);
  asked[1]!.resolve(version('new'));
  assert.equal(await late, 'new');
  asked[0]!.resolve(version('old'));
  assert.deepEqual(await Promise.all([first, second, third, beside]), ['old', 'old', 'old', 'old']);
  const strict = [probe(0)];
  await clock.sleep(1);
  strict.push(probe(0));
  assert.equal(asked.length, 4);
  for (const answer of asked.slice(2)) answer.resolve(version('newest'));
  assert.deepEqual(await Promise.all(strict), ['newest', 'newest']);
  probes.close();
}));
