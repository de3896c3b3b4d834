/** The REST interface, as a client with its OpenAPI document in hand sees it: every route is called, every answer is held against the document. */
import assert from 'node:assert/strict';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {startEmbedded, type Instance} from '#process/embedded.ts';
import {createHttp} from '#runtime/node/http/node-http.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import {checkMetrics, promtool} from '../servers/promtool.ts';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly nullable?: boolean;
}

interface Operation {
  readonly parameters?: readonly {readonly name: string; readonly required: boolean}[];
  readonly responses: Readonly<Record<string, {readonly content?: Readonly<Record<string, {readonly schema: Schema}>>}>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {readonly responses: {readonly Error: {readonly content: Readonly<Record<string, {readonly schema: Schema}>>}}};
}

/** What is wrong with a value by the part of JSON Schema that OpenAPI 3.0 documents use; empty when nothing. */
function violations(schema: Schema, value: unknown, at = '$'): string[] {
  if (schema.nullable && value === null) return [];
  if (schema.anyOf) return schema.anyOf.some((option) => violations(option, value, at).length === 0) ? [] : [`${at} fits none of its forms`];
  const found: string[] = [];
  if (schema.enum && !schema.enum.includes(value)) found.push(`${at} is ${JSON.stringify(value)}, not one of ${JSON.stringify(schema.enum)}`);
  switch (schema.type) {
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at} is no object`];
      const members = value as Record<string, unknown>;
      for (const name of schema.required ?? []) if (!(name in members)) found.push(`${at}.${name} is missing`);
      for (const [name, member] of Object.entries(members)) {
        const described = schema.properties?.[name];
        if (described) found.push(...violations(described, member, `${at}.${name}`));
        else if (typeof schema.additionalProperties === 'object') found.push(...violations(schema.additionalProperties, member, `${at}.${name}`));
        else if (schema.properties && Object.keys(schema.properties).length > 0) found.push(`${at}.${name} is not in the document`);
      }
      return found;
    }
    case 'array':
      if (!Array.isArray(value)) return [`${at} is no list`];
      return [...found, ...value.flatMap((item, i) => (schema.items ? violations(schema.items, item, `${at}[${i}]`) : []))];
    case 'integer':
      if (!Number.isInteger(value)) found.push(`${at} is no whole number`);
      break;
    case 'number':
    case 'string':
    case 'boolean':
      if (typeof value !== schema.type) found.push(`${at} is no ${schema.type}`);
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(String(value))) found.push(`${at} does not match ${schema.pattern}`);
  if (schema.minimum !== undefined && Number(value) < schema.minimum) found.push(`${at} is below ${schema.minimum}`);
  return found;
}

let home: string;
let instance: Instance;
let api: Document;
const stop = new AbortController();
const called = new Set<string>();

async function call(method: string, target: string, body?: unknown, expected = 200): Promise<unknown> {
  const {accessKeyId, secretAccessKey} = instance.key;
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(instance.info.http + target, {
    method,
    headers: {authorization: `Basic ${Buffer.from(`${accessKeyId}:${secretAccessKey}`).toString('base64')}`},
    ...(body === undefined ? {} : {body: isBytes ? Buffer.from(body) : JSON.stringify(body)}),
  });
  const text = await response.text();
  assert.equal(response.status, expected, `${method} ${target}: ${text.slice(0, 300)}`);
  const route = target.replace(/\?.*$/, '');
  const operation = api.paths[route]?.[method.toLowerCase()];
  assert.ok(operation, `${method} ${route} is not in the document`);
  called.add(`${method} ${route}`);
  if (expected >= 400) {
    const value = JSON.parse(text) as unknown;
    assert.deepEqual(violations(api.components.responses.Error.content['application/json']!.schema, value), [], target);
    return value;
  }
  const described = operation.responses[String(expected)];
  assert.ok(described, `${method} ${route} answers ${expected}, which the document does not say`);
  const schema = described.content?.['application/json']?.schema;
  if (!schema) return text;
  const value = JSON.parse(text) as unknown;
  assert.deepEqual(violations(schema, value), [], `${method} ${target}`);
  return value;
}

before(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'weir-rest-'));
  const up = {uris: [], host: '127.0.0.1', s3Port: 0, httpPort: 0, rpcPort: 0, disks: [{directory: path.join(home, 'cache'), quotaBytes: 64 << 20}]};
  const runtime = createNodeRuntime({log: {level: 'silent'}});
  instance = await startEmbedded({home: path.join(home, 'home'), up, version: '0.0.0', pid: process.pid, variables: {}}, {runtime, http: createHttp(), signal: stop.signal});
  const {accessKeyId, secretAccessKey} = instance.key;
  const authorization = `Basic ${Buffer.from(`${accessKeyId}:${secretAccessKey}`).toString('base64')}`;
  api = (await (await fetch(`${instance.info.http}/api/v1/openapi.json`, {headers: {authorization}})).json()) as Document;
});
after(async () => {
  await instance[Symbol.asyncDispose]();
  await rm(home, {recursive: true});
});

describe('REST', () => {
  it('makes, shows and removes webhooks, without their secrets', async () => {
    await call('PUT', '/api/v1/webhooks', {name: 'hook', url: 'ftp://x/'}, 400);
    await call('DELETE', '/api/v1/webhooks?name=hook', undefined, 404);
    const made = await call('PUT', '/api/v1/webhooks', {name: 'hook', url: 'http://127.0.0.1:9/in', token: 'secret-token', secret: 'secret-key'});
    const expected = {name: 'hook', arn: 'arn:weir:sqs::hook:webhook', url: 'http://127.0.0.1:9/in', hasToken: true, hasSecret: true, backlog: 0, dropped: 0};
    assert.deepEqual(made, expected);
    assert.deepEqual(await call('GET', '/api/v1/webhooks'), [expected]);
    await call('DELETE', '/api/v1/webhooks?name=hook', undefined, 204);
    assert.deepEqual(await call('GET', '/api/v1/webhooks'), []);
  });

  it('does what its document says, route by route', async () => {
    assert.match(api.openapi, /^3[.]0/);
    await call('POST', '/api/v1/directories', {path: '/bucket/deep', parents: true});
    await call('PUT', '/api/v1/content?path=/bucket/deep/file.txt', Buffer.from('hello world'));
    const file = (await call('GET', '/api/v1/files?path=/bucket/deep/file.txt')) as {length: number; etag: string};
    assert.equal(file.length, 11);
    assert.equal(file.etag, '5eb63bbbe01eeed093cb22bb8f5acdc3');
    assert.equal(await call('GET', '/api/v1/content?path=/bucket/deep/file.txt'), 'hello world');
    await call('PATCH', '/api/v1/files?path=/bucket/deep/file.txt', {mode: '0600', xattrs: {'user.note': 'aGk='}});
    const list = (await call('GET', '/api/v1/list?path=/bucket&recursive=true&limit=1')) as {entries: {key: string}[]; next?: string};
    assert.deepEqual(list.entries.map(({key}) => key), ['deep/']);
    const rest = (await call('GET', `/api/v1/list?path=/bucket&recursive=true&after=${encodeURIComponent(list.next!)}`)) as {entries: {key: string}[]};
    assert.deepEqual(rest.entries.map(({key}) => key), ['deep/file.txt']);
    await call('GET', '/api/v1/usage?path=/');
    await call('POST', '/api/v1/symlinks', {path: '/bucket/link', target: 'deep/file.txt'});
    await call('POST', '/api/v1/copy', {from: '/bucket/deep/file.txt', to: '/bucket/copy'});
    await call('POST', '/api/v1/rename', {from: '/bucket/copy', to: '/bucket/moved'});
    await call('POST', '/api/v1/refresh', {path: '/bucket/'});
    await call('GET', '/api/v1/explain?path=/bucket/moved');
    await call('POST', '/api/v1/pin', {path: '/bucket/moved', pinned: true});
    await call('POST', '/api/v1/load', {path: '/bucket/moved'});
    await call('POST', '/api/v1/free', {path: '/bucket/moved'});
    assert.deepEqual(await call('GET', '/api/v1/persist?path=/'), {entries: []});
    await call('POST', '/api/v1/persist', {path: '/bucket/moved'});
    const outside = path.join(home, 'outside');
    await import('node:fs/promises').then(({mkdir}) => mkdir(outside));
    await call('POST', '/api/v1/mounts', {path: '/outside', uri: `file://${outside}`, options: {}});
    await call('PATCH', '/api/v1/mounts?path=/outside', {readOnly: true, freshness: 'always'});
    const mounts = (await call('GET', '/api/v1/mounts')) as {path: string; readOnly: boolean}[];
    assert.equal(mounts.find((mount) => mount.path === '/outside/')?.readOnly, true);
    await call('PUT', '/api/v1/content?path=/outside/x', Buffer.from('x'), 403);
    await call('DELETE', '/api/v1/mounts?path=/outside', undefined, 204);
    await call('GET', '/api/v1/jobs');
    const document = {Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::bucket/*'}]};
    await call('PUT', '/api/v1/policies', {name: 'reader', document});
    await call('POST', '/api/v1/groups', {name: 'people'});
    const user = (await call('POST', '/api/v1/users', {name: 'bob', policies: ['reader']})) as {account: string};
    assert.equal(user.account, 'instance');
    await call('POST', '/api/v1/memberships', {group: 'people', user: 'bob', member: true});
    await call('POST', '/api/v1/attachments', {policy: 'reader', group: 'people', attached: true});
    await call('PUT', '/api/v1/inline-policies', {user: 'bob', name: 'own', document});
    assert.deepEqual(((await call('GET', '/api/v1/inline-policies?user=bob&name=own')) as {document: unknown}).document, document);
    const key = (await call('POST', '/api/v1/keys', {user: 'bob', expiresAt: '2030-01-01T00:00:00Z'})) as {accessKeyId: string; secretAccessKey: string};
    await call('PATCH', `/api/v1/keys?id=${key.accessKeyId}`, {active: false, expiresAt: null});
    for (const listed of ['users', 'keys?user=bob', 'groups', 'policies']) {
      const text = JSON.stringify(await call('GET', `/api/v1/${listed}`));
      assert.ok(text.includes('bob') && !text.includes(key.secretAccessKey), listed);
    }
    await call('PATCH', '/api/v1/users?name=bob', {active: false});
    await call('DELETE', `/api/v1/keys?id=${key.accessKeyId}`, undefined, 204);
    await call('DELETE', '/api/v1/policies?name=reader', undefined, 409);
    await call('DELETE', '/api/v1/users?name=bob', undefined, 204);
    await call('DELETE', '/api/v1/groups?name=people', undefined, 204);
    await call('DELETE', '/api/v1/policies?name=reader', undefined, 204);
    await call('DELETE', '/api/v1/jobs?id=999999', undefined, 404);
    await call('GET', '/api/v1/status');
    await call('GET', '/api/v1/backup');
    await call('DELETE', '/api/v1/files?path=/bucket', undefined, 409);
    await call('DELETE', '/api/v1/files?path=/bucket&recursive=true', undefined, 204);
    const documented = Object.entries(api.paths).flatMap(([route, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${route}`));
    assert.deepEqual([...called].sort(), documented.sort(), 'every route of the document was called');
  });

  it('says what is wrong, with a code', async () => {
    const cases: [string, string, unknown, number, string][] = [
      ['GET', '/api/v1/files?path=/nowhere', undefined, 404, 'NotFound'],
      ['GET', '/api/v1/files', undefined, 400, 'InvalidArgument'],
      ['GET', '/api/v1/files?path=nowhere', undefined, 400, 'InvalidPath'],
      ['GET', '/api/v1/files?path=/a%00b', undefined, 400, 'InvalidPath'],
      ['GET', '/api/v1/files?path=/%zz', undefined, 400, 'InvalidArgument'],
      ['GET', `/api/v1/files?path=/${'x'.repeat(2000)}`, undefined, 400, 'NameTooLong'],
      ['GET', '/api/v1/list?path=/&limit=0', undefined, 400, 'InvalidArgument'],
      ['POST', '/api/v1/directories', {path: 7}, 400, 'InvalidArgument'],
      ['POST', '/api/v1/directories', {path: '/a', unknown: 1}, 400, 'InvalidArgument'],
      ['POST', '/api/v1/mounts', {path: '/m', uri: 'nonsense://x'}, 400, 'InvalidArgument'],
    ];
    for (const [method, target, body, status, code] of cases) {
      const value = (await call(method, target, body, status)) as {error: {code: string}};
      assert.equal(value.error.code, code, target);
    }
  });

  it('lets nobody in without the key, and tells nothing', async () => {
    for (const authorization of [undefined, 'Basic', 'Basic !!!', `Basic ${Buffer.from('nobody:x').toString('base64')}`, `Basic ${Buffer.from(`${instance.key.accessKeyId}:wrong`).toString('base64')}`]) {
      const response = await fetch(`${instance.info.http}/api/v1/files?path=/`, authorization === undefined ? {} : {headers: {authorization}});
      assert.equal(response.status, 401);
      assert.ok(!(await response.text()).includes(instance.key.secretAccessKey));
    }
    assert.equal((await fetch(`${instance.info.http}/healthz`)).status, 200);
  });

  it('exposes metrics that promtool has nothing against', async (t) => {
    const program = await promtool('metrics');
    if (!program) return t.skip('there is no promtool');
    const text = await (await fetch(`${instance.info.http}/metrics`)).text();
    assert.match(text, /^weir_/m);
    assert.equal(await checkMetrics(program, text), '');
  });
});
