import assert from 'node:assert/strict';
import {createHmac} from 'node:crypto';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {S3Error} from '#codec/s3/s3-error.ts';
import {
  canonicalRequest, checkTime, claimOfHeader, claimOfQuery, HeaderClaims, hmacKey, hmacSha256, sameSignature, signatureOf, SigningKeys, stringToSign, uriDecode, uriEncode,
} from '#codec/s3/sigv4.ts';
import {parseTarget} from '#codec/s3/target.ts';

// Key, dates and signatures of the examples in "Authenticating Requests (AWS Signature Version 4)".
const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
const host = 'examplebucket.s3.amazonaws.com';

function sign(method: string, target: string, headers: Record<string, string>, payloadHash: string, signedHeaders: string): string {
  const claim = claimOfHeader(`AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${signedHeaders},Signature=x`, '20130524T000000Z');
  const {rawPath, query} = parseTarget(target, 'examplebucket');
  const canonical = canonicalRequest({method, rawPath, query, rawHeaders: Object.entries(headers).flat(), payloadHash}, claim.signedHeaders);
  return hmacSha256(new SigningKeys().get(secret, claim.scope), stringToSign(claim, canonical));
}

describe('Signature Version 4', () => {
  it('agrees with the published examples', () => {
    const date = {'x-amz-date': '20130524T000000Z'};
    assert.equal(
      sign('GET', '/test.txt', {Host: host, Range: 'bytes=0-9', 'x-amz-content-sha256': empty, ...date}, empty, 'host;range;x-amz-content-sha256;x-amz-date'),
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    );
    const body = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072';
    assert.equal(
      sign('PUT', '/test%24file.text', {Date: 'Fri, 24 May 2013 00:00:00 GMT', Host: host, ...date, 'x-amz-storage-class': 'REDUCED_REDUNDANCY', 'x-amz-content-sha256': body}, body,
        'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class'),
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
    assert.equal(
      sign('GET', '/?lifecycle', {Host: host, 'x-amz-content-sha256': empty, ...date}, empty, 'host;x-amz-content-sha256;x-amz-date'),
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    );
    assert.equal(
      sign('GET', '/?max-keys=2&prefix=J', {Host: host, 'x-amz-content-sha256': empty, ...date}, empty, 'host;x-amz-content-sha256;x-amz-date'),
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
  });

  it('agrees with the published presigned example, and judges its time', () => {
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${scope.replaceAll('/', '%2F')}&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host`;
    const signature = 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
    const target = parseTarget(`/test.txt?${query}&X-Amz-Signature=${signature}`, 'examplebucket');
    const claim = claimOfQuery(target.query)!;
    const canonical = canonicalRequest({method: 'GET', rawPath: target.rawPath, query: target.query, rawHeaders: ['Host', host], payloadHash: 'UNSIGNED-PAYLOAD'}, claim.signedHeaders);
    assert.ok(sameSignature(hmacSha256(new SigningKeys().get(secret, claim.scope), stringToSign(claim, canonical)), signature));
    const start = Date.UTC(2013, 4, 24);
    checkTime(claim, start + 86_400_000);
    assert.throws(() => checkTime(claim, start + 86_400_001), (error) => error instanceof S3Error && error.code === 'AccessDenied');
    assert.throws(() => checkTime(claim, start - 15 * 60_000 - 1), S3Error);
  });

  it('makes the same of each request, whatever came before', () => {
    const keys = new SigningKeys();
    const claims = ['20130524T000000Z', '20130524T000001Z'].flatMap((stamp) =>
      ['us-east-1', 'x'.repeat(300)].flatMap((region) =>
        ['host;x-amz-date', 'host', 'authorization;host'].map((names) => claimOfHeader(`AWS4-HMAC-SHA256 Credential=AK/20130524/${region}/s3/aws4_request,SignedHeaders=${names},Signature=x`, stamp)),
      ),
    );
    const header = fc.tuple(fc.constantFrom('Host', 'host', 'Authorization', 'x-amz-date', 'Range'), fc.constantFrom('a', 'b', ' a  b '));
    const rawHeaders = fc.array(header, {maxLength: 4}).map((pairs) => pairs.flat());
    const request = fc.record({claim: fc.constantFrom(...claims), secret: fc.constantFrom('one', 'two'), rawHeaders, rawPath: fc.constantFrom('/', '/a%20b')});
    const outcome = (run: () => string): string => {
      try {
        return run();
      } catch (error) {
        return String((error as S3Error).fields['HeadersNotSigned']);
      }
    };
    fc.assert(
      fc.property(fc.array(request, {maxLength: 30}), (requests) => {
        for (const {claim, secret, rawHeaders, rawPath} of requests) {
          const asked = {method: 'GET', rawPath, query: [], rawHeaders, payloadHash: empty};
          const canonical = outcome(() => canonicalRequest(asked, claim.signedHeaders));
          // Another list of names is never the one that is remembered.
          assert.equal(canonical, outcome(() => canonicalRequest(asked, [...claim.signedHeaders])));
          const key = keys.get(secret, claim.scope);
          assert.equal(signatureOf(key, claim, canonical), hmacSha256(key, stringToSign(claim, canonical)));
        }
      }),
    );
  });

  it('refuses skewed clocks and malformed claims with the right codes', () => {
    const claim = claimOfHeader(`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=ab`, '20130524T000000Z');
    const start = Date.UTC(2013, 4, 24);
    checkTime(claim, start + 15 * 60_000);
    assert.throws(() => checkTime(claim, start + 15 * 60_000 + 1), (error) => error instanceof S3Error && error.code === 'RequestTimeTooSkewed');
    const cases: [string, string | undefined, string][] = [
      ['AWS4-HMAC-SHA256 nonsense', '20130524T000000Z', 'AuthorizationHeaderMalformed'],
      [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host`, '20130524T000000Z', 'AuthorizationHeaderMalformed'],
      ['AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=ab', '20130524T000000Z', 'AuthorizationHeaderMalformed'],
      [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=ab`, 'yesterday', 'AccessDenied'],
      [`AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=ab`, undefined, 'AccessDenied'],
    ];
    for (const [header, stamp, code] of cases) assert.throws(() => claimOfHeader(header, stamp), (error) => error instanceof S3Error && error.code === code, header);
    assert.throws(() => canonicalRequest({method: 'GET', rawPath: '/', query: [], rawHeaders: [], payloadHash: empty}, ['range']), S3Error);
    const signing = (rawHeaders: string[], names: string[]) => canonicalRequest({method: 'PUT', rawPath: '/', query: [], rawHeaders, payloadHash: empty}, names);
    const added = ['Host', host, 'X-Amz-Copy-Source', '/other/secret'];
    assert.throws(() => signing(added, ['host']), (error) => error instanceof S3Error && error.code === 'AccessDenied' && error.fields['HeadersNotSigned'] === 'x-amz-copy-source');
    assert.ok(signing(added, ['host', 'x-amz-copy-source']).includes('x-amz-copy-source:/other/secret\n'));
    assert.ok(signing(['Host', host, 'x-forwarded-for', '::1', 'X-Amzn-Trace-Id', '1'], ['host']).startsWith('PUT'));
  });

  it('reads headers whose beginning it knows as it reads any', () => {
    const claims = new HeaderClaims();
    const known = (signature: string) => `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host;x-amz-date, Signature=${signature}`;
    const first = known('a'.repeat(64));
    claims.verified(first, claims.read(first, '20130524T000000Z'));
    for (const [header, stamp] of [[first, '20130524T000001Z'], [known('0123456789abcdef'.repeat(4)), '20130524T000000Z'], [known('b'.repeat(63)), '20130524T000000Z']] as const) {
      assert.deepEqual(claims.read(header, stamp), claimOfHeader(header, stamp), header);
    }
    const second = first.replace('us-east-1', 'us-west-2');
    claims.verified(second, claims.read(second, '20130524T000000Z'));
    for (const header of [first, second, second, first, first]) assert.deepEqual(claims.read(header, '20130524T000000Z'), claimOfHeader(header, '20130524T000000Z'), 'of two in turn');
    assert.throws(() => claims.read(first, undefined), (error) => error instanceof S3Error && error.code === 'AccessDenied');
    assert.throws(() => claims.read(first, ''), (error) => error instanceof S3Error && error.code === 'AccessDenied');
    // Here what follows the signature changes what is claimed.
    const last = `AWS4-HMAC-SHA256 Signature=${'a'.repeat(64)}, SignedHeaders=host, Credential=${scope}`;
    claims.verified(last, claims.read(last, '20130524T000000Z'));
    const other = last.replace(/us-east-1/, 'eu-west-1');
    assert.equal(claims.read(other, '20130524T000000Z').scope.region, 'eu-west-1');
  });

  it('makes the same HMAC as Node, for any key and text', () => {
    fc.assert(
      fc.property(fc.uint8Array({minLength: 1, maxLength: 200}), fc.string({unit: 'binary-ascii', maxLength: 300}), (key, text) => {
        assert.equal(hmacSha256(hmacKey(key), text), createHmac('sha256', key).update(text, 'latin1').digest('hex'));
      }),
    );
  });

  it('encodes and decodes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 60}), fc.boolean(), (raw, slash) => {
        const bytes = Buffer.from(raw).toString('latin1');
        assert.equal(uriDecode(uriEncode(bytes, slash)), bytes);
      }),
    );
  });
});
