import assert from 'node:assert/strict';
import {test} from 'node:test';
import {toText} from '#base/byte-string.ts';
import {copySourceOf} from '#frontends/s3/copy-object.ts';

const read = (header: string): (string | undefined)[] => {
  const {bucket, key, version} = copySourceOf(header);
  return [bucket, toText(key), version];
};

test('a copy source: encoded or not, with and without the slash', () => {
  assert.deepEqual(read('b/a/key'), ['b', 'a/key', undefined]);
  assert.deepEqual(read('/b//a%2Fkey/'), ['b', '/a/key/', undefined]);
  assert.deepEqual(read('b%2Fk%C3%BC'), ['b', 'kü', undefined]);
  assert.deepEqual(read('b/with+space%2Bplus'), ['b', 'with space+plus', undefined]);
});

test('only a separator that is not encoded is one', () => {
  assert.deepEqual(read('b/k%3FversionId%3D1?versionId=null'), ['b', 'k?versionId=1', 'null']);
  assert.deepEqual(read('b/hash%23question%3FversionId%3Dx'), ['b', 'hash#question?versionId=x', undefined]);
});

test('what names no key is refused', () => {
  for (const header of ['', '/', 'b', 'b/', '/b/', 'b/%00', 'b/%FF', `b/${'x'.repeat(1025)}`]) assert.throws(() => copySourceOf(header), {code: 'InvalidArgument'}, header);
});
