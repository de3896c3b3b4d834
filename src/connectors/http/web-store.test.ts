import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {type ByteString, fromText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {HttpClientRequest, HttpClientResponse} from '#runtime/http.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {connector} from '#connectors/http/connector.ts';
import {namesInIndex} from '#connectors/http/index-page.ts';

const call = {signal: new AbortController().signal};
const nginx = `<html><head><title>Index of /d/</title></head><body><h1>Index of /d/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>   19-Nov-2026 21:01   -
<a href="a%20b%26c.txt">a b&amp;c.txt</a>  19-Nov-2026 21:01  3551</pre></body></html>`;
const apache = `<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/d-parent/">Parent Directory</a></td></tr><tr><td><a href='file&amp;1.bin'>file</a></td></tr><tr><td><A HREF=plain.txt>plain</A></td></tr></table>`;

test('index pages of nginx and Apache are read', () => {
  const url = new URL('http://h/d/');
  assert.deepEqual(namesInIndex(fromText(nginx), url), ['a b&c.txt', 'sub/']);
  assert.deepEqual(namesInIndex(fromText(apache), url), ['file&1.bin', 'plain.txt']);
});

test('links that leave the directory are no names', () => {
  const bad = ['..', '../x', '/', '/other/x', 'http://evil/x', '//evil/x', 'https://h/d/x', 'x/y', '%2e%2e', '%2e%2e/', 'a%2Fb', 'a%00b',
    'javascript:x', 'mailto:a', '#top', '?x', './', '.', '', 'x?y', '&#46;&#46;/', '\\..\\x/y'];
  const page = bad.map(href => `<a href="${href}">x</a>`).join('\n');
  assert.deepEqual(namesInIndex(fromText(page), new URL('http://h/d/')), []);
  const good = ['./x', '/d/y', 'http://h/d/z', '//h/d/w/', '...', '..x'];
  assert.deepEqual(namesInIndex(fromText(good.map(href => `<a class=c href="${href}">`).join('')), new URL('http://h/d/')), ['...', '..x', 'w/', 'x', 'y', 'z']);
});

test('a page of a million broken tags is read once, not a million times', () => {
  const url = new URL('http://h/d/');
  for (const piece of ['<a ', '<a href', '<a href=', '<a href= ']) assert.deepEqual(namesInIndex(`${piece.repeat(1_000_000)}<a href="end">` as ByteString, url).at(-1), 'end');
});

test('whatever a page says, names stay one segment below the directory', () => {
  const piece = fc.oneof(fc.constantFrom('<a href="', '"', '>', '%2e', '%2f', '..', '/', '&#x2e;', '&#47;', 'http://h/d/', '\0', '%', '<a href=', "'"), fc.string({maxLength: 5}));
  fc.assert(
    fc.property(fc.array(piece, {maxLength: 40}), pieces => {
      for (const name of namesInIndex(fromText(pieces.join('')), new URL('http://h/d/'))) {
        const plain = name.replace(/\/$/, '');
        assert.ok(plain !== '' && plain !== '.' && plain !== '..' && !plain.includes('/') && !plain.includes('\0'), JSON.stringify(name));
      }
    }),
    {numRuns: 500},
  );
});

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function scripted(answer: (request: HttpClientRequest) => Answer): {requests: HttpClientRequest[]; open: (uri: string, options?: Record<string, string>) => Promise<UnderStore>} {
  const requests: HttpClientRequest[] = [];
  const request = async (sent: HttpClientRequest): Promise<HttpClientResponse> => {
    requests.push(sent);
    const {status, headers = {}, body = ''} = answer(sent);
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      if (body !== '' && sent.method !== 'HEAD') yield Buffer.from(body, 'latin1');
    };
    const stream = chunks();
    return {status, rawHeaders: Object.entries(headers).flat(), header: name => headers[name], body: {[Symbol.asyncIterator]: () => stream, destroy: () => void stream.return(undefined)}};
  };
  const unused = new Proxy({}, {get: () => assert.fail('not needed here')});
  return {requests, open: (uri, options = {}) => connector.open(uri, options, {http: {request}, disk: unused, clock: unused, random: unused, variables: {}} as never)};
}

const headerOf = (request: HttpClientRequest, name: string): string | undefined => {
  const at = request.headers.findIndex((item, i) => i % 2 === 0 && item === name);
  return at === -1 ? undefined : request.headers[at + 1];
};

test('redirects are bounded, and credentials stay with their server', async () => {
  const {requests, open} = scripted(({url}) =>
    url.startsWith('https://first/') ? {status: 302, headers: {location: 'https://second/file'}}
    : url.endsWith('/loop') ? {status: 301, headers: {location: '/loop'}}
    : {status: 200, headers: {'content-length': '3', etag: '"x"'}, body: 'abc'},
  );
  const store = await open('https://first/dir', {user: 'me', password: 'pw'});
  assert.equal((await store.stat(fromText('a'), call))?.length, 3);
  assert.equal(headerOf(requests[0]!, 'authorization'), 'Basic bWU6cHc=');
  assert.equal(headerOf(requests[1]!, 'authorization'), undefined);
  const loop = await open('http://host/');
  await assert.rejects(loop.stat(fromText('loop'), call), error => isKind(error, 'Unavailable'));
  const down = await scripted(() => ({status: 307, headers: {location: 'http://host/x'}})).open('https://host/');
  await assert.rejects(down.stat(fromText('x'), call), error => isKind(error, 'PermissionDenied'));
  const away = await scripted(() => ({status: 307, headers: {location: 'file:///etc/passwd'}})).open('https://host/');
  await assert.rejects(away.stat(fromText('x'), call), error => isKind(error, 'Unavailable'));
});

