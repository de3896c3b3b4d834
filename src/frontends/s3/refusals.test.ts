/** What S3 refuses before it looks at anything: in its own words, because clients and people know them. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {after, before, test} from 'node:test';
import {CreateBucketCommand} from '@aws-sdk/client-s3';
import {type Answer, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'bucket'}));
});
after(() => gateway[Symbol.asyncDispose]());

/** Status, and the elements of the error without those of every error. */
function said({status, body}: Answer): [number, Record<string, string>] {
  const inner = /<Error>(.*)<Resource>/s.exec(body.toString())?.[1] ?? '';
  return [status, Object.fromEntries(Array.from(inner.matchAll(/<([\w-]+)>([^<]*)</g), ([, name, text]) => [name!, text!]))];
}
const send = async (method: string, target: string, headers: readonly string[] = []) => said(await gateway.send({method, target, headers}));
const error = (Code: string, Message: string, fields: Record<string, string> = {}) => ({Code, Message, ...fields});
const argument = (Message: string, ArgumentName: string, ArgumentValue: string) => error('InvalidArgument', Message, {ArgumentName, ArgumentValue});

test('resources and methods that do not go together', async () => {
  const notAllowed = (Method: string, ResourceType: string) => [405, error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {Method, ResourceType})];
  assert.deepEqual(await send('POST', '/'), notAllowed('POST', 'SERVICE'));
  assert.deepEqual(await send('POST', '/bucket/key'), notAllowed('POST', 'SERVICE'));
  assert.deepEqual(await send('PUT', '/bucket/key?uploadId=u'), notAllowed('PUT', 'UPLOAD'));
  assert.deepEqual(await send('PATCH', '/bucket/key'), notAllowed('PATCH', 'OBJECT'));
  assert.deepEqual(await send('POST', '/bucket?policy'), notAllowed('POST', 'BUCKETPOLICY'));
  assert.equal((await gateway.send({method: 'PATCH', target: '/bucket?location'})).headers['allow'], 'GET');
  assert.deepEqual(await send('PUT', '/bucket/key?partNumber=1'), [400, argument('This operation does not accept partNumber without uploadId', 'partNumber', 'partNumber')]);
  assert.deepEqual(await send('GET', '/bucket/key?uploads'), [400, error('InvalidRequest', 'Key is not expected for the GET method ?uploads subresource')]);
  assert.deepEqual(await send('GET', '/bucket/key?versions'), [400, error('InvalidRequest', 'There is no such thing as the ?versions sub-resource for a key')]);
  // What is not implemented is said only to those who may ask.
  assert.equal((await send('GET', '/bucket/key?torrent'))[0], 403);
});

test('a source is for copies', async () => {
  const refused = [400, argument('You can only specify a copy source header for copy requests.', 'x-amz-copy-source', 'a/b')];
  for (const [method, target] of [['GET', '/bucket'], ['GET', '/bucket/key'], ['DELETE', '/bucket/key'], ['POST', '/bucket?uploadId=u'], ['POST', '/bucket/key?uploadId=u']] as const) {
    assert.deepEqual(await send(method, target, ['x-amz-copy-source', 'a/b']), refused, `${method} ${target}`);
  }
});

test('headers that are too long together', async () => {
  const tooLarge = error('RequestHeaderSectionTooLarge', 'Your request header section exceeds the maximum allowed size.', {MaxSizeAllowed: '8192'});
  assert.deepEqual(await send('GET', '/', ['x-a', 'v'.repeat(8190)]), [400, tooLarge]);
  assert.equal((await send('GET', '/', ['x-a', 'v'.repeat(8189)]))[0], 403);
});

