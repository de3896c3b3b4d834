import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import {etagMatches, judge} from '#codec/s3/conditions.ts';
import {httpDate, parseHttpDate, xmlDate} from '#codec/s3/http-date.ts';
import {decodeToken, encodeToken, parseList} from '#codec/s3/listing.ts';
import {parseCopyRange, parseRange} from '#codec/s3/range.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {uriEncode} from '#codec/s3/sigv4.ts';
import {bucketOfHost, isBucketName, parseQuery, parseTarget} from '#codec/s3/target.ts';

const refused = (code: string) => (error: unknown) => error instanceof S3Error && error.code === code;

describe('targets', () => {
  it('take every legal key as it is', () => {
    for (const key of ['a', 'a//b', '/a', 'a/', '.', '..', '../../etc', 'a%2Fb', 'über/✓', '\u0001\u001f', 'x'.repeat(1024), '+ &=?#']) {
      const bytes = Buffer.from(key).toString('latin1');
      const target = parseTarget(`/bucket/${uriEncode(bytes, true)}`, undefined);
      assert.equal(target.bucket, 'bucket');
      assert.equal(target.key, bytes);
      assert.equal(parseTarget(`/${uriEncode(bytes, false)}?x`, 'b').key, bytes);
    }
    assert.equal(parseTarget('/bucket', undefined).key, undefined);
    assert.equal(parseTarget('/bucket/', undefined).key, undefined);
    assert.equal(parseTarget('/', undefined).bucket, undefined);
    assert.equal(parseTarget('http://host:1/b/k', undefined).key, 'k');
    assert.equal(parseTarget('/k', 'b').hostBucket, true);
  });

  it('refuse what cannot be a key', () => {
    assert.throws(() => parseTarget('/b/a%00b', undefined), refused('InvalidURI'));
    assert.throws(() => parseTarget('/b/%ff', undefined), refused('InvalidURI'));
    assert.throws(() => parseTarget(`/b/${'x'.repeat(1025)}`, undefined), refused('KeyTooLongError'));
    assert.throws(() => parseTarget('*', undefined), refused('InvalidURI'));
    assert.throws(() => parseTarget('//k', undefined), refused('InvalidBucketName'));
  });

  it('find buckets in host names', () => {
    assert.equal(bucketOfHost('my.bucket.localhost:7480', ['localhost']), 'my.bucket');
    for (const host of ['localhost:1', '127.0.0.1:1', 'notlocalhost', undefined]) assert.equal(bucketOfHost(host, ['localhost']), undefined);
  });

  it('read queries with and without values', () => {
    assert.deepEqual(parseQuery('a=1&b&c=%20+x&=y&&d=%zz'), [['a', '1'], ['b', ''], ['c', '  x'], ['', 'y'], ['d', '%zz']]);
  });

  it('know bucket names', () => {
    for (const good of ['abc', 'a.b-c', 'x'.repeat(63)]) assert.ok(isBucketName(good), good);
    for (const bad of ['ab', 'A-bucket', '-ab', 'ab-', 'a..b', '192.168.1.1', 'x'.repeat(64), 'a_b', '', 'xn--bucket', 'sthree-b', 'amzn-s3-demo-b', 'b-s3alias', 'b--ol-s3', 'b--x-s3', 'b--table-s3',
      'b.mrap']) assert.ok(!isBucketName(bad), bad);
  });
});

describe('ranges', () => {
  it('are one range or none', () => {
    assert.deepEqual(parseRange('bytes=0-9'), {offset: 0, length: 10});
    assert.deepEqual(parseRange('bytes=5-'), {offset: 5});
    for (const beyond of ['18446744073709551615', '9'.repeat(30)]) {
      assert.deepEqual(parseRange(`bytes=0-${beyond}`), {offset: 0, length: Number.MAX_SAFE_INTEGER});
      assert.deepEqual(parseRange(`bytes=${beyond}-`), {offset: Number.MAX_SAFE_INTEGER - 1});
    }
    assert.deepEqual(parseRange('bytes=-7'), {suffix: 7});
    for (const none of [undefined, '', 'bytes=', 'bytes=-', 'bytes=2-1', 'bytes=0-1,3-4', 'items=0-1', 'bytes=a-b']) assert.equal(parseRange(none), undefined, none);
    assert.deepEqual(parseCopyRange('bytes=3-3'), {offset: 3, length: 1});
    for (const bad of ['bytes=3-', 'bytes=-3', '0-3', 'bytes=3-2']) assert.equal(parseCopyRange(bad), undefined);
  });
});

describe('conditions', () => {
  it('are judged in the order of RFC 9110', () => {
    const modified = Date.UTC(2026, 0, 1);
    assert.equal(judge({ifMatch: '"a"'}, 'a', modified), 'pass');
    assert.equal(judge({ifMatch: '"b"', ifUnmodifiedSince: modified}, 'a', modified), 'failed');
    assert.equal(judge({ifMatch: 'a', ifUnmodifiedSince: modified - 1}, 'a', modified), 'pass');
    assert.equal(judge({ifUnmodifiedSince: modified - 1000}, 'a', modified), 'failed');
    assert.equal(judge({ifNoneMatch: '"b", W/"a"'}, 'a', modified), 'not-modified');
    assert.equal(judge({ifNoneMatch: '"b"', ifModifiedSince: modified}, 'a', modified), 'pass');
    assert.equal(judge({ifModifiedSince: modified}, 'a', modified), 'not-modified');
    assert.ok(etagMatches('*', 'x'));
  });
});

describe('dates', () => {
  it('agree between header and XML', () => {
    const ns = 1_795_000_000_987_654_321n;
    assert.equal(parseHttpDate(httpDate(ns)), parseHttpDate(xmlDate(ns)));
    assert.equal(parseHttpDate('not a date'), undefined);
  });

  it('are written as Date writes them', () => {
    fc.assert(
      fc.property(fc.integer({min: -62_135_596_800, max: 253_402_300_799}), (seconds) => {
        assert.equal(httpDate(BigInt(seconds) * 1_000_000_000n), new Date(seconds * 1000).toUTCString());
      }),
    );
  });
});

describe('listing parameters', () => {
  it('come from either version', () => {
    assert.deepEqual(parseList(parseQuery('prefix=a&delimiter=/&marker=b&max-keys=5&encoding-type=url')), {
      version: 1, prefix: 'a', delimiter: '/', limit: 5, urlEncoding: true, fetchOwner: true, marker: 'b', after: 'b',
    });
    const token = encodeToken('k/\xff' as ByteString);
    assert.deepEqual(parseList(parseQuery(`list-type=2&start-after=x&continuation-token=${token}&prefix=&delimiter=`)), {
      version: 2, prefix: '', limit: 1000, urlEncoding: false, fetchOwner: false, after: 'k/\xff', startAfter: 'x', continuationToken: token,
    });
    for (const bad of ['max-keys=x', 'max-keys=-1', 'list-type=3', 'encoding-type=xml', 'list-type=2&continuation-token=%20', 'prefix=%ff']) {
      assert.throws(() => parseList(parseQuery(bad)), refused('InvalidArgument'), bad);
    }
  });

  it('tokens hold any key and refuse any nonsense', () => {
    fc.assert(fc.property(fc.uint8Array({maxLength: 50}), (raw) => assert.equal(decodeToken(encodeToken(Buffer.from(raw).toString('latin1') as ByteString)), Buffer.from(raw).toString('latin1'))));
    fc.assert(
      fc.property(fc.string({maxLength: 30}), (text) => {
        try {
          decodeToken(text);
        } catch (error) {
          assert.ok(error instanceof S3Error);
        }
      }),
    );
  });
});
