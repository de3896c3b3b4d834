import assert from 'node:assert/strict';
import {test} from 'node:test';
import {completedChecksums, parseContentMd5, requestedChecksums, uploadChecksums} from '#codec/s3/checksums.ts';
import {S3Error} from '#codec/s3/s3-error.ts';

const requested = (headers: Record<string, string>) => requestedChecksums((name) => headers[name], Object.entries(headers).flat());
const completed = (headers: Record<string, string>) => completedChecksums(Object.entries(headers).flat());
const uploads = (headers: Record<string, string>) => uploadChecksums((name) => headers[name]);
const refused = (code: string, run: () => unknown) => assert.throws(run, (error) => error instanceof S3Error && error.code === code);

test('checksums that headers declare, announce or ask for', () => {
  assert.deepEqual(requested({}), {declared: {}});
  assert.deepEqual(requested({'x-amz-checksum-crc32': 'y/Q5Jg==', 'x-amz-sdk-checksum-algorithm': 'CRC32'}), {declared: {crc32: 'y/Q5Jg=='}, algorithm: 'crc32'});
  assert.deepEqual(requested({'x-amz-trailer': ' x-amz-checksum-CRC64NVME'}), {declared: {}, announcedTrailer: 'crc64nvme', algorithm: 'crc64nvme'});
  for (const wrong of ['', 'y/Q5Jg', 'y/Q5Jg=', 'y/Q5', 'y/Q5Jh==', 'y_Q5Jg==', 'y/Q5JgAA']) refused('InvalidRequest', () => requested({'x-amz-checksum-crc32': wrong}));
  refused('BadDigest', () => requested({'x-amz-checksum-crc32': 'bad', 'x-amz-sdk-checksum-algorithm': 'CRC32'}));
  refused('InvalidRequest', () => requested({'x-amz-checksum-crc32': 'bad', 'x-amz-sdk-checksum-algorithm': 'SHA1'}));
  refused('InvalidRequest', () => requested({'x-amz-checksum-crc32': 'y/Q5Jg==', 'x-amz-checksum-crc32c': '4waSgw=='}));
  refused('InvalidRequest', () => requested({'x-amz-checksum-constructor': 'y/Q5Jg=='}));
  refused('InvalidRequest', () => requested({'x-amz-sdk-checksum-algorithm': 'constructor'}));
  refused('InvalidRequest', () => requested({'x-amz-sdk-checksum-algorithm': 'CRC32'}));
  refused('InvalidRequest', () => requested({'x-amz-sdk-checksum-algorithm': 'SHA1', 'x-amz-checksum-crc32': 'y/Q5Jg=='}));
  refused('InvalidRequest', () => requested({'x-amz-trailer': 'x-amz-checksum-crc32', 'x-amz-checksum-crc32': 'y/Q5Jg=='}));
  refused('InvalidRequest', () => requested({'x-amz-trailer': 'x-amz-meta-colour'}));
});

test('checksums of uploads in parts', () => {
  assert.deepEqual(uploads({}), {});
  assert.deepEqual(uploads({'x-amz-checksum-algorithm': 'SHA256'}), {checksumAlgorithm: 'sha256', checksumType: 'COMPOSITE'});
  assert.deepEqual(uploads({'x-amz-checksum-algorithm': 'CRC32', 'x-amz-checksum-type': 'FULL_OBJECT'}), {checksumAlgorithm: 'crc32', checksumType: 'FULL_OBJECT'});
  for (const [algorithm, type] of [[undefined, 'FULL_OBJECT'], ['SHA1', 'FULL_OBJECT'], ['CRC64NVME', 'COMPOSITE'], ['CRC32', 'x']] as const) {
    refused('InvalidRequest', () => uploads({...(algorithm ? {'x-amz-checksum-algorithm': algorithm} : {}), 'x-amz-checksum-type': type}));
  }
  assert.deepEqual(completed({'X-Amz-Checksum-Crc32': 'y/Q5Jg==-3', 'x-amz-checksum-type': 'COMPOSITE'}), {crc32: 'y/Q5Jg==-3'});
  for (const wrong of ['y/Q5Jg==-3-4', 'not_base64', '']) refused('InvalidRequest', () => completed({'x-amz-checksum-crc32': wrong}));
  for (const wrong of ['bad', 'y/Q5JgAA', 'bad-2']) refused('BadDigest', () => completed({'x-amz-checksum-crc32': wrong}));
});

test('Content-MD5', () => {
  assert.equal(parseContentMd5('1B2M2Y8AsgTpgAmY7PhCfg=='), 'd41d8cd98f00b204e9800998ecf8427e');
  for (const wrong of ['', 'd41d8cd98f00b204e9800998ecf8427e', '1B2M2Y8AsgTpgAmY7PhCfg', '1B2M2Y8AsgTpgAmY7PhC==']) refused('InvalidDigest', () => parseContentMd5(wrong));
});
