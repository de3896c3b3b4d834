import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {countTags, decodeTags, encodeTags, parseTagging, parseTaggingHeader, taggingXml, type Tag} from '#codec/s3/tagging.ts';

const word = fc.stringMatching(/^[a-zA-Z0-9 äé_.:/=+@-]{1,20}$/);
const tags = fc.uniqueArray(fc.record({key: word, value: fc.oneof(fc.constant(''), word)}, {noNullPrototype: true}), {selector: ({key}) => key, maxLength: 10});
const xml = (list: readonly Tag[]) => Buffer.from(taggingXml(list));
const refused = (code: string, run: () => unknown) => assert.throws(run, {code});

test('tags come back, from XML, headers and as they are kept', () => {
  fc.assert(
    fc.property(tags, (list) => {
      assert.deepEqual(parseTagging(xml(list), 'object'), list);
      assert.deepEqual(parseTaggingHeader(encodeTags(list)), list);
      assert.deepEqual(decodeTags(encodeTags(list)), list);
      assert.equal(countTags(Buffer.from(encodeTags(list))), list.length);
    }),
  );
  assert.deepEqual(parseTaggingHeader('a=1&b&c=%2B+'), [{key: 'a', value: '1'}, {key: 'b', value: ''}, {key: 'c', value: '+ '}]);
});

test('tags that S3 does not take', () => {
  const many = (count: number) => Array.from({length: count}, (_, i) => ({key: `k${i}`, value: ''}));
  refused('BadRequest', () => parseTagging(xml(many(11)), 'object'));
  assert.equal(parseTagging(xml(many(50)), 'bucket').length, 50);
  refused('BadRequest', () => parseTagging(xml(many(51)), 'bucket'));
  const wrong = [{key: '', value: ''}, {key: 'k'.repeat(129), value: ''}, {key: 'k', value: 'v'.repeat(257)}, {key: 'k;', value: ''}, {key: 'k', value: '<'}];
  for (const tag of wrong) refused('InvalidTag', () => parseTagging(xml([tag]), 'object'));
  refused('InvalidTag', () => parseTagging(xml([{key: 'k', value: '1'}, {key: 'k', value: '2'}]), 'object'));
  const broken = ['<Tagging/>', '<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>', '<Tagging><TagSet><X/></TagSet></Tagging>', '<Other/>'];
  for (const text of broken) refused('MalformedXML', () => parseTagging(Buffer.from(text), 'object'));
  for (const header of ['a=1&a=2', '=1', 'a=%zz']) refused('InvalidArgument', () => parseTaggingHeader(header));
});
