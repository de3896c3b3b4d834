import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {type ErrorKind, isKind} from '#base/errors.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import {createStoreRegistry} from '#understore/registry.ts';
import type {Connector, ConnectorEnvironment} from '#understore/under-store.ts';

const runtime = createNodeRuntime();
const kindIs = (kind: ErrorKind) => (error: unknown) => isKind(error, kind);
const environment: ConnectorEnvironment = {disk: runtime.disk, clock: runtime.clock, random: runtime.random, http: {request: () => Promise.reject(new Error('no network'))}, variables: {}};

function registry(): {stores: ReturnType<typeof createStoreRegistry>; loaded: () => number} {
  let loaded = 0;
  const connector: Connector = {
    schemes: ['mem'],
    options: {colour: {help: 'any'}, key: {help: 'a secret', secret: true}},
    describe: uri => ({place: uri, defaultName: 'mem'}),
    open: async () => new MemoryUnderStore({clock: runtime.clock}),
  };
  const load = async (): Promise<{connector: Connector}> => (loaded++, {connector});
  return {stores: createStoreRegistry({mem: load}, environment, runtime.metrics), loaded: () => loaded};
}

test('a connector is loaded when its scheme is first used', async () => {
  const {stores, loaded} = registry();
  assert.deepEqual(stores.schemes, ['mem']);
  await assert.rejects(stores.describe('other://x', {}), kindIs('InvalidArgument'));
  await assert.rejects(stores.describe('constructor://x', {}), kindIs('InvalidArgument'));
  await assert.rejects(stores.describe('no uri', {}), kindIs('InvalidArgument'));
  assert.equal(loaded(), 0);
  assert.deepEqual(await stores.describe('MEM://x', {colour: 'red', key: 'k'}), {place: 'MEM://x', defaultName: 'mem', secrets: ['key']});
  assert.equal(loaded(), 1);
});

test('options are checked, those of the connector and those of the layers', async () => {
  const {stores} = registry();
  const bad: Record<string, string>[] = [
    {color: 'red'}, {toString: 'x'}, {retries: '0'}, {retries: 'many'}, {requestsMax: '-1'}, {timeout: 'soon'}, {timeout: '0'}, {readBandwidth: 'fast'}, {writeBandwidth: '0'},
  ];
  for (const options of bad) {
    await assert.rejects(stores.describe('mem://x', options), kindIs('InvalidArgument'), JSON.stringify(options));
    await assert.rejects(stores.open('mem://x', options), kindIs('InvalidArgument'), JSON.stringify(options));
  }
  await stores.describe('mem://x', {retries: '3', requestsMax: '10', timeout: '5s', readBandwidth: '10MiB/s', writeBandwidth: '1GiB'});
});

test('an opened store works through all its layers, and is counted', async () => {
  const {stores} = registry();
  await using store = await stores.open('mem://x', {readBandwidth: '1GiB', writeBandwidth: '1GiB'});
  const call = {signal: new AbortController().signal};
  const write = await store.write({key: fromText('k'), metadata: {}}, call);
  await write.write(Buffer.from('hello'));
  await write.finish();
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.read(fromText('k'), {offset: 1}, call)).body) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'ello');
  const text = await runtime.metrics.render();
  assert.match(text, /weir_understore_requests_total\{[^}]*call="read"[^}]*\} 1/);
  assert.match(text, /weir_understore_bytes_total\{[^}]*direction="read"[^}]*\} 4/);
});
