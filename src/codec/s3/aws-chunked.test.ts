import assert from 'node:assert/strict';
import {createHash, createHmac} from 'node:crypto';
import {test} from 'node:test';
import fc from 'fast-check';
import {isKind, WeirError} from '#base/errors.ts';
import {type AwsChunkedOptions, AwsChunkedDecoder, type ChunkSigner} from '#codec/s3/aws-chunked.ts';

const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');
const hmac = (key: Uint8Array | string, data: string) => createHmac('sha256', key).update(data).digest();

/** Written after Amazon's documentation, with its example's key, date and scope. */
function exampleSigner(seed: string): ChunkSigner {
  const date = '20130524T000000Z';
  const scope = '20130524/us-east-1/s3/aws4_request';
  const key = ['20130524', 'us-east-1', 's3', 'aws4_request'].reduce<Uint8Array | string>(hmac, 'AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
  let previous = seed;
  const next = (...lines: string[]) => (previous = hmac(key, lines.join('\n')).toString('hex'));
  return {
    chunk: (payload) => next('AWS4-HMAC-SHA256-PAYLOAD', date, scope, previous, sha256(''), payload),
    trailer: (lines) => next('AWS4-HMAC-SHA256-TRAILER', date, scope, previous, lines),
  };
}

const seed = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
const trailerSeed = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
type Trailers = readonly (readonly [string, string])[];

function encode(chunks: readonly Uint8Array[], trailers?: Trailers, signer?: ChunkSigner): Buffer {
  const parts: (Uint8Array | string)[] = [];
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    parts.push(chunk.length.toString(16), signer ? `;chunk-signature=${signer.chunk(sha256(chunk))}` : '', '\r\n');
    if (chunk.length > 0) parts.push(chunk, '\r\n');
  }
  for (const [name, value] of trailers ?? []) parts.push(`${name}:${value}\r\n`);
  if (trailers && signer) parts.push(`x-amz-trailer-signature:${signer.trailer(sha256(trailers.map(([name, value]) => `${name}:${value}\n`).join('')))}\r\n`);
  return Buffer.concat([...parts, '\r\n'].map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

function decode(pieces: readonly Uint8Array[], options: AwsChunkedOptions): {payload: Buffer; trailers: Trailers} {
  const decoder = new AwsChunkedDecoder(options);
  const payload = Buffer.concat(pieces.flatMap((piece) => [...decoder.push(piece)]));
  return {payload, ...decoder.finish()};
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

/** One byte at a time. */
const crumbs = (bytes: Buffer): Buffer[] => cut(bytes, [...bytes.keys()].slice(1));

function refused(code: string, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof WeirError && error.details['s3'] === code, `expected ${code}`);
}

test("the documentation's example of signed chunks", () => {
  const payload = Buffer.alloc(66560, 'a');
  const body = encode([payload.subarray(0, 65536), payload.subarray(65536)], undefined, exampleSigner(seed));
  const text = body.toString('latin1').replaceAll(/a{100,}/g, '…');
  assert.equal(text, [
    '10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648', '…',
    '400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497', '…',
    '0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9', '', '',
  ].join('\r\n'));
  assert.deepEqual(decode([body], {decodedLength: 66560, trailers: false, signed: exampleSigner(seed)}), {payload, trailers: []});
});

test("the documentation's example of signed chunks with a trailer", () => {
  const body = [
    '10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2', 'a'.repeat(65536),
    '400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7', 'a'.repeat(1024),
    '0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992', 'x-amz-checksum-crc32c:sOO8/Q==',
    'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435', '', '',
  ];
  const options = () => ({decodedLength: 66560, trailers: true, signed: exampleSigner(trailerSeed)});
  const right = {payload: Buffer.alloc(66560, 'a'), trailers: [['x-amz-checksum-crc32c', 'sOO8/Q==']]};
  assert.deepEqual(decode([Buffer.from(body.join('\r\n'))], options()), right);
  const asDocumented = body.join('\r\n').replace('sOO8/Q==\r\n', 'sOO8/Q==\n\r\n');
  assert.deepEqual(decode([Buffer.from(asDocumented)], options()), right);
  refused('SignatureDoesNotMatch', () => decode([Buffer.from(body.join('\r\n').replace('sOO8', 'sOO9'))], options()));
});

interface Sent {
  readonly chunks: Uint8Array[];
  readonly trailers: Trailers | undefined;
  readonly signed: boolean;
}

const sentBody: fc.Arbitrary<Sent> = fc.record({
  chunks: fc.array(fc.uint8Array({minLength: 1, maxLength: 40}), {maxLength: 4}),
  trailers: fc.option(fc.array(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/), fc.stringMatching(/^[A-Za-z0-9+/=]{0,12}$/)), {maxLength: 3}), {nil: undefined}),
  signed: fc.boolean(),
});
const bodyOf = ({chunks, trailers, signed}: Sent) => encode(chunks, trailers, signed ? exampleSigner(seed) : undefined);
const optionsOf = ({chunks, trailers, signed}: Sent): AwsChunkedOptions => ({
  decodedLength: chunks.reduce((sum, chunk) => sum + chunk.length, 0), trailers: trailers !== undefined, chunkBytesMin: 1, ...(signed ? {signed: exampleSigner(seed)} : {}),
});

