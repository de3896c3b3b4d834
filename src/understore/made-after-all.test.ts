import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {test} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import {madeAfterAll, recognising} from '#understore/made-after-all.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import {etagOfParts} from '#understore/parts/upload-parts.ts';

const key = asciiBytes('object');
const clock = {nowNs: () => 0n, sleep: async () => {}};
const {signal} = new AbortController();
const bytes = Buffer.from('what was written');
const sent = {length: bytes.length, etag: createHash('md5').update(bytes).digest('hex')};
const lost = () => new WeirError('Unavailable', 'the answer was lost');

test('a write whose answer is lost is recognised by what it wrote, and by nothing less', async () => {
  const faults = new Faults();
  const memory = new MemoryUnderStore({clock});
  const store = withFaults(memory, clock, faults);
  const write = async () => {
    const begun = recognising(await store.write({key, metadata: {}, length: bytes.length}, {signal}), store, key, signal);
    await begun.write(bytes);
    return begun;
  };
  faults.add({call: 'finish', times: 2, errorAfter: lost});
  assert.equal((await (await write()).finish(sent)).fingerprint, memory.outside.object(key)?.fingerprint);
  await assert.rejects((await write()).finish(), {kind: 'Unavailable'}, 'nobody said what was sent');
  faults.clear();
  memory.outside.put(key, Buffer.from('by somebody else'));
  faults.add({call: 'finish', error: lost});
  await assert.rejects((await write()).finish(sent), {kind: 'Unavailable'});
  assert.equal(Buffer.from(memory.outside.bytes(key)!).toString(), 'by somebody else');
});

test('an upload whose answer is lost is recognised by its parts; what the store refused is refused', async () => {
  const store = new MemoryUnderStore({clock});
  const id = await store.createUpload({key, metadata: {}}, {signal});
  const part = await store.uploadPart(key, id, 1, (async function* () { yield bytes; })(), bytes.length, {signal});
  const {fingerprint} = await store.completeUpload(key, id, [part], undefined, {signal});
  const parts = {length: bytes.length, etag: etagOfParts([part])};
  for (const kind of ['Timeout', 'PreconditionFailed', 'NotFound'] as const) assert.equal((await madeAfterAll(store, key, parts, new WeirError(kind, 'perhaps'), signal)).fingerprint, fingerprint);
  await assert.rejects(madeAfterAll(store, key, parts, new WeirError('NoSpace', 'no'), signal), {kind: 'NoSpace'});
  await assert.rejects(madeAfterAll(store, key, {...parts, length: 5}, lost(), signal), {kind: 'Unavailable'});
  await assert.rejects(madeAfterAll(store, key, {...parts, etag: undefined}, lost(), signal), {kind: 'Unavailable'});
  await assert.rejects(madeAfterAll(store, key, parts, lost(), AbortSignal.abort()), {kind: 'Unavailable'});
});
