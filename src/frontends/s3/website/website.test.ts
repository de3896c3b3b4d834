/** Websites as a browser meets them. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  CreateBucketCommand, DeleteBucketWebsiteCommand, GetBucketWebsiteCommand, PutBucketCorsCommand, PutBucketPolicyCommand, PutBucketWebsiteCommand, PutObjectCommand, type WebsiteConfiguration,
} from '@aws-sdk/client-s3';
import {type Answer, codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'www.example.com';
const allow = async (Resource: string): Promise<void> => {
  await gateway.sdk.send(new PutBucketPolicyCommand({Bucket, Policy: JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource}]})}));
};
/** Reading and listing. */
const allowAll = async (): Promise<void> => {
  const allowed = [['s3:GetObject', `arn:aws:s3:::${Bucket}/*`], ['s3:ListBucket', `arn:aws:s3:::${Bucket}`]];
  const Statement = allowed.map(([Action, Resource]) => ({Effect: 'Allow', Principal: '*', Action, Resource}));
  await gateway.sdk.send(new PutBucketPolicyCommand({Bucket, Policy: JSON.stringify({Version: '2012-10-17', Statement})}));
};
const configure = async (WebsiteConfiguration: WebsiteConfiguration): Promise<void> => void (await gateway.sdk.send(new PutBucketWebsiteCommand({Bucket, WebsiteConfiguration})));
const put = async (Key: string, Body: string, more: {WebsiteRedirectLocation?: string; ContentType?: string} = {}): Promise<void> =>
  void (await gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body, ...more})));
const visit = async (target: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> =>
  await gateway.send({method, target, headers: Object.entries({host: Bucket, ...headers}).flat(), site: true});
const shown = ({status, headers, body}: Answer): readonly (string | number | undefined)[] => [status, headers['location'] ?? body.toString()];

before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
  await configure({IndexDocument: {Suffix: 'index.html'}, ErrorDocument: {Key: 'errors/404.html'}});
  const pages = {'index.html': 'home', 'dir/index.html': 'in dir', 'dir/a b.txt': '0123456789', 'secret.txt': 'no', 'errors/404.html': 'sorry'};
  for (const [key, body] of Object.entries(pages)) await put(key, body, {ContentType: 'text/html'});
  await allowAll();
});
after(() => gateway[Symbol.asyncDispose]());

test('the configuration comes back, and goes', async () => {
  const Other = 'another';
  await gateway.sdk.send(new CreateBucketCommand({Bucket: Other}));
  assert.equal(await codeOf(gateway.sdk.send(new GetBucketWebsiteCommand({Bucket: Other}))), 'NoSuchWebsiteConfiguration');
  await gateway.sdk.send(new PutBucketWebsiteCommand({Bucket: Other, WebsiteConfiguration: {RedirectAllRequestsTo: {HostName: 'h', Protocol: 'https'}}}));
  assert.deepEqual((await gateway.sdk.send(new GetBucketWebsiteCommand({Bucket: Other}))).RedirectAllRequestsTo, {HostName: 'h', Protocol: 'https'});
  assert.deepEqual(shown(await visit('/a/b?q', {host: `${Other}.web.example:81`})), [301, 'https://h/a/b?q']);
  await gateway.sdk.send(new DeleteBucketWebsiteCommand({Bucket: Other}));
  const gone = await visit('/', {host: `${Other}.web.example`});
  assert.deepEqual([gone.status, gone.headers['x-amz-error-code'], gone.headers['content-type']], [404, 'NoSuchWebsiteConfiguration', 'text/html; charset=utf-8']);
  assert.equal(await codeOf(gateway.sdk.send(new GetBucketWebsiteCommand({Bucket: Other}))), 'NoSuchWebsiteConfiguration');
});

test('index documents, directories without their slash, and objects', async () => {
  assert.deepEqual(shown(await visit('/')), [200, 'home']);
  assert.deepEqual(shown(await visit('/?x=1')), [200, 'home']);
  assert.deepEqual(shown(await visit('/dir/')), [200, 'in dir']);
  assert.deepEqual(shown(await visit('/dir')), [302, '/dir/']);
  assert.deepEqual(shown(await visit('/dir/a%20b.txt')), [200, '0123456789']);
  const head = await visit('/dir/', {}, 'HEAD');
  assert.deepEqual([head.status, head.headers['content-length'], head.headers['content-type']], [200, '6', 'text/html']);
});

test('ranges and conditions', async () => {
  const whole = await visit('/dir/a%20b.txt');
  const part = await visit('/dir/a%20b.txt', {range: 'bytes=2-4'});
  assert.deepEqual([...shown(part), part.headers['content-range']], [206, '234', 'bytes 2-4/10']);
  assert.equal((await visit('/dir/a%20b.txt', {'if-none-match': whole.headers['etag']!})).status, 304);
  assert.deepEqual(shown(await visit('/missing', {range: 'bytes=0-1', 'if-none-match': '*'})), [404, 'sorry'], 'an error document is shown whole');
});

