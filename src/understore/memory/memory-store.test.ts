import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {type ByteString, fromText} from '#base/byte-string.ts';
import {foldedPrefix, listKeys} from '#understore/memory/list-keys.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';

let ticks = 1n;
const clock = {nowNs: (): bigint => ticks++};
test('pages of any size say the same as one page', () => {
  const name = fc.array(fc.constantFrom('a', 'b', '/', '-', '\xff'), {minLength: 1, maxLength: 6}).map(parts => parts.join('') as ByteString);
  fc.assert(
    fc.property(fc.uniqueArray(name, {maxLength: 30}), fc.constantFrom('', 'a', 'a/', 'b/a'), fc.boolean(), fc.integer({min: 1, max: 5}), fc.option(name), (names, prefix, delimiter, limit, after) => {
      const keys = names.toSorted();
      const request = {prefix: prefix as ByteString, delimiter, ...(after === null ? {} : {after})};
      const seen: string[] = [];
      let continuation: string | undefined;
      do {
        const page = listKeys(keys, {...request, limit, ...(continuation === undefined ? {} : {continuation})}, 'ascending');
        assert.ok(page.keys.length + page.prefixes.length <= limit);
        seen.push(...[...page.keys, ...page.prefixes].toSorted());
        continuation = page.continuation;
      } while (continuation !== undefined);
      const skipped = after !== null && delimiter ? foldedPrefix(after, prefix as ByteString) : undefined;
      const expected = new Set(
        keys
          .filter(key => key.startsWith(prefix) && (after === null || key > after) && !(skipped !== undefined && key.startsWith(skipped)))
          .map(key => (delimiter ? foldedPrefix(key, prefix as ByteString) : undefined) ?? key),
      );
      assert.deepEqual(seen, [...expected].toSorted());
    }),
  );
});

test('counts what it was asked, and shows changes from outside', async () => {
  const store = new MemoryUnderStore({clock});
  const call = {signal: new AbortController().signal};
  store.outside.put(fromText('k'), Buffer.from('hello'));
  const read = await store.read(fromText('k'), {offset: 1, length: 2}, call);
  store.outside.put(fromText('k'), Buffer.from('other'));
  const chunks: Uint8Array[] = [];
  for await (const chunk of read.body) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'el', 'a read under way keeps its version');
  assert.equal(store.counters.requests.read, 1);
  assert.equal(store.counters.bytesRead, 2);
  assert.equal(store.counters.requests.write, 0);
});

test('has the directories above what was renamed, as a file system does', async () => {
  const store = new MemoryUnderStore({clock, capabilities: {directories: true, rename: 'tree'}});
  const options = {signal: new AbortController().signal};
  store.outside.put(fromText('a'), Buffer.from('A'));
  await store.rename(fromText('a'), fromText('d/e/a'), options);
  assert.deepEqual(store.outside.keys(), ['d/', 'd/e/', 'd/e/a']);
  await store.rename(fromText('d/e/'), fromText('t/u/'), options);
  assert.deepEqual(store.outside.keys(), ['d/', 't/', 't/u/', 't/u/a']);
});
