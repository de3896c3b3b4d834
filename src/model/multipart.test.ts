import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {describe, it} from 'node:test';
import {crc32} from 'node:zlib';
import {crc32c} from '@node-rs/crc32';
import fc from 'fast-check';
import {createCRC64} from 'hash-wasm';
import {CrcAppender, crcPolynomials} from '#base/crc.ts';
import {multipartChecksum, multipartEtag} from '#model/multipart.ts';

const hasher = await createCRC64('9a6c9329ac4bc9b5');
const crcs = {
  crc32: (bytes: Uint8Array) => BigInt(crc32(bytes)),
  crc32c: (bytes: Uint8Array) => BigInt(crc32c(Buffer.from(bytes))),
  crc64nvme: (bytes: Uint8Array) => BigInt(`0x${hasher.init().update(bytes).digest('hex')}`),
};

describe('checksums of objects made of parts', () => {
  for (const name of ['crc32', 'crc32c', 'crc64nvme'] as const) {
    it(`combines ${name} as if the bytes had been read in one piece`, () => {
      const digest = (bytes: Uint8Array) => Buffer.from(crcs[name](bytes).toString(16).padStart(crcPolynomials[name].bits / 4, '0'), 'hex');
      const piece = fc.oneof(fc.uint8Array({maxLength: 3000}), fc.constant(new Uint8Array(1000).fill(7)));
      fc.assert(fc.property(fc.array(piece, {maxLength: 6}), (pieces) => {
        const appender = new CrcAppender(crcPolynomials[name]);
        for (const each of pieces) appender.append(digest(each), each.length);
        assert.deepEqual(appender.digest(), digest(Buffer.concat(pieces)));
      }));
    });
  }

  const texts = ['one', 'two two', 'three'];
  const parts = texts.map((text, i) => ({
    partNumber: i + 1, length: text.length, etag: createHash('md5').update(text).digest('hex'),
    checksums: {sha256: createHash('sha256').update(text).digest('base64'), crc64nvme: Buffer.from(crcs.crc64nvme(Buffer.from(text)).toString(16).padStart(16, '0'), 'hex').toString('base64')},
  }));

  it('names a composite by the digest of digests', async () => {
    const digests = Buffer.concat(texts.map(text => createHash('sha256').update(text).digest()));
    assert.equal(await multipartChecksum(parts, 'sha256', undefined), `${createHash('sha256').update(digests).digest('base64')}-3`);
    const md5s = Buffer.concat(texts.map(text => createHash('md5').update(text).digest()));
    assert.equal(multipartEtag(parts), `${createHash('md5').update(md5s).digest('hex')}-3`);
  });

  it('gives the whole object its own CRC, and nothing where a part has none', async () => {
    const whole = crcs.crc64nvme(Buffer.from(texts.join(''))).toString(16).padStart(16, '0');
    assert.equal(await multipartChecksum(parts, 'crc64nvme', undefined), Buffer.from(whole, 'hex').toString('base64'));
    assert.equal(await multipartChecksum(parts, 'crc32', undefined), undefined);
    await assert.rejects(multipartChecksum(parts, 'sha256', 'FULL_OBJECT'), {kind: 'InvalidArgument'});
  });
});
