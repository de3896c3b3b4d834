import assert from 'node:assert/strict';
import {globSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {test} from 'node:test';
import type {FileSystem} from '#client/file-system.ts';
import type {ByteString} from '#base/byte-string.ts';
import {type RequestFinding, fuzzRequests} from './s3-requests.ts';

const folder = path.join(import.meta.dirname, '../corpus/s3-requests');
const corpus = globSync('*', {cwd: folder}).sort().map((file) => readFileSync(path.join(folder, file)));
/** What CI has time for; `npm run fuzz -- s3-requests --executions 1000000` goes on. */
const executions = 60_000;

test('the S3 front end takes recorded requests and tens of thousands of mutations of them', {timeout: 600_000}, async () => {
  const lanes = 3;
  const results = await Promise.all(Array.from({length: lanes}, (_, seed) => fuzzRequests({executions: executions / lanes, seed, corpus})));
  for (const {finding} of results) assert.equal(finding, undefined, finding && `${JSON.stringify(finding.wire.toString('latin1'))}: ${finding.error.stack}`);
  // As many kinds of answers as requests that go nowhere would never meet.
  assert.ok(results.every(({kinds}) => kinds.size > 2000));
});

/** Fuzzes a front end over a file system with a fault. */
async function faultOf(methods: (files: FileSystem) => Partial<FileSystem>, head = (text: string) => text): Promise<RequestFinding> {
  const wrap = (files: FileSystem): FileSystem => {
    const faulty = methods(files);
    return new Proxy(files, {get: (target, name) => {
      const own: unknown = Reflect.get(faulty, name);
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    }});
  };
  const {finding} = await fuzzRequests({executions: 60_000, seed: 1, wrap, head});
  assert.ok(finding, 'the planted fault was not found');
  return finding;
}

test('planted: a byte of some pieces is stored wrong', async () => {
  const {error} = await faultOf((files) => ({create: async (...args) => {
    const writer = await files.create(...args);
    const write = (chunk: Uint8Array): Promise<void> => writer.write(chunk.length % 13 === 5 ? chunk.with(-1, 0x5f) : chunk);
    // Digests that the client announced would tell: a fault behind them is what is planted.
    return {write, commit: (_, sealed) => writer.commit(undefined, sealed), abort: () => writer.abort()};
  }}));
  assert.match(error.message, /stored are|MD5/);
});

test('planted: escaped line ends in what an answer repeats become line ends of its head', async () => {
  const {error} = await faultOf(() => ({}), (text) => text.replaceAll(/%0d%0a|%0a/gi, '\r\n'));
  assert.match(error.message, /wrote a header/);
});

test('planted: a removal that was refused has removed', async () => {
  const {error, wire} = await faultOf((files) => ({remove: async (name: ByteString, options, context) => {
    try {
      return await files.remove(name, options, context);
    } catch (failure) {
      const {precondition, ...rest} = options;
      if (precondition) await files.remove(name, rest, context);
      throw failure;
    }
  }}));
  assert.match(error.message, /changed something/);
  assert.match(wire.toString('latin1'), /if-match/i);
});

test('planted: a listing that breaks behind some keys', async () => {
  const {error} = await faultOf((files) => ({list: (request, context) => {
    if (request.prefix !== undefined && /[^\x20-\x7e]/.test(request.prefix)) throw new TypeError('planted');
    return files.list(request, context);
  }}));
  assert.match(error.message, /planted/);
});
