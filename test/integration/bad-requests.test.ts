/**
 * Requests that two readers could read in two ways, signatures of something else, and clients that wait, hang up half way or never send
 * what they announced: on a real connection, because it is the connection that they are after.
 */
import assert from 'node:assert/strict';
import {createHmac, createHash} from 'node:crypto';
import {after, before, describe, test} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {Weir} from './harness.ts';
import {head, open, type RawAnswer, rawRequest} from './raw-http.ts';
import type {S3Client} from './s3-client.ts';

const bucket = 'bad-requests';
const target = `/${bucket}/key`;
let weir: Weir;
let client: S3Client;
let endpoint: string;

before(async () => {
  weir = await Weir.start({args: []});
  client = weir.s3;
  endpoint = weir.ready.s3;
  assert.equal((await client.request('PUT', `/${bucket}`)).status, 200);
  await client.put(bucket, 'key', Buffer.from('what must stay'));
});
after(async () => {
  client.close();
  await weir[Symbol.asyncDispose]();
});

const stays = async (): Promise<void> => {
  assert.equal((await client.get(bucket, 'key'))?.toString(), 'what must stay');
  assert.deepEqual(await client.keys(bucket), ['key']);
};
const refused = (got: RawAnswer, what: string): void => assert.ok([400, 403, 411, 417, 501].includes(got.status) || (got.status === 0 && got.closed), `${what}: ${got.status} ${got.code} closed=${got.closed}`);
type Pairs = readonly (readonly [string, string])[];

describe('a second request hidden in the first', () => {
  /** Were it ever understood as a request of its own, this would be there. */
  const hidden = (): string => head('PUT', `/${bucket}/hidden`, [...Object.entries(client.sign('PUT', `/${bucket}/hidden`)), ['content-length', '0']]);
  const pairs = (body: string): Pairs => Object.entries(client.sign('PUT', `/${bucket}/other`, {body}));

  test('by lines that end or go on in two ways', async () => {
    const first = head('PUT', `/${bucket}/other`, [...pairs('abc'), ['content-length', '3']]);
    for (const [what, bytes] of [
      ['a folded line', first.replace('\r\ncontent-length', '\r\n content-length')], ['a folded value', first.replace('content-length: 3', 'content-length:\r\n 3')],
      ['bare line feeds', first.replaceAll('\r\n', '\n')], ['one bare line feed', first.replace('\r\ncontent-length', '\ncontent-length')], ['a bare carriage return', first.replace('content-length: 3',
        'x-a: b\rcontent-length: 3')],
      ['a NUL', first.replace('content-length: 3', 'x-a: \0\r\ncontent-length: 3')], ['a name in quotes', first.replace('content-length', '"content-length"')],
    ] as const) refused(await rawRequest(endpoint, `${bytes}abc${hidden()}`), what);
    await stays();
  });

  test('by lengths that contradict each other', async () => {
    const chunked = `3\r\nabc\r\n0\r\n\r\n${hidden()}`;
    for (const [what, lines, body] of [
      ['length and chunks', [['Content-Length', '3'], ['Transfer-Encoding', 'chunked']], chunked], ['chunks twice', [['Transfer-Encoding', 'chunked'], ['Transfer-Encoding', 'chunked']], chunked],
      ['chunks in chunks', [['Transfer-Encoding', 'chunked, chunked']], chunked], ['two lengths', [['Content-Length', '3'], ['Content-Length', '4']], `abc${hidden()}`], ['two lengths in one', [['Content-Length',
        '3, 4']], `abc${hidden()}`],
      ['a vertical tab', [['Transfer-Encoding', '\x0bchunked']], chunked], ['a signed length', [['Content-Length', '+3']], `abc${hidden()}`], ['a size in another base', [['Transfer-Encoding', 'chunked']],
        `0x3\r\nabc\r\n0\r\n\r\n${hidden()}`],
      ['a chunk that ends late', [['Transfer-Encoding', 'chunked']], `3\r\nabcd\r\n0\r\n\r\n${hidden()}`], ['chunk lines without carriage returns', [['Transfer-Encoding', 'chunked']], `3\nabc\n0\n\n${hidden()}`],
    ] as const) refused(await rawRequest(endpoint, head('PUT', `/${bucket}/other`, [...pairs('abc'), ...lines]) + body), what);
    await stays();
  });
});