test('what was encoded comes back, split anywhere', () => {
  fc.assert(fc.property(sentBody, fc.array(fc.nat(2000)), (sent, places) => {
    const body = bodyOf(sent);
    const right = {payload: Buffer.concat(sent.chunks), trailers: sent.trailers ?? []};
    assert.deepEqual(decode(cut(body, places.map((place) => place % (body.length + 1))), optionsOf(sent)), right);
    assert.deepEqual(decode(crumbs(body), optionsOf(sent)), right);
  }), {numRuns: 300});
});

test('every cut of every form is an incomplete body, and every byte more is refused', () => {
  const chunks = [Buffer.from('Wikipedia'), Buffer.from('\r\n0\r\n\r\n')];
  for (const trailers of [undefined, [], [['x-amz-checksum-crc32', 'AAAAAA==']] as const]) {
    for (const signed of [false, true]) {
      const sent = {chunks, trailers, signed};
      const body = bodyOf(sent);
      for (let at = 0; at <= body.length; at++) {
        const right = {payload: Buffer.concat(chunks), trailers: trailers ?? []};
        assert.deepEqual(decode([body.subarray(0, at), body.subarray(at)], optionsOf(sent)), right);
        if (at < body.length) refused('IncompleteBody', () => decode([body.subarray(0, at)], optionsOf(sent)));
      }
      refused('IncompleteBody', () => decode([body, Buffer.from('0')], optionsOf(sent)));
    }
  }
});

test('a flipped bit anywhere in a signed body is noticed, or changes nothing', () => {
  const sent = {chunks: [Buffer.from('some payload'), Buffer.from('more of it')], trailers: [['x-amz-checksum-crc32', 'AAAAAA==']] as const, signed: true};
  const body = bodyOf(sent);
  const right = decode([body], optionsOf(sent));
  let harmless = 0;
  for (let bit = 0; bit < body.length * 8; bit++) {
    const changed = Buffer.from(body);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    try {
      assert.deepEqual(decode([changed], optionsOf(sent)), right);
      harmless++;
    } catch (error) {
      assert.ok(error instanceof WeirError, `bit ${bit}: ${String(error)}`);
    }
  }
  assert.equal(harmless, 'c'.length + 'a'.length + 'xamztrailersignature'.length + '\t\f'.length, 'only the case of two lengths and of the name of the last signature, and the white space behind it');
});

test('a forged chunk does not end', () => {
  const body = encode([Buffer.from('harmless')], undefined, exampleSigner(seed));
  const at = body.indexOf('harmless');
  body.write('harmful!', at);
  const decoder = new AwsChunkedDecoder({decodedLength: 8, trailers: false, signed: exampleSigner(seed)});
  assert.equal([...decoder.push(body.subarray(0, at + 7))].length, 1);
  refused('SignatureDoesNotMatch', () => [...decoder.push(body.subarray(at + 7))]);
  refused('IncompleteBody', () => decoder.finish());
});

test('signatures that nobody checks are passed over', () => {
  const trailers = [['x-amz-checksum-crc32', 'AAAAAA==']] as const;
  const body = encode([Buffer.from('abc')], trailers, exampleSigner(seed));
  assert.deepEqual(decode([body], {decodedLength: 3, trailers: true}), {payload: Buffer.from('abc'), trailers});
});

