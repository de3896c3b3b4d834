/**
 * Requests that are wrong, malicious or slow, against the live server: each gets the right answer, nothing changes in the namespace or in
 * the bucket, and afterwards the server lives and its memory is where it was.
 */
import assert from 'node:assert/strict';
import {createHash, createHmac} from 'node:crypto';
import type {Socket} from 'node:net';
import {after, afterEach, before, beforeEach, describe, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {descriptorsMax} from '#runtime/node/process.ts';
import {eventually, type Stack, startStack} from './harness.ts';
import {head, open, type RawAnswer, rawRequest} from './raw-http.ts';
import type {S3RequestOptions} from './s3-client.ts';

const MiB = 1 << 20;
/** Ten thousand, where processes may have as many descriptors (Node takes all that the hard limit allows). */
const idleConnections = Math.min(10_000, Math.floor(descriptorsMax() / 2));
const stack = await startStack('bad input', {mountOptions: ['maxAge=10m']});
if (stack) describeBadInput(stack);

function describeBadInput(stack: Stack): void {
  const {weir, direct, bucket} = stack;
  const original = Buffer.from('what must not change '.repeat(500));
  const key = 'precious/object';
  const target = `/${bucket}/${key}`;
  const endpoint = weir.ready.s3;
  const client = weir.s3;
  const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');
  let keys: string[] = [];
  let memoryBefore = 0;

  /** Signs for `signed`, sends to it with what `change` makes of the headers. */
  const spoiled = async (method: string, change: (headers: Record<string, string>) => Record<string, string>, options: S3RequestOptions = {}, to = target): Promise<string> => {
    const {status, code} = await client.send(method, to + (options.query ? `?${options.query}` : ''), change(client.sign(method, to, options)), options.body);
    return `${status} ${code}`;
  };
  const answer = async (method: string, to: string, options: S3RequestOptions = {}): Promise<string> => {
    const {status, code} = await client.request(method, to, options);
    return `${status} ${code}`;
  };
  const refusedOrClosed = (got: RawAnswer, what: string, ...statuses: number[]): void =>
    assert.ok(statuses.includes(got.status) || (got.status === 0 && got.closed), `${what}: ${got.status} ${got.code} closed=${got.closed}\n${got.text.slice(0, 500)}`);

  describe('bad input', () => {
    before(async () => {
      await direct.put(bucket, key, original);
      assert.ok((await client.get(bucket, key))?.equals(original));
      for (let i = 0; i < 200; i++) await client.get(bucket, key);
      keys = await client.keys(bucket);
      memoryBefore = await weir.anonymousBytes();
    });
    beforeEach(async () => {
      // After a failure the next test starts from the same.
      if ((await direct.get(bucket, key))?.equals(original)) return;
      await client.put(bucket, key, original);
    });
    afterEach(async () => {
      assert.ok((await client.get(bucket, key))?.equals(original), 'the object through Weir');
      assert.ok((await direct.get(bucket, key))?.equals(original), 'the object in the bucket');
      assert.deepEqual(await client.keys(bucket), keys, 'the names');
      assert.deepEqual(await direct.keys(bucket), keys, 'the names in the bucket');
    });
    after(async () => {
      client.close();
      direct.close();
      await stack[Symbol.asyncDispose]();
    });

    test('signatures', async () => {
      const authorization = (edit: (value: string) => string) => (headers: Record<string, string>) => ({...headers, authorization: edit(headers['authorization']!)});
      const delSigned = (change: (headers: Record<string, string>) => Record<string, string>): Promise<string> => spoiled('DELETE', change);
      assert.equal(await delSigned(({authorization: _, ...headers}) => headers), '403 AccessDenied');
      assert.equal(await delSigned(authorization(value => value.replace(/Signature=./, match => (match.endsWith('0') ? 'Signature=1' : 'Signature=0')))), '403 SignatureDoesNotMatch');
      assert.equal(await delSigned(authorization(value => value.replace(/Credential=[^/]*/, 'Credential=AKIAUNKNOWN'))), '403 InvalidAccessKeyId');
      for (const broken of ['AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA256 Credential=x', 'AWS4-HMAC-SHA256 Credential=////, SignedHeaders=, Signature=', 'AWS4-HMAC-SHA256 ='.repeat(50), 'AWS4-']) {
        assert.match(await delSigned(authorization(() => broken)), /^40[03] (AuthorizationHeaderMalformed|AccessDenied|InvalidArgument|InvalidRequest)$/, broken);
      }
      assert.match(await delSigned(authorization(() => 'Basic cm9vdDpyb290')), /^400 /);
      // host unsigned, or a header that was added after signing
      assert.match(await delSigned(authorization(value => value.replace('SignedHeaders=host;', 'SignedHeaders='))), /^40[03] /);
      assert.match(await delSigned(headers => ({...headers, 'x-amz-meta-added': 'later'})), /^40[03] (AccessDenied|SignatureDoesNotMatch)$/);
      assert.equal(await spoiled('PUT', headers => headers, {body: 'x', payloadHash: sha256('y')}), '400 XAmzContentSHA256Mismatch');
      assert.match(await spoiled('PUT', headers => headers, {body: 'x', payloadHash: 'not a hash'}), /^40[03] /);
      assert.match(await spoiled('PUT', ({'x-amz-content-sha256': _, ...headers}) => headers, {body: 'x'}), /^40[03] /);
    });

    test('clock, region and service', async () => {
      for (const minutes of [-16, 16, -60 * 24 * 365]) assert.equal(await answer('DELETE', target, {time: new Date(Date.now() + minutes * 60_000)}), '403 RequestTimeTooSkewed', `${minutes} min`);
      assert.equal(await answer('GET', target, {time: new Date(Date.now() + 10 * 60_000)}), '200 ');
      assert.match(await answer('DELETE', target, {service: 'sts'}), /^400 AuthorizationHeaderMalformed$|^403 /);
      const yesterday = (headers: Record<string, string>) => ({...headers, authorization: headers['authorization']!.replace(/\/\d{8}\//, '/20200101/')});
      assert.match(await spoiled('DELETE', yesterday), /^40[03] /);
      for (const stamp of ['', 'now', '20261121', '20261121T999999Z', '99999999T999999Z']) assert.match(await spoiled('DELETE', headers => ({...headers, 'x-amz-date': stamp})), /^40[03] /, stamp);
    });

    test('presigned URLs: expired, stretched, for another method', async () => {
      const presign = (method: string, time: Date, expires: number): string => {
        const {accessKeyId, secretAccessKey} = weir.ready;
        const stamp = `${time.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
        const scope = `${stamp.slice(0, 8)}/us-east-1/s3/aws4_request`;
        const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scope}`)}&X-Amz-Date=${stamp}&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host`;
        const canonical = [method, target, query, `host:${new URL(endpoint).host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
        let signing: Buffer | string = `AWS4${secretAccessKey}`;
        for (const part of scope.split('/')) signing = createHmac('sha256', signing).update(part).digest();
        const signature = createHmac('sha256', signing).update(['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical)].join('\n')).digest('hex');
        return `${endpoint}${target}?${query}&X-Amz-Signature=${signature}`;
      };
      const status = async (url: string, method = 'GET'): Promise<number> => {
        const response = await fetch(url, {method});
        await response.arrayBuffer();
        return response.status;
      };
      const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);
      assert.equal(await status(presign('GET', ago(10), 60)), 200);
      assert.equal(await status(presign('GET', ago(70), 60)), 403);
      assert.equal(await status(presign('GET', ago(70), 60).replace('X-Amz-Expires=60', 'X-Amz-Expires=600')), 403);
      assert.equal(await status(presign('GET', ago(10), 60), 'DELETE'), 403);
      assert.ok([400, 403].includes(await status(presign('GET', ago(10), 8 * 86_400))));
      assert.ok([400, 403].includes(await status(presign('GET', ago(10), -1))));
    });

    test('bodies: truncated, oversized, with lying lengths', async () => {
      const body = 'x'.repeat(1000);
      const headers = (length: string): Record<string, string> => ({...client.sign('PUT', target, {body, headers: {'content-length': length}}), 'content-length': length});
      // It promises more than it sends, and closes or waits.
      refusedOrClosed(await rawRequest(endpoint, head('PUT', target, headers('2000')) + body, {half: true}), 'truncated', 400);
      const waiting = await rawRequest(endpoint, head('PUT', target, headers('2000')) + body, {msMax: 500});
      assert.equal(waiting.status, 0, 'no answer before the body has come');
      // It sends more than it promised: the rest is no request.
      const longer = await rawRequest(endpoint, head('PUT', target, headers('10')) + body);
      refusedOrClosed(longer, 'longer than promised', 400);
      for (const length of ['-1', '1e3', '0x10', '10, 20', '99999999999999999999', 'ten', '']) refusedOrClosed(await rawRequest(endpoint, head('PUT', target, headers(length)) + body), `Content-Length: ${length}`, 400);
      const huge = String(6 * 1024 ** 3);
      const {status, code} = await rawRequest(endpoint, head('PUT', target, {...client.sign('PUT', target, {payloadHash: 'UNSIGNED-PAYLOAD'}), 'content-length': huge}));
      assert.equal(`${status} ${code}`, '400 EntityTooLarge');
      assert.equal(await spoiled('PUT', given => given, {body, headers: {'content-md5': createHash('md5').update('other').digest('base64')}}), '400 BadDigest');
      assert.equal(await spoiled('PUT', given => given, {body, headers: {'content-md5': 'not base64!'}}), '400 InvalidDigest');
      assert.match(await spoiled('PUT', given => given, {body, headers: {'x-amz-checksum-crc32': 'AAAAAA=='}}), /^400 (BadDigest|InvalidRequest)$/);
    });

    test('lengths that contradict each other: no smuggling', async () => {
      const signed = Object.entries(client.sign('PUT', target, {body: 'abc'}));
      const hidden = head('DELETE', target, client.sign('DELETE', target));
      const both = head('PUT', target, [...signed, ['content-length', '3'], ['transfer-encoding', 'chunked']]);
      refusedOrClosed(await rawRequest(endpoint, `${both}0\r\n\r\n${hidden}`), 'both lengths', 400);
      refusedOrClosed(await rawRequest(endpoint, `${head('PUT', target, [...signed, ['content-length', '3'], ['content-length', String(hidden.length)]])}abc`), 'two lengths', 400);
      refusedOrClosed(await rawRequest(endpoint, `${head('PUT', target, [...signed, ['transfer-encoding', 'chunked, identity']])}0\r\n\r\n`), 'an odd encoding', 400, 501);
      refusedOrClosed(await rawRequest(endpoint, `${head('PUT', target, [...signed, ['transfer-encoding', 'xchunked']])}0\r\n\r\n`), 'an unknown encoding', 400, 501);
      const withGap = head('PUT', target, signed).replace('\r\n\r\n', '\r\ncontent-length : 3\r\n\r\n');
      refusedOrClosed(await rawRequest(endpoint, `${withGap}abc`), 'a blank before the colon', 400);
      refusedOrClosed(await rawRequest(endpoint, `${head('PUT', target, [...signed, ['transfer-encoding', 'chunked']])}zz\r\nabc\r\n0\r\n\r\n`), 'a chunk size that is none', 400);
      for (const noise of ['\0\0\0\0', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', `${'A'.repeat(100_000)}\r\n\r\n`]) {
        refusedOrClosed(await rawRequest(endpoint, Buffer.from(noise, 'latin1'), {half: true}), JSON.stringify(noise.slice(0, 20)), 400, 431, 505, 403, 405, 501);
      }
    });

    test('aws-chunked framing that is broken', async () => {
      const bodies: Record<string, string> = {
        'no size': 'hello\r\n0\r\n\r\n', 'a size too large': 'ffffffffffffffff\r\nhello\r\n0\r\n\r\n', 'a size too small': '2\r\nhello\r\n0\r\n\r\n', 'no end': '5\r\nhello\r\n',
        'more than announced': '6\r\nhello!\r\n0\r\n\r\n', 'fewer than announced': '4\r\nhell\r\n0\r\n\r\n', 'no line end': '5\r\nhelloXX0\r\n\r\n', 'a long line': `${'0'.repeat(20_000)}5\r\nhello\r\n0\r\n\r\n`,
        'a bad trailer': '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', 'bytes after the end': '5\r\nhello\r\n0\r\n\r\nmore',
      };
      for (const [what, body] of Object.entries(bodies)) {
        const trailer = what === 'a bad trailer' ? {'x-amz-trailer': 'x-amz-checksum-crc32'} : {};
        const options = {body, payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', headers: {'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '5', ...trailer}};
        assert.match(await answer('PUT', target, options), /^400 \w+$/, what);
      }
      const signed = {payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', headers: {'content-encoding': 'aws-chunked', 'x-amz-decoded-content-length': '5'}};
      for (const signature of ['0'.repeat(64), 'short', '']) {
        const body = `5;chunk-signature=${signature}\r\nhello\r\n0;chunk-signature=${signature}\r\n\r\n`;
        assert.match(await answer('PUT', target, {...signed, body}), /^40[03] (SignatureDoesNotMatch|IncompleteBody|InvalidRequest|InvalidChunkSizeError|InvalidArgument)$/, signature);
      }
      assert.match(await answer('PUT', target, {...signed, body: '5\r\nhello\r\n0\r\n\r\n'}), /^40[03] /, 'chunks without signatures');
    });

    test('keys: dots, encoded slashes, NUL, bytes that are no UTF-8, too long', async () => {
      // Only the namespace root and the bucket are there; nothing outside may be reached or changed.
      for (const path of [`/${bucket}/../other/x`, `/${bucket}/a/../../x`, '/../../etc/passwd', `/${bucket}/./x`, `/${bucket}/..`, `/..%2f..%2fetc%2fpasswd`, `/${bucket}/%2e%2e/%2e%2e/x`]) {
        const got = await client.request('GET', path);
        assert.ok([400, 403, 404].includes(got.status), `GET ${path}: ${got.status} ${got.code}`);
        assert.ok(!got.body.includes('root:'), path);
        const put = await client.request('PUT', path, {body: 'x'});
        if (put.status === 200) await client.must('DELETE', path); // S3 takes dots as names; then they must be that
        else assert.ok([400, 403, 404, 405, 409, 501].includes(put.status), `PUT ${path}: ${put.status} ${put.code}`);
      }
      for (const path of [`/${bucket}/nul%00byte`, `/${bucket}/%00`, `/${bucket}%00/x`]) assert.match(await answer('PUT', path, {body: 'x'}), /^40[034] /, path);
      for (const path of [`/${bucket}/%`, `/${bucket}/%zz`, `/${bucket}/%4`]) assert.match(await answer('PUT', path, {body: 'x'}), /^40[03] /, path);
      assert.match(await answer('PUT', `/${bucket}/%ff%fe-not-utf8`, {body: 'x'}), /^(200 |4\d\d |501 )/, 'names that are no UTF-8');
      await client.request('DELETE', `/${bucket}/%ff%fe-not-utf8`);
      assert.equal(await answer('PUT', `/${bucket}/${'k'.repeat(1025)}`, {body: 'x'}), '400 KeyTooLongError');
      const encodedSlash = await client.send('GET', `/${bucket}/precious%2Fobject`, client.sign('GET', target));
      assert.ok(encodedSlash.body.equals(original), 'an encoded slash in a key is a slash of the key');
      assert.match(await answer('GET', `/${bucket}%2Fprecious/object`), /^40[034] /);
      assert.match(await answer('PUT', '/Not_A_Bucket/x', {body: 'x'}), /^40[04] /);
      assert.match(await answer('PUT', '/.weir/x', {body: 'x'}), /^40[034] /);
      assert.match(await answer('PUT', `/${bucket}/.weir/staged/x`, {body: 'x'}), /^40[03] /, "Weir's own place");
    });

    test('headers of 64 KiB and many headers', async () => {
      const big = await rawRequest(endpoint, head('GET', target, {...client.sign('GET', target), 'x-padding': 'p'.repeat(65_536)}));
      refusedOrClosed(big, 'one of 64 KiB', 400, 431);
      refusedOrClosed(await rawRequest(endpoint, head('GET', target, [...Object.entries(client.sign('GET', target)), ...Array.from({length: 5000}, (_, i) => [`x-h${i}`, 'v'] as const)])), 'five thousand', 400, 431);
      const metadata = Object.fromEntries(Array.from({length: 10}, (_, i) => [`x-amz-meta-m${i}`, 'v'.repeat(1000)]));
      assert.match(await answer('PUT', target, {body: 'x', headers: metadata}), /^400 (MetadataTooLarge|InvalidArgument|RequestHeaderSectionTooLarge)$/, 'user metadata over 2 KiB');
      refusedOrClosed(await rawRequest(endpoint, `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nhost: x\r\n\r\n`), 'a long target', 400, 414, 431);
      refusedOrClosed(await rawRequest(endpoint, head('GET', target, {...client.sign('GET', target), 'x-bad': 'a\u0001b'})), 'a control character', 400);
    });

    test('XML: bombs, wrong documents, too large', async () => {
      const entities = Array.from({length: 9}, (_, i) => `<!ENTITY ${'abcdefghij'[i + 1]} "${`&${'abcdefghij'[i]};`.repeat(10)}">`);
      const bomb = `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "${'a'.repeat(1000)}">${entities.join('')}]>`;
      const documents: Record<string, string> = {
        'a bomb': `${bomb}<Delete><Object><Key>&j;</Key></Object></Delete>`,
        'an external entity': '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
        'not XML': 'this is no XML', 'not closed': '<Delete><Object><Key>precious/object</Key>', 'empty': '', 'another document': '<CompleteMultipartUpload/>',
        'no key': '<Delete><Object/></Delete>', 'deep': `${'<a>'.repeat(50_000)}${'</a>'.repeat(50_000)}`, 'no UTF-8': '<Delete><Object><Key>\u0000</Key></Object></Delete>',
        'too many': `<Delete>${'<Object><Key>none</Key></Object>'.repeat(1001)}</Delete>`,
        'too large': `<Delete>${' '.repeat(9 * MiB)}</Delete>`,
      };
      for (const [what, body] of Object.entries(documents)) {
        const md5 = createHash('md5').update(body).digest('base64');
        const got = await client.request('POST', `/${bucket}`, {query: 'delete=', body, headers: {'content-md5': md5}}).catch((error: unknown) => error as NodeJS.ErrnoException);
        if (got instanceof Error) assert.ok(['ECONNRESET', 'EPIPE'].includes(got.code!), `${what}: ${got.message}`);
        else assert.equal(got.status, 400, `${what}: ${got.status} ${got.code} ${got.body.subarray(0, 300).toString()}`);
      }
      const query = 'uploadId=no-such-upload';
      const complete = '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"x"</ETag></Part></CompleteMultipartUpload>';
      assert.equal(await answer('POST', target, {query, body: complete}), '404 NoSuchUpload');
      assert.equal(await answer('POST', target, {query, body: '<CompleteMultipartUpload><Part>'}), '400 MalformedXML');
      assert.match(await answer('PUT', target, {query: 'partNumber=0&uploadId=x', body: 'x'}), /^40[04] /);
      assert.match(await answer('PUT', target, {query: 'partNumber=10001&uploadId=x', body: 'x'}), /^40[04] /);
    });

    test('ranges out of bounds, conditions and queries that make no sense', async () => {
      const range = (value: string): Promise<string> => answer('GET', target, {headers: {range: value}});
      const {length} = original;
      assert.equal(await range(`bytes=${length}-`), '416 InvalidRange');
      assert.equal(await range(`bytes=${'9'.repeat(30)}-`), '416 InvalidRange');
      assert.equal(await range('bytes=-0'), '416 InvalidRange');
      assert.equal(await range(`bytes=0-${'9'.repeat(30)}`), '206 ');
      assert.equal(await range(`bytes=-${length * 2}`), '206 ');
      for (const ignored of ['bytes=5-2', 'bytes=a-b', 'items=0-1', 'bytes=', 'bytes=-']) assert.equal(await range(ignored), '200 ', ignored);
      assert.match(await range('bytes=0-1,5-6'), /^(200|206) $/);
      assert.equal(await answer('GET', target, {headers: {'if-match': '"other"'}}), '412 PreconditionFailed');
      assert.match(await answer('PUT', target, {body: 'x', headers: {'if-none-match': '*'}}), /^412 PreconditionFailed$/);
      const queries = ['list-type=2&max-keys=-1', 'list-type=2&max-keys=x', 'continuation-token=%FF%00&list-type=2', 'encoding-type=rot13&list-type=2'];
      for (const query of queries) assert.match(await answer('GET', `/${bucket}`, {query}), /^400 InvalidArgument$/, query);
      assert.match(await answer('PATCH', target, {body: 'x'}), /^405 /);
      assert.match(await answer('PUT', target, {headers: {'x-amz-copy-source': `/${bucket}/../../etc/passwd`}}), /^40[034] /);
    });

    test('REST refuses what is wrong', async () => {
      const status = async (method: string, to: string, init: RequestInit = {}): Promise<number> => {
        const response = await weir.restResponse(method, to, init);
        await response.arrayBuffer();
        return response.status;
      };
      const file = `path=${encodeURIComponent(`/${bucket}/${key}`)}`;
      assert.equal((await fetch(`${weir.ready.http}/api/v1/files?${file}`, {method: 'DELETE'})).status, 401);
      assert.equal((await fetch(`${weir.ready.http}/api/v1/files?${file}`, {method: 'DELETE', headers: {authorization: 'Basic eDp5'}})).status, 401);
      assert.equal(await status('POST', 'rename', {body: '{"from": "/x"'}), 400);
      assert.equal(await status('POST', 'rename', {body: JSON.stringify({from: `/${bucket}/${key}`, to: 7})}), 400);
      assert.equal(await status('POST', 'rename', {body: JSON.stringify({from: 'no slash', to: '/x'})}), 400);
      assert.equal(await status('POST', 'rename', {body: `"${'x'.repeat(20 * MiB)}"`}).catch(() => 400), 400);
      assert.equal(await status('POST', 'rename', {body: `${'['.repeat(200_000)}`}), 400);
      assert.equal(await status('PATCH', `files?${file}`, {body: '{"mode": "999"}'}), 400);
      assert.equal(await status('PATCH', `files?${file}`, {body: '{"__proto__": {"x": 1}, "unknown": 1}'}), 400);
      assert.equal(await status('GET', 'list?path=/&limit=0'), 400);
      assert.equal(await status('GET', 'files?path=%00'), 400);
      assert.ok([400, 404].includes(await status('GET', 'files?path=/../etc/passwd')));
      assert.equal(await status('DELETE', `files?path=/${bucket}/&recursive=true`), 409, 'a mount point is not deleted');
      assert.equal(await status('GET', 'nothing'), 404);
      assert.equal(await status('POST', `files?${file}`), 405);
    });

    test(`${idleConnections} idle connections and slow-loris clients: others are served, the slow are cut`, {timeout: 90_000}, async context => {
      const idle: Socket[] = [];
      const opened = async (): Promise<void> => {
        const socket = await open(endpoint);
        socket.on('error', () => {});
        idle.push(socket);
      };
      const before = await weir.anonymousBytes();
      for (let i = 0; i < idleConnections; i += 100) await Promise.all(Array.from({length: 100}, opened));
      context.diagnostic(`${Math.round(((await weir.anonymousBytes()) - before) / idleConnections / 102.4) / 10} KiB of anonymous memory a connection`);
      const slow = await Promise.all(Array.from({length: 50}, () => open(endpoint)));
      let cut = 0;
      for (const socket of slow) socket.on('error', () => {}).on('close', () => cut++).resume();
      const drip = setInterval(() => {
        for (const socket of slow) if (socket.writable) socket.write('x');
      }, 500);
      for (const socket of slow) socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nx-slow: `);
      // Half an upload that never goes on.
      const stuck = await open(endpoint);
      stuck.on('error', () => {});
      stuck.write(head('PUT', target, {...client.sign('PUT', target, {payloadHash: 'UNSIGNED-PAYLOAD'}), 'content-length': '1000000'}) + 'only this');
      try {
        for (let i = 0; i < 50; i++) assert.ok((await client.get(bucket, key))?.equals(original));
        await eventually('slow heads are cut', async () => cut === slow.length, 40_000);
        assert.ok((await client.get(bucket, key))?.equals(original));
      } finally {
        clearInterval(drip);
        for (const socket of [...idle, ...slow, stuck]) socket.destroy();
      }
    });

    test('a hundred downloads that nobody reads cost bounded memory', {timeout: 60_000}, async () => {
      const bytes = Buffer.alloc(24 * MiB, 'unread');
      await client.put(bucket, 'unread', bytes);
      const before = await weir.anonymousBytes();
      const sockets = await Promise.all(Array.from({length: 100}, () => open(endpoint)));
      for (const socket of sockets) {
        socket.on('error', () => {}).pause();
        socket.write(head('GET', `/${bucket}/unread`, client.sign('GET', `/${bucket}/unread`)));
      }
      await sleep(2000);
      const during = await weir.anonymousBytes();
      for (const socket of sockets) socket.destroy();
      await client.remove(bucket, 'unread');
      assert.ok(during - before < 300 * MiB, `${Math.round((during - before) / MiB)} MiB for downloads that nobody reads`);
    });

    test('afterwards it lives, and its memory is bounded', async context => {
      await sleep(1000);
      const bytes = await weir.anonymousBytes();
      context.diagnostic(`anonymous memory: ${Math.round(memoryBefore / MiB)} MiB before, ${Math.round(bytes / MiB)} MiB after`);
      assert.ok(bytes - memoryBefore < 250 * MiB, `${Math.round((bytes - memoryBefore) / MiB)} MiB more than before`);
      assert.equal((await fetch(`${weir.ready.http}/healthz`)).status, 200);
      assert.doesNotMatch(weir.log, /failed by a bug/, 'no request has failed by a bug');
    });
  });
}
