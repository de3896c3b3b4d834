/** Changes of a request that know what its parts are: names and values of query and headers, frames, documents, lengths, keys. */
import {chunks, headers as headerGrammar, mutate as mutateText, query as queryGrammar, type Random, xml} from '../mutate.ts';
import {changeDocument} from './documents.ts';
import {buckets} from './machine.ts';
import {dataOf, type FuzzRequest, isFrames, setHeader} from './request.ts';
import {documents} from './seeds.ts';
import {digests, headerWords, keyTexts, numbers, parameters, subResources} from './words.ts';

/** Values that a machine has handed out. */
export interface Live {
  readonly uploadId: string;
  readonly versionId: string;
  readonly etag: string;
}

const ofListings = ['list-type', 'prefix', 'delimiter', 'max-keys', 'marker', 'start-after', 'continuation-token', 'encoding-type', 'fetch-owner', 'key-marker', 'version-id-marker', 'upload-id-marker', 'max-uploads'];
const ofReads = ['versionId', 'partNumber', 'uploadId', 'max-parts', 'part-number-marker', ...Object.keys(parameters).filter((name) => name.startsWith('response-'))];
const ofWrites = ['versionId', 'partNumber', 'uploadId', ...Object.keys(parameters).filter((name) => name.startsWith('x-amz-'))];
const readHeaders = ['range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'x-amz-checksum-mode', 'x-amz-object-attributes',
  ...Object.keys(headerWords).filter((name) => name.includes('customer'))];
const deleteHeaders = ['if-match', 'x-amz-bypass-governance-retention', 'x-amz-mfa', 'x-amz-expected-bucket-owner'];
const writeHeaders = Object.keys(headerWords).filter((name) => /^(x-amz-(?!copy|bucket|object-(own|attr))|content-|cache-|expires|if-)/.test(name));

/** Mostly names that mean something for the request. */
function parameterFor({method, path}: FuzzRequest, random: Random): string {
  if (random.below(4) === 0) return random.of(Object.keys(parameters));
  return random.of(path.split('/').length < 3 ? ofListings : method === 'GET' || method === 'HEAD' ? ofReads : ofWrites);
}

function headerFor({method}: FuzzRequest, random: Random): string {
  if (random.below(4) === 0) return random.of(Object.keys(headerWords));
  return random.of(method === 'GET' || method === 'HEAD' ? readHeaders : method === 'DELETE' ? deleteHeaders : writeHeaders);
}

