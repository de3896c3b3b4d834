import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {S3Error} from '#codec/s3/s3-error.ts';
import {parseCompleteMultipartUpload, parseDelete} from '#codec/s3/xml-read.ts';
import {parseCreateBucket} from '#codec/s3/create-bucket.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';

const malformed = (run: () => unknown) => assert.throws(run, (error) => error instanceof S3Error && error.code === 'MalformedXML');
const bytes = (text: string) => Buffer.from(text, 'utf8');
const part = (inner: string) => parseCompleteMultipartUpload(bytes(xmlDocument('CompleteMultipartUpload', `<Part>${inner}</Part>`)));

test('parts, with every way of quoting an ETag', () => {
  const sent = ['"e1"', '&quot;e1&quot;', '&#34;e1&#34;', '<![CDATA["e1"]]>'];
  for (const etag of sent) assert.deepEqual(part(`<ETag>${etag}</ETag><PartNumber> 7 </PartNumber>`), [{partNumber: 7, etag: 'e1', checksums: {}}]);
  assert.deepEqual(part('<PartNumber>10000</PartNumber><ETag>e</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32><constructor>x</constructor><__proto__>y</__proto__>'), [
    {partNumber: 10_000, etag: 'e', checksums: {crc32: 'AAAAAA=='}},
  ]);
  for (const wrong of ['', '<PartNumber>1</PartNumber>', '<ETag>e</ETag>', ...['1234567890', '1.5', '', '1e3'].map((number) => `<ETag>e</ETag><PartNumber>${number}</PartNumber>`)]) malformed(() => part(wrong));
  for (const number of ['0', '-1']) assert.throws(() => part(`<ETag>e</ETag><PartNumber>${number}</PartNumber>`), {code: 'InvalidArgument'});
});

test('ten thousand parts and no more', () => {
  const parts = (count: number) => bytes(xmlDocument('CompleteMultipartUpload', Array.from({length: count}, (_, i) =>
    `<Part><PartNumber>${Math.min(i + 1, 10_000)}</PartNumber><ETag>e</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>`).join('')));
  assert.equal(parseCompleteMultipartUpload(parts(10_000)).length, 10_000);
  malformed(() => parseCompleteMultipartUpload(parts(10_001)));
  malformed(() => parseCompleteMultipartUpload(parts(0)));
});

test('keys to delete come back as they were written', () => {
  const key = fc.string({unit: 'binary', minLength: 1, maxLength: 40}).filter((text) => !/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text));
  fc.assert(fc.property(fc.array(key, {minLength: 1, maxLength: 5}), fc.boolean(), (keys, quiet) => {
    const xml = xmlDocument('Delete', element('Quiet', quiet) + keys.map((one) => `<Object>${element('Key', one)}</Object>`).join(''));
    assert.deepEqual(parseDelete(bytes(xml)), {quiet, objects: keys.map((one) => ({key: one}))});
  }), {numRuns: 300});
  const all = '<Object><Key>k</Key><VersionId>null</VersionId><ETag>e</ETag><Size>5</Size><LastModifiedTime>t</LastModifiedTime></Object>';
  assert.deepEqual(parseDelete(bytes(`<Delete>${all}</Delete>`)).objects, [{key: 'k', versionId: 'null', etag: 'e', size: '5', lastModified: 't'}]);
  const objects = (count: number) => bytes(`<Delete>${'<Object><Key>k</Key></Object>'.repeat(count)}</Delete>`);
  assert.equal(parseDelete(objects(1000)).objects.length, 1000);
  for (const wrong of [objects(0), objects(1001), bytes('<Delete><Object/></Delete>'), bytes('<Remove><Object><Key>k</Key></Object></Remove>')]) malformed(() => parseDelete(wrong));
});

test('where a bucket shall be', () => {
  assert.deepEqual(parseCreateBucket(bytes('<CreateBucketConfiguration><LocationConstraint>eu-1</LocationConstraint></CreateBucketConfiguration>')), {locationConstraint: 'eu-1'});
  assert.deepEqual(parseCreateBucket(bytes('<s:CreateBucketConfiguration xmlns:s="x"><s:LocationConstraint/></s:CreateBucketConfiguration>')), {});
});

test('bombs and garbage', () => {
  const key = (inner: string, before = '') => bytes(`${before}<Delete><Object><Key>${inner}</Key></Object></Delete>`);
  const laughs = '<!DOCTYPE Delete [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>';
  for (const wrong of [
    key('&b;', laughs), key('k', laughs), key('k', '<!DOCTYPE Delete SYSTEM "file:///etc/passwd">'), key('&b;'), key('&nbsp;'), key('&#0;'), key('&#x110000;'), key('\0'), key('<a>'.repeat(1000)),
    key('a'.repeat(5000)), key('<a>'.repeat(9) + '</a>'.repeat(9)), bytes(''), bytes('k'), bytes('<Delete>'), bytes('<Delete/><Delete/>'), bytes(`<Delete>${'<a/>'.repeat(100_000)}</Delete>`),
    Buffer.concat([bytes('<Delete><Object><Key>'), Buffer.from([0xf0, 0x9f, 0x92]), bytes('</Key></Object></Delete>')]),
  ]) malformed(() => parseDelete(wrong));
});