test('claims that cannot be', async () => {
  const changed = async (from: string | RegExp, to: string) => said(await gateway.signed('GET', '/', (headers) => ({...headers, authorization: headers['authorization']!.replace(from, to)})));
  assert.deepEqual(await changed('AWS4-HMAC-SHA256', 'AWS2-HMAC-SHA1'), [400, argument('Unsupported Authorization Type', 'Authorization', 'AWS2-HMAC-SHA1')]);
  const malformed = 'The authorization header is malformed; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".';
  const escaped = malformed.replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  assert.deepEqual(await changed(/Credential=[^,]*/, 'Credential=key/20250101/us-east-1/s3/extra/aws4_request'), [400, error('AuthorizationHeaderMalformed', escaped)]);
  const token = await gateway.signed('GET', '/', (headers) => ({...headers, 'x-amz-security-token': 'a token of a key that has none'}));
  assert.deepEqual(said(token), [400, error('InvalidToken', 'The provided token is malformed or otherwise invalid.')]);
  assert.deepEqual(await send('PUT', '/bucket/key?AWSAccessKeyId=key&Expires=9999999999&Signature=my-signature'), [
    400, error('InvalidRequest', 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.'),
  ]);
});

test('bodies that are not what was announced', async () => {
  const md5 = {'content-md5': 'XrY7u+Ae7tCTyyK7j1rNww=='};
  const digests = {CalculatedDigest: 'XUFAKrxLKna5cZ2REBfFkg==', ExpectedDigest: '5eb63bbbe01eeed093cb22bb8f5acdc3'};
  assert.deepEqual(said(await gateway.signed('PUT', '/bucket/key', (headers) => ({...headers, ...md5}), 'hello')), [400, error('BadDigest', 'The Content-MD5 you specified did not match what we received.', digests)]);
  const chunked = (body: string, decodedLength: string, target = '/bucket/key', more: readonly string[] = []) => {
    const headers = ['x-amz-content-sha256', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'x-amz-decoded-content-length', decodedLength, 'content-length', String(body.length), ...more];
    return gateway.send({method: 'PUT', target, headers, body: Buffer.from(body)}).then(said);
  };
  const policy = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Principal: '*', Action: ['s3:PutObject', 's3:PutBucketCORS'], Resource: ['arn:aws:s3:::bucket', 'arn:aws:s3:::bucket/*']}]};
  assert.equal((await gateway.signed('PUT', '/bucket?policy', undefined, JSON.stringify(policy))).status, 204);
  assert.deepEqual(await chunked('3\r\nabc\r\n0\r\n\r\n', 'many'), [411, error('MissingContentLength', 'You must provide the Content-Length HTTP header.')]);
  assert.deepEqual(await chunked('3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n', '4'), [403, error('InvalidChunkSizeError', 'Only the last chunk is allowed to have a size less than 8192 bytes', {BadChunkSize: '3', Chunk: '1'})]);
  const announced = 'e3'.repeat(32);
  const mismatch = {ClientComputedContentSHA256: announced, S3ComputedContentSHA256: createHash('sha256').digest('hex')};
  assert.deepEqual(await send('PUT', '/bucket/key?tagging', ['x-amz-content-sha256', announced, 'content-length', '0']), [
    400, error('XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.", mismatch),
  ]);
  const trailer = ['x-amz-trailer', 'x-amz-checksum-crc32'];
  assert.deepEqual(await chunked('3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n', '3', undefined, trailer), [400, error('InvalidRequest', 'Value for x-amz-checksum-crc32 trailing header is invalid.')]);
  assert.equal((await chunked('3\r\nabc\r\n0\r\n\r\n', '3', undefined, trailer))[1]['Code'], 'MalformedTrailerError');
  assert.deepEqual(await chunked('3\r\nabc\r\n0\r\n\r\n', '3', '/bucket?cors'), [400, error('InvalidRequest', 'The value of x-amz-content-sha256 header is invalid.')]);
});

test('who has not signed does not choose the headers of the answer', async () => {
  const refused = [400, error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.')];
  await gateway.signed('PUT', '/bucket/key', undefined, 'hello');
  const policy = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/*'}]};
  assert.equal((await gateway.signed('PUT', '/bucket?policy', undefined, JSON.stringify(policy))).status, 204);
  assert.deepEqual(await send('GET', '/bucket/key?response-expires=0'), refused);
  assert.equal((await send('HEAD', '/bucket/key?response-content-type=a/b'))[0], 400);
  assert.equal((await gateway.signed('GET', '/bucket/key?response-content-type=a/b')).headers['content-type'], 'a/b');
});