describe('headers that are signed', () => {
  test('count once, all of them: two of one name are one list', async () => {
    const sent = (headers: Pairs): Promise<RawAnswer> => rawRequest(endpoint, head('PUT', target, [...headers, ['content-length', '0']]));
    const signed = Object.entries(client.sign('PUT', target));
    for (const name of ['x-amz-date', 'x-amz-content-sha256', 'host', 'authorization']) {
      const value = signed.find(([candidate]) => candidate.toLowerCase() === name)![1];
      refused(await sent([...signed, [name, value]]), `${name} twice`);
      refused(await sent([[name, 'x'], ...signed]), `${name} and another`);
    }
    await stays();
    const list = Object.entries(client.sign('PUT', `/${bucket}/list`, {headers: {'x-amz-meta-a': 'one,two'}})).flatMap(([name, value]): [string, string][] => (name === 'x-amz-meta-a' ? [[name, 'one'], [name,
      'two']] : [[name, value]]));
    assert.equal((await rawRequest(endpoint, head('PUT', `/${bucket}/list`, [...list, ['content-length', '0']]))).status, 200);
    assert.match(String((await client.request('HEAD', `/${bucket}/list`)).headers['x-amz-meta-a']), /^one, ?two$/);
    await client.request('DELETE', `/${bucket}/list`);
  });

  test('cannot be replayed elsewhere', async () => {
    const headers = client.sign('DELETE', `/${bucket}/none`);
    assert.equal((await client.send('DELETE', `/${bucket}/none`, headers)).status, 204);
    // The same once more is the same request. Anything else is another.
    assert.equal((await client.send('DELETE', `/${bucket}/none`, headers)).status, 204);
    for (const [method, to] of [['DELETE', target], ['PUT', `/${bucket}/none`], ['DELETE', `/${bucket}/none?versionId=null`], ['DELETE', `/${bucket}/none?`.replace('none', 'NONE')]] as const) {
      assert.equal((await client.send(method, to, headers)).code, 'SignatureDoesNotMatch', `${method} ${to}`);
    }
    await stays();
  });
});