const framings = [
  {lines: ''}, {lines: 'Content-Length: 0\r\n'}, {lines: 'Content-Length: 3\r\n'}, {lines: 'Content-Length: 3\r\nContent-Length: 4\r\n'}, {lines: 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'},
    {lines: 'Content-Length: 99\r\n'},
  {lines: 'Content-Length: +3\r\n'}, {lines: 'Content-Length: 3, 3\r\n'}, {lines: 'Transfer-Encoding: gzip, chunked\r\n'}, {lines: 'Transfer-Encoding: x\r\n'}, 'chunked', 'right',
] as const;
const methods = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'];

type Change = (request: FuzzRequest, random: Random, other: FuzzRequest) => void;

/** What cannot stand in a line of a head is mostly left out: HTTP itself refuses it, and nothing more is learned. */
const lineOf = (text: string, random: Random): string => (random.below(50) === 0 ? text : text.replace(/[\0-\x08\x0a-\x1f\x7f]/g, ' '));
const textOf = (value: string, other: string, grammar: typeof xml, random: Random): string => mutateText([Buffer.from(value, 'latin1'), Buffer.from(other, 'latin1')], random, grammar).toString('latin1').slice(0, 2048);

function ofQuery(request: FuzzRequest, random: Random, {query: others}: FuzzRequest): void {
  const {query} = request;
  const at = random.below(query.length);
  switch (random.below(7)) {
    case 0: return void query.splice(random.below(query.length + 1), 0, [random.of(subResources), random.below(2) === 0 ? undefined : '']);
    case 1: return void query.splice(at, 1);
    case 2: return void (query.length > 0 && query.push([...query[at]!]));
    case 3: return void (query.length > 0 && (query[at] = [query[at]![0], textOf(query[at]![1] ?? '', random.of(keyTexts), queryGrammar, random).replace(/[\s&#\0-\x1f\x7f-\xff]/g, '_')]));
    case 4: return void (others.length > 0 && query.push([...random.of(others)]));
    default: {
      const name = parameterFor(request, random);
      const known = query.find(([candidate]) => candidate === name);
      const value = encodeURI(random.of(parameters[name]!)).replaceAll('%25', '%').replaceAll('&', '%26');
      if (known) known[1] = value;
      else query.push([name, value]);
    }
  }
}

function ofHeaders(request: FuzzRequest, random: Random, {headers: others}: FuzzRequest): void {
  const {headers} = request;
  const at = random.below(headers.length);
  // Without just one of these HTTP itself refuses the request.
  if (headers[at]?.[0].toLowerCase() === 'host' && random.below(20) > 0) return;
  switch (random.below(7)) {
    case 0: return void (headers.length > 0 && headers.splice(at, 1));
    case 1: return void (headers.length > 0 && headers.push([...headers[at]!]));
    case 2: return void (headers.length > 0 && (headers[at] = [headers[at]![0], lineOf(textOf(headers[at]![1], random.of(others)?.[1] ?? '', headerGrammar, random), random)]));
    case 3: {
      const [name, value] = random.of(others) ?? ['x', ''];
      if (name.toLowerCase() !== 'host') headers.push([name, value]);
      return;
    }
    default: {
      const name = headerFor(request, random);
      setHeader(request, name, lineOf(random.of(headerWords[name]!), random));
    }
  }
}

function ofPath(request: FuzzRequest, random: Random): void {
  const [, bucket = '', ...key] = request.path.split('/');
  switch (random.below(5)) {
    case 0: request.path = `/${random.of(buckets)}${key.length > 0 ? `/${key.join('/')}` : ''}`; return;
    case 1: request.path = `/${bucket}/${random.of(keyTexts)}`; return;
    case 2: request.path = key.length > 0 ? `/${bucket}` : `/${bucket}/k`; return;
    case 3: request.path = textOf(request.path, '//', queryGrammar, random).replace(/[\s?#\0-\x1f\x7f-\xff]/g, '_').replace(/^[^/]/, '/'); return;
    default: request.path = random.of(['/', '//k', '*', '/none', '/none/k', 'http://s3.test/plain/k', '/PLAIN/k', '/plain//k', '/another', '/xn--a/k', '/a/k']);
  }
}

function ofBody(request: FuzzRequest, random: Random, other: FuzzRequest): void {
  const {body} = request;
  if (isFrames(body)) return ofFrames(request, random);
  switch (random.below(8)) {
    case 0: request.body = Buffer.from(random.of(documents)); return;
    case 1: request.body = dataOf(other.body); return;
    case 2: request.body = body.subarray(0, random.below(body.length + 1)); return;
    case 3: request.body = {frames: [{data: body}], trailers: []}; setHeader(request, 'x-amz-content-sha256', random.of(headerWords['x-amz-content-sha256']!)); return;
    case 4: case 5: case 6: request.body = Buffer.from(changeDocument(body.toString('latin1'), random), 'latin1'); return;
    default: request.body = Buffer.from(mutateText([body, Buffer.from(random.of(documents))], random, xml));
  }
}

function ofFrames(request: FuzzRequest, random: Random): void {
  const {body} = request;
  if (!isFrames(body)) return;
  const {frames, trailers} = body;
  const at = random.below(frames.length);
  const frame = frames[at] ?? {data: Buffer.alloc(0)};
  switch (random.below(10)) {
    case 0: frames[at] = {...frame, size: random.of(['0', '1', 'ffffffff', 'fffffffffffffffff', '-1', '', 'g', '0x4', '00000004', '7fffffff', ' 4', '+4'])}; return;
    case 1: frames[at] = {...frame, extension: random.of(['', ';', ';chunk-signature=', `;chunk-signature=${'a'.repeat(64)}`, ';a=b', ';chunk-signature=x;chunk-signature=y', `;${'x'.repeat(5000)}`])}; return;
    case 2: frames[at] = {...frame, end: random.of(['', '\n', '\r', '\r\n\r\n', 'xx'])}; return;
    case 3: {
      const cut = random.below(frame.data.length + 1);
      frames.splice(at, 1, {data: frame.data.subarray(0, cut)}, {data: frame.data.subarray(cut)});
      return;
    }
    case 4: return void frames.splice(at, 1);
    case 5: return void frames.push(frame);
    case 6: request.decodedLength = random.of(numbers); return;
    case 7: return void trailers.push([random.of(['x-amz-checksum-crc32', 'x-amz-checksum-sha256', 'x', '', 'x-amz-trailer-signature']), random.of(digests)]);
    case 8: body.cut = body.cut !== true; return;
    default: frames[at] = {data: Buffer.from(textOf(frame.data.toString('latin1'), '', chunks, random), 'latin1')};
  }
}

const changes: readonly Change[] = [
  ofQuery, ofQuery, ofHeaders, ofHeaders, ofHeaders, ofPath, ofBody, ofBody,
  (request, random) => { request.method = random.of(methods); },
  (request, random) => { if (random.below(4) === 0) request.framing = random.of(framings); },
];

/** Changes `request` in one place or a few. */
export function change(request: FuzzRequest, random: Random, other: FuzzRequest): void {
  for (let left = 1 + random.below(random.below(3) === 0 ? 6 : 3); left > 0; left--) random.of(changes)(request, random, other);
}

/** Puts what the machine has handed out where `LIVE` stands. */
export function enliven(request: FuzzRequest, live: Live): void {
  const lively = (text: string, name: string): string => text.replaceAll('LIVE', /upload/i.test(name) ? live.uploadId : /version|source/i.test(name) ? live.versionId : live.etag);
  request.query = request.query.map(([name, value]) => [name, value === undefined ? undefined : lively(value, name)]);
  request.headers = request.headers.map(([name, value]) => [name, lively(value, name)]);
}
