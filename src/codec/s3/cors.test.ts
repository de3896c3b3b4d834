import assert from 'node:assert/strict';
import {test} from 'node:test';
import {corsHeaders, corsXml, parseCors, requestedHeaders, requestedMethod} from '#codec/s3/cors.ts';

const rule = {id: 'one', allowedOrigins: ['https://*.example.org', 'http://a'], allowedMethods: ['GET', 'PUT'], allowedHeaders: ['x-amz-*', 'Date'], exposeHeaders: ['ETag'], maxAgeSeconds: 30};
const open = {allowedOrigins: ['*'], allowedMethods: ['HEAD'], allowedHeaders: [], exposeHeaders: []};
const valueOf = (headers: readonly string[] | undefined, name: string) => headers?.[headers.indexOf(name) + 1];

test('rules come back as they were set, and bad ones are refused', () => {
  assert.deepEqual(parseCors(Buffer.from(corsXml([rule, open]))), [rule, open]);
  const refused = (code: string, more: object) => assert.throws(() => parseCors(Buffer.from(corsXml([{...rule, ...more}]))), {code});
  refused('InvalidRequest', {allowedMethods: ['get']});
  refused('InvalidRequest', {allowedOrigins: ['*.*']});
  refused('InvalidRequest', {allowedHeaders: ['a b']});
  refused('MalformedXML', {allowedMethods: []});
  assert.throws(() => parseCors(Buffer.from('<CORSConfiguration/>')), {code: 'MalformedXML'});
});

test('the first rule that fits decides', () => {
  const ask = (origin: string, method: string, headers = '') => corsHeaders([rule, open], origin, method, requestedHeaders(headers));
  assert.equal(valueOf(ask('https://b.example.org', 'PUT', 'X-Amz-Date, date'), 'Access-Control-Allow-Origin'), 'https://b.example.org');
  assert.equal(valueOf(ask('https://b.example.org', 'GET', 'DATE'), 'Access-Control-Allow-Headers'), 'date');
  assert.equal(valueOf(ask('anything', 'HEAD'), 'Access-Control-Allow-Origin'), '*');
  const strangers = [['http://b', 'GET', ''], ['http://a', 'DELETE', ''], ['http://a', 'GET', 'content-type'], ['https://.example.or', 'GET', '']] as const;
  for (const [origin, method, headers] of strangers) assert.equal(ask(origin, method, headers), undefined);
  assert.throws(() => requestedHeaders('a,b c'), {code: 'BadRequest'});
  assert.throws(() => requestedMethod('get'), {code: 'BadRequest'});
});
