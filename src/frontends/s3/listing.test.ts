/** Listings of both versions, page by page, against a sorted array and the words of the S3 API reference. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {CreateBucketCommand, DeleteObjectsCommand, ListObjectsCommand, ListObjectsV2Command, PutObjectCommand} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import {Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'lists'}));
});
after(() => gateway[Symbol.asyncDispose]());

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
const bytewise = (a: string, b: string): boolean => compare(a, b) > 0;

interface Question {
  readonly prefix: string;
  readonly delimiter: string;
  readonly start: string;
  readonly maxKeys: number;
}

/** All keys and common prefixes, in order, that a listing shows from the beginning to the end. */
function expected(keys: readonly string[], {prefix, delimiter, start}: Question): string[] {
  const shown = new Set<string>();
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? key : key.slice(0, cut + delimiter.length);
    // A prefix is left out when the marker is it, or lies behind all of it; not when the marker lies within.
    if (start !== '' && !bytewise(name, start) && !(cut >= 0 && start.startsWith(name) && start !== name && bytewise(key, start))) continue;
    shown.add(name);
  }
  return [...shown].toSorted(compare);
}

const part = fc.constantFrom('a', 'b', 'a b', 'é', '+', '%2F', '.', '..', '', '\u{1F600}', '-', '0');
const keyOf = fc.tuple(fc.array(part, {minLength: 1, maxLength: 4}), fc.constantFrom('/', '-')).map(([parts, joint]) => parts.join(joint)).filter((key) => key !== '' && !key.startsWith('/'));
const questionOf = (keys: readonly string[]) => {
  const some = fc.oneof(fc.constant(''), keyOf, ...(keys.length > 0 ? [fc.constantFrom(...keys), fc.constantFrom(...keys).map((key) => key.slice(0, key.indexOf('/') + 1))] : []));
  return fc.record<Question>({prefix: some, delimiter: fc.constantFrom('', '/', '/', '-', 'a'), start: some, maxKeys: fc.integer({min: 1, max: 5})});
};
const cases = fc.uniqueArray(keyOf, {maxLength: 14}).chain((keys) => fc.tuple(fc.constant(keys), fc.array(questionOf(keys), {minLength: 4, maxLength: 8})));

test('any listing, in pages of any size, shows what a sorted array does', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ([keys, questions]) => {
      for (const Key of keys) await gateway.sdk.send(new PutObjectCommand({Bucket: 'lists', Key, Body: Buffer.from(Key)}));
      try {
        for (const question of questions) {
          const wanted = expected(keys, question);
          assert.deepEqual(await pagesV2(question), wanted, `V2 ${JSON.stringify([keys, question])}`);
          assert.deepEqual(await pagesV1(question), wanted, `V1 ${JSON.stringify([keys, question])}`);
        }
      } finally {
        if (keys.length > 0) await gateway.sdk.send(new DeleteObjectsCommand({Bucket: 'lists', Delete: {Objects: keys.map((Key) => ({Key}))}}));
      }
      assert.deepEqual(await pagesV2({prefix: '', delimiter: '', start: '', maxKeys: 5}), []);
    }),
    {numRuns: 40},
  );
});

function inOrder(page: {Contents?: {Key?: string | undefined}[] | undefined; CommonPrefixes?: {Prefix?: string | undefined}[] | undefined}, url: boolean): string[] {
  const text = (name: string | undefined): string => (url ? decodeURIComponent(name!) : name!);
  return [...(page.Contents ?? []).map(({Key}) => text(Key)), ...(page.CommonPrefixes ?? []).map(({Prefix}) => text(Prefix))].toSorted(compare);
}

const base = ({prefix, delimiter, maxKeys}: Question) => ({Bucket: 'lists', MaxKeys: maxKeys, ...(prefix === '' ? {} : {Prefix: prefix}), ...(delimiter === '' ? {} : {Delimiter: delimiter})});

async function pagesV2(question: Question): Promise<string[]> {
  const found: string[] = [];
  for (let ContinuationToken: string | undefined; ; ) {
    const page = await gateway.sdk.send(new ListObjectsV2Command({...base(question), ...(question.start === '' ? {} : {StartAfter: question.start}), ...(ContinuationToken === undefined ? {} : {ContinuationToken})}));
    const names = inOrder(page, false);
    assert.equal(page.KeyCount, names.length);
    assert.equal(names.length === question.maxKeys || page.IsTruncated === false, true, 'only the last page is short');
    found.push(...names);
    if (!page.IsTruncated) return found;
    ContinuationToken = page.NextContinuationToken;
    assert.ok(ContinuationToken);
  }
}

async function pagesV1(question: Question): Promise<string[]> {
  const found: string[] = [];
  for (let Marker = question.start; ; ) {
    const page = await gateway.sdk.send(new ListObjectsCommand({...base(question), EncodingType: 'url', ...(Marker === '' ? {} : {Marker})}));
    const names = inOrder(page, true);
    found.push(...names);
    if (!page.IsTruncated) return found;
    assert.equal(page.NextMarker === undefined, question.delimiter === '', 'NextMarker comes with a delimiter only');
    Marker = page.NextMarker === undefined ? names.at(-1)! : decodeURIComponent(page.NextMarker);
  }
}