test('the announced length of what comes in frames must be the length of the frames', async () => {
  const frames = '5\r\nhello\r\n0\r\n\r\n';
  const send = async (lines: Pairs): Promise<RawAnswer> => {
    const headers = client.sign('PUT', `/${bucket}/framed`, {payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', headers: Object.fromEntries(lines)});
    return await rawRequest(endpoint, head('PUT', `/${bucket}/framed`, [...Object.entries(headers), ['content-length', String(frames.length)]]) + frames);
  };
  for (const length of ['4', '6', '0', '-5', '5.0', '5, 5', '0x5', '99999999999999999999', '']) refused(await send([['x-amz-decoded-content-length', length]]), length);
  refused(await send([]), 'none at all');
  await stays();
  const good = await send([['x-amz-decoded-content-length', '5']]);
  assert.equal(good.status, 200, good.text);
  assert.equal((await client.get(bucket, 'framed'))?.toString(), 'hello');
  await client.request('DELETE', `/${bucket}/framed`);
});

test('presigned URLs are good for what they were made for, as often as they are used', async () => {
  const {accessKeyId, secretAccessKey} = weir.ready;
  const presign = (method: string, path: string, {time = new Date(), expires = '60', region = 'us-east-1', service = 's3'} = {}): string => {
    const stamp = `${time.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
    const scope = `${stamp.slice(0, 8)}/${region}/${service}/aws4_request`;
    const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scope}`)}&X-Amz-Date=${stamp}&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host`;
    let key: Buffer | string = `AWS4${secretAccessKey}`;
    for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
    const canonical = [method, path, query, `host:${new URL(endpoint).host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
    const text = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    return `${endpoint}${path}?${query}&X-Amz-Signature=${createHmac('sha256', key).update(text).digest('hex')}`;
  };
  const status = async (url: string, init: RequestInit = {}): Promise<number> => {
    const response = await fetch(url, init);
    await response.arrayBuffer();
    return response.status;
  };
  const url = presign('GET', target);
  for (let i = 0; i < 3; i++) assert.equal(await status(url), 200);
  for (const [what, changed, init] of [
    ['another key', url.replace('/key?', '/none?'), {}], ['another method', url, {method: 'DELETE'}], ['a parameter more', `${url}&versionId=null`, {}], ['a parameter twice', `${url}&X-Amz-Expires=600`, {}],
    ['another algorithm', url.replace('AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA1'), {}], ['not yet', presign('GET', target, {time: new Date(Date.now() + 20 * 60_000)}), {}], ['another service', presign('GET', target,
      {service: 'iam'}), {}],
    ['no longer', presign('GET', target, {time: new Date(Date.now() - 61_000)}), {}], ['too long', presign('GET', target, {expires: '604801'}), {}], ['no number', presign('GET', target, {expires: '1e3'}), {}],
    ['both ways of signing', url, {headers: {authorization: client.sign('GET', target)['authorization'] ?? client.sign('GET', target)['Authorization'] ?? ''}}],
  ] as const) assert.ok([400, 403].includes(await status(changed, init)), what);
  await stays();
});

describe('Expect: 100-continue', () => {
  /** All that comes within a time without a byte. */
  async function converse(first: string, then?: string): Promise<string> {
    const socket = await open(endpoint);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.write(first);
    for (let tries = 0; tries < 200 && text === ''; tries++) await sleep(25);
    if (then !== undefined && text.startsWith('HTTP/1.1 100')) {
      socket.write(then);
      for (let tries = 0; tries < 200 && !/HTTP\/1\.1 [2-5]\d\d/.test(text); tries++) await sleep(25);
    }
    socket.destroy();
    return text;
  }
  const request = (body: string, change: (value: string) => string = (value) => value): string => {
    const headers = Object.entries(client.sign('PUT', `/${bucket}/expected`, {body})).map(([name, value]): [string, string] => [name, name.toLowerCase() === 'authorization' ? change(value) : value]);
    return head('PUT', `/${bucket}/expected`, [...headers, ['Expect', '100-continue'], ['Content-Length', String(body.length)]]);
  };

  test('is answered before a body that is wanted, and not before one that is refused', async () => {
    assert.match(await converse(request('abc'), 'abc'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
    assert.equal((await client.get(bucket, 'expected'))?.toString(), 'abc');
    const forged = await converse(request('abc', (value) => value.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))));
    assert.match(forged, /^HTTP\/1\.1 403 [^]*Connection: close/i);
    await client.request('DELETE', `/${bucket}/expected`);
  });

  test('without a body there is nothing to wait for', async () => {
    assert.match(await converse(request('')), /^HTTP\/1\.1 200 /);
    await client.request('DELETE', `/${bucket}/expected`);
    await stays();
  });
});

test('who closes his half gets his answer, and nothing is done by half', async () => {
  const body = 'x'.repeat(100_000);
  const begin = head('PUT', `/${bucket}/half`, [...Object.entries(client.sign('PUT', `/${bucket}/half`, {body})), ['content-length', String(body.length)]]);
  const whole = await rawRequest(endpoint, begin + body, {half: true});
  assert.equal(whole.status, 200, whole.text);
  assert.equal((await client.get(bucket, 'half'))?.toString(), body);
  await client.request('DELETE', `/${bucket}/half`);
  for (const length of [0, 1, body.length - 1]) refused(await rawRequest(endpoint, begin + body.slice(0, length), {half: true}), `${length} bytes`);
  refused(await rawRequest(endpoint, begin.slice(0, 60), {half: true}), 'half a head');
  await stays();
});

test('a thousand statements are more than a policy may have, and hundreds that cost much are decided', {timeout: 60_000}, async () => {
  const statement = (i: number): object => ({Effect: 'Deny', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${bucket}/${'*a'.repeat(8)}${i}`});
  const put = (count: number) => client.request('PUT', `/${bucket}`, {query: 'policy', body: JSON.stringify({Statement: Array.from({length: count}, (_, i) => statement(i))})});
  assert.equal((await put(1000)).code, 'MalformedPolicy');
  assert.equal((await put(150)).status, 204);
  // Every statement is asked about a key on which a naive matcher would try all ways of cutting it.
  const long = `/${bucket}/${'a'.repeat(1000)}`;
  for (let i = 0; i < 100; i++) assert.equal((await client.request('GET', long)).status, 404);
  assert.equal((await client.request('DELETE', `/${bucket}`, {query: 'policy'})).status, 204);
  await stays();
});