test('answers that cannot be trusted are errors', async () => {
  const read = async (answer: Answer, request = {}): Promise<string> => {
    const store = await scripted(() => answer).open('http://host/');
    let text = '';
    for await (const chunk of (await store.read(fromText('f'), request, call)).body) text += Buffer.from(chunk).toString();
    return text;
  };
  const kind = (name: Parameters<typeof isKind>[1]) => (error: unknown) => isKind(error, name);
  await assert.rejects(read({status: 200, headers: {'content-length': '5'}, body: 'abc'}), kind('Unavailable'));
  await assert.rejects(read({status: 200, body: 'abc'}), kind('Unsupported'));
  await assert.rejects(read({status: 206, headers: {'content-length': '3'}, body: 'abc'}, {offset: 1, length: 3}), kind('Unavailable'));
  await assert.rejects(read({status: 206, headers: {'content-length': '3', 'content-range': 'bytes 5-7/9'}, body: 'abc'}, {offset: 1, length: 3}), kind('Unavailable'));
  await assert.rejects(read({status: 200, headers: {'content-length': '3', etag: '"new"'}, body: 'abc'}, {ifFingerprint: '"old"'}), kind('ContentChanged'));
  await assert.rejects(read({status: 503}), kind('Overloaded'));
  await assert.rejects(read({status: 401}), kind('Unauthenticated'));
  assert.equal(await read({status: 200, headers: {'content-length': '6'}, body: 'abcdef'}, {offset: 2, length: 3}), 'cde', 'a server without ranges');
  assert.equal(await read({status: 200, headers: {'content-length': '6'}, body: 'abcdef'}, {offset: -2}), 'ef');
});

test('an explicit list is a tree', async () => {
  const {open, requests} = scripted(({url}) => (url.endsWith('list.txt') ? {status: 200, body: '# comment\na.bin\ndir/b\r\ndir/sub/c\n'} : {status: 200, headers: {'content-length': '5', etag: '"e"'}}));
  for (const files of ['http://host/list.txt', 'a.bin, dir/b, dir/sub/c']) {
    const store = await open('http://host/base/', {files});
    const all = await store.list({prefix: '' as ByteString, delimiter: false, limit: 10}, call);
    assert.deepEqual(all.objects.map(object => object.key), ['a.bin', 'dir/b', 'dir/sub/c']);
    const top = await store.list({prefix: '' as ByteString, delimiter: true, limit: 10}, call);
    assert.deepEqual([top.objects.map(object => object.key), top.prefixes], [['a.bin'], ['dir/']]);
  }
  assert.ok(requests.some(request => request.url === 'http://host/base/dir/sub/c'));
  const bad = await open('http://host/', {files: '../x'});
  await assert.rejects(bad.list({prefix: '' as ByteString, delimiter: true, limit: 10}, call), error => isKind(error, 'InvalidArgument'));
});

test('what is no index page is not an empty directory', async () => {
  const list = async (answer: Answer): Promise<unknown> => (await scripted(() => answer).open('http://host/')).list({prefix: '' as ByteString, delimiter: true, limit: 10}, call);
  await assert.rejects(list({status: 200, headers: {'content-type': 'application/json'}, body: '{}'}), error => isKind(error, 'Unsupported'));
  await assert.rejects(list({status: 404}), error => isKind(error, 'NotFound'));
  await assert.rejects(list({status: 403}), error => isKind(error, 'PermissionDenied'));
});

test('paths that a URL cannot say do not exist', async () => {
  const {open, requests} = scripted(() => ({status: 404}));
  const store = await open('http://host/base/');
  for (const key of ['../x', 'a/../../x', 'a//b', './x']) await assert.rejects(store.stat(fromText(key), call), error => isKind(error, 'InvalidPath'));
  assert.equal(requests.length, 0);
  await assert.rejects(store.makeDirectory(fromText('d/'), call), error => isKind(error, 'ReadOnly'));
});

test('URIs and options are checked', () => {
  assert.deepEqual(connector.describe('https://host/a%20b/c', {}), {place: 'https://host/a%20b/c/', defaultName: 'c'});
  for (const uri of ['http://', 'http://u:p@host/', 'http://host/?x', 'ftp://host/']) assert.throws(() => connector.describe(uri, {}), error => isKind(error, 'InvalidArgument'), uri);
  assert.throws(() => connector.describe('http://host/', {user: 'me'}), error => isKind(error, 'InvalidArgument'));
  assert.equal(connector.options['password']?.secret, true);
});
