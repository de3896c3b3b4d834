import assert from 'node:assert/strict';
import {test} from 'node:test';
import {parseContentMd5, requestedChecksums} from '#codec/s3/checksums.ts';
import {S3Error} from '#codec/s3/s3-error.ts';

const requested = (headers: Record<string, string>) => requestedChecksums((name) => headers[name]);
const refused = (code: string, run: () => unknown) => assert.throws(run, (error) => error instanceof S3Error && error.code === code);

test('checksums that headers declare, announce or ask for', () => {
  assert.deepEqual(requested({}), {declared: {}});
  assert.deepEqual(requested({'x-amz-checksum-crc32': 'y/Q5Jg==', 'x-amz-sdk-checksum-algorithm': 'CRC32'}), {declared: {crc32: 'y/Q5Jg=='}, algorithm: 'crc32'});
  assert.deepEqual(requested({'x-amz-trailer': ' x-amz-checksum-CRC64NVME'}), {declared: {}, announcedTrailer: 'crc64nvme'});
  for (const wrong of ['', 'y/Q5Jg', 'y/Q5Jg=', 'y/Q5', 'y/Q5Jh==', 'y_Q5Jg==', 'y/Q5JgAA']) refused('InvalidRequest', () => requested({'x-amz-checksum-crc32': wrong}));
  refused('InvalidRequest', () => requested({'x-amz-checksum-crc32': 'y/Q5Jg==', 'x-amz-checksum-crc32c': '4waSgw=='}));
  refused('InvalidRequest', () => requested({'x-amz-checksum-algorithm': 'constructor'}));
  refused('InvalidRequest', () => requested({'x-amz-trailer': 'x-amz-meta-colour'}));
});

test('Content-MD5', () => {
  assert.equal(parseContentMd5('1B2M2Y8AsgTpgAmY7PhCfg=='), 'd41d8cd98f00b204e9800998ecf8427e');
  for (const wrong of ['', 'd41d8cd98f00b204e9800998ecf8427e', '1B2M2Y8AsgTpgAmY7PhCfg', '1B2M2Y8AsgTpgAmY7PhC==']) refused('InvalidDigest', () => parseContentMd5(wrong));
});