test('bodies that break the framing', () => {
  const unsigned = (body: string, decodedLength = 3, trailers = true) => () => decode([Buffer.from(body)], {decodedLength, trailers});
  assert.equal(unsigned('3\r\nabc\r\n0\r\n\r\n')().payload.toString(), 'abc');
  assert.equal(unsigned('0000000000000003\r\nabc\r\n0\r\n\r\n')().payload.toString(), 'abc');
  refused('IncompleteBody', unsigned('4\r\nabcd\r\n0\r\n\r\n'));
  refused('IncompleteBody', unsigned('2\r\nab\r\n0\r\n\r\n'));
  refused('IncompleteBody', unsigned('ffffffffffffffff\r\n'));
  refused('IncompleteBody', unsigned('4\r\nabc'));
  refused('IncompleteBody', unsigned('-1\r\nabc'));
  refused('IncompleteBody', unsigned('3 \r\nabc'));
  refused('IncompleteBody', unsigned('3\nabc'));
  refused('IncompleteBody', unsigned('\r\nabc'));
  refused('IncompleteBody', unsigned('3\r\nabcd\r\n'));
  refused('IncompleteBody', unsigned('3\r\nabc\n0\r\n\r\n'));
  refused('IncompleteBody', unsigned('0'.repeat(2000)));
  refused('IncompleteBody', unsigned('3\r\nabc\r\n0\r\na:b\r\n\r\n', 3, false));
  refused('MalformedTrailerError', unsigned('3\r\nabc\r\n0\r\nab\r\n\r\n'));
  refused('MalformedTrailerError', unsigned('3\r\nabc\r\n0\r\n:b\r\n\r\n'));
  refused('MalformedTrailerError', unsigned(`3\r\nabc\r\n0\r\n${'a:b\r\n'.repeat(2000)}\r\n`));
  refused('MalformedTrailerError', unsigned(`3\r\nabc\r\n0\r\na:${'b'.repeat(9000)}`));
  refused('IncompleteBody', () => decode([Buffer.from('3\r\nabc\r\n0\r\n\r\n')], {decodedLength: 3, trailers: false, signed: exampleSigner(seed)}));
});

test('a body of another length than announced, and one that breaks off, are told apart', () => {
  const said = (body: string) => {
    try {
      decode([Buffer.from(body)], {decodedLength: 3, trailers: true});
    } catch (error) {
      return (error as WeirError).message;
    }
    return 'nothing';
  };
  const [otherLength, brokenOff] = [/number of bytes specified/, /terminated unexpectedly/];
  for (const body of ['4\r\nabcd\r\n0\r\n\r\n', '2\r\nab\r\n0\r\n\r\n', 'ffffffff\r\n', '3\r\nabc\r\n1\r\nd\r\n'.replace('3', '2003').replace('abc', 'a'.repeat(0x2003))]) assert.match(said(body), otherLength);
  // One more is announced than comes: what stands there is not the end of a chunk.
  for (const body of ['4\r\nabc\r\n0\r\n\r\n', '3\r\nabc', '3\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n0\r\n']) assert.match(said(body), brokenOff);
});

test('what is more than announced is not handed out', () => {
  const decoder = new AwsChunkedDecoder({decodedLength: 3, trailers: false});
  assert.deepEqual([...decoder.push(Buffer.from('4\r\nabcd'))], []);
  refused('IncompleteBody', () => [...decoder.push(Buffer.from('\r\n'))]);
});

test('only the last chunk may be small', () => {
  const sizes = (...lengths: number[]) => () => decode([encode(lengths.map((length) => Buffer.alloc(length, 'x')))], {decodedLength: lengths.reduce((a, b) => a + b, 0), trailers: false});
  for (const right of [sizes(8192, 8192, 100), sizes(100), sizes(10_000, 8192), sizes()]) right();
  for (const wrong of [sizes(100, 8192), sizes(8192, 10, 100), sizes(8191, 1)]) refused('InvalidChunkSizeError', wrong);
});

test('mutated bodies give the payload or a clean refusal', () => {
  const mutation = fc.tuple(fc.nat(1000), fc.constantFrom('0', '1', 'f', '\r\n', '\n', ';', ':', '', 'ffffffff', '\0', '\xff'), fc.nat(3));
  fc.assert(fc.property(sentBody, fc.array(mutation, {minLength: 1, maxLength: 4}), (sent, mutations) => {
    let body = bodyOf(sent).toString('latin1');
    for (const [place, insert, remove] of mutations) {
      const at = place % (body.length + 1);
      body = body.slice(0, at) + insert + body.slice(at + remove);
    }
    try {
      const {payload} = decode([Buffer.from(body, 'latin1')], optionsOf(sent));
      assert.equal(payload.length, optionsOf(sent).decodedLength);
      if (sent.signed) assert.deepEqual(payload, Buffer.concat(sent.chunks));
    } catch (error) {
      assert.ok(isKind(error, 'IncompleteBody', 'InvalidArgument', 'PermissionDenied'), String(error));
    }
  }), {numRuns: 5000});
});