test('errors: the own document with the right status, or a page in which nothing is markup', async () => {
  assert.deepEqual(shown(await visit('/missing')), [404, 'sorry']);
  await configure({IndexDocument: {Suffix: 'index.html'}});
  const plain = await visit('/%3Cscript%3Ealert(1)%3C/script%3E&');
  assert.equal(plain.status, 404);
  assert.match(plain.body.toString(), /<li>Code: NoSuchKey<\/li>[^]*<li>Key: &lt;script&gt;alert\(1\)&lt;\/script&gt;&amp;<\/li>/);
  assert.equal((await visit('/missing', {}, 'HEAD')).body.length, 0);
  for (const method of ['PUT', 'POST', 'DELETE']) assert.deepEqual([(await visit('/index.html', {}, method)).status, (await visit('/', {}, method)).headers['allow']], [405, 'GET, HEAD, OPTIONS']);
  await configure({IndexDocument: {Suffix: 'index.html'}, ErrorDocument: {Key: 'nowhere.html'}});
  const custom = await visit('/missing');
  assert.equal(custom.status, 404);
  assert.match(custom.body.toString(), /Custom Error Document[^]*nowhere\.html/);
});

test('only what everybody may read is shown, whoever signs; who may not list is not told what is missing', async () => {
  await configure({IndexDocument: {Suffix: 'index.html'}});
  await allow(`arn:aws:s3:::${Bucket}/dir/*`);
  assert.equal((await visit('/secret.txt')).status, 403);
  assert.equal((await visit('/secret.txt', {authorization: 'AWS4-HMAC-SHA256 Credential=key/x'})).status, 403);
  assert.equal((await visit('/dir/missing')).status, 403);
  assert.equal((await visit('/dir/index.html')).status, 200);
  assert.equal((await visit('/')).status, 403);
  assert.equal((await visit('/dir/index.html?versionId=null&response-content-type=x')).headers['content-type'], 'text/html');
  await allowAll();
  assert.equal((await visit('/dir/missing')).status, 404);
});

test('redirects: of objects, by rules before and after the look, to other hosts', async () => {
  await configure({IndexDocument: {Suffix: 'index.html'}, RoutingRules: [
    {Condition: {KeyPrefixEquals: 'old/'}, Redirect: {ReplaceKeyPrefixWith: 'dir/'}},
    {Condition: {KeyPrefixEquals: 'gone/', HttpErrorCodeReturnedEquals: '404'}, Redirect: {HostName: 'archive.example', Protocol: 'https', HttpRedirectCode: '307'}},
    {Condition: {HttpErrorCodeReturnedEquals: '404'}, Redirect: {ReplaceKeyWith: 'search?q=é\r\nx: y'}},
  ]});
  await put('moved', 'x', {WebsiteRedirectLocation: '/dir/'});
  await put('away', 'body', {WebsiteRedirectLocation: 'https://elsewhere.example/x'});
  assert.deepEqual(shown(await visit('/moved')), [301, '/dir/']);
  assert.deepEqual(shown(await visit('/away', {}, 'HEAD')), [301, 'https://elsewhere.example/x']);
  assert.deepEqual(shown(await visit('/old/a')), [301, `http://${Bucket}/dir/a`]);
  assert.deepEqual(shown(await visit('/gone/a')), [307, 'https://archive.example/gone/a']);
  assert.deepEqual(shown(await visit('/dir')), [302, '/dir/']);
  assert.deepEqual(shown(await visit('/nothing')), [301, `http://${Bucket}/search?q=%C3%A9%0D%0Ax:%20y`]);
});

test('by a path, where the host is an address', async () => {
  await configure({IndexDocument: {Suffix: 'index.html'}, RoutingRules: [{Condition: {KeyPrefixEquals: 'old/'}, Redirect: {ReplaceKeyPrefixWith: 'dir/'}}]});
  for (const host of ['127.0.0.1:8080', 'localhost:8080', '[::1]:8080', 'intranet']) {
    assert.deepEqual(shown(await visit(`/${Bucket}/`, {host})), [200, 'home']);
    assert.deepEqual(shown(await visit(`/${Bucket}`, {host})), [302, `/${Bucket}/`]);
    assert.deepEqual(shown(await visit(`/${Bucket}/dir`, {host})), [302, `/${Bucket}/dir/`]);
    assert.deepEqual(shown(await visit(`/${Bucket}/old/x`, {host})), [301, `http://${host}/${Bucket}/dir/x`]);
    assert.deepEqual(shown(await visit(`/${Bucket}/moved`, {host})), [301, `/${Bucket}/dir/`]);
    assert.equal((await visit('/', {host})).status, 404);
  }
  assert.equal((await visit('/', {host: 'nobody.example'})).headers['x-amz-error-code'], 'NoSuchBucket');
  assert.deepEqual(shown(await visit('/', {host: `${Bucket}.s3-website.test`})), [200, 'home']);
  for (const target of ['/%00', '/%ff', `/${'x'.repeat(1030)}`]) assert.equal((await visit(target)).status, 400, target.slice(0, 10));
});

test('scripts of other origins, where the rules of the bucket allow it', async () => {
  await gateway.sdk.send(new PutBucketCorsCommand({Bucket, CORSConfiguration: {CORSRules: [{AllowedMethods: ['GET'], AllowedOrigins: ['https://app.example']}]}}));
  assert.equal((await visit('/', {origin: 'https://app.example'})).headers['access-control-allow-origin'], 'https://app.example');
  assert.equal((await visit('/', {origin: 'https://other.example'})).headers['access-control-allow-origin'], undefined);
  assert.equal((await visit('/', {origin: 'https://app.example', 'access-control-request-method': 'GET'}, 'OPTIONS')).status, 200);
});
