import assert from 'node:assert/strict';
import {createServer, type IncomingMessage} from 'node:http';
import {Duplex} from 'node:stream';
import fc from 'fast-check';
import {describe, it} from 'node:test';
import {parseRequestHead, type RequestHead, RequestRefused} from '#codec/http/request-head.ts';
import {RequestParser} from '#codec/http/request-parser.ts';

const headBytesMax = 64 * 1024;

interface Message {
  method: string;
  target: string;
  rawHeaders: readonly string[];
  body: string;
  complete: boolean;
  trailers: readonly string[];
}

interface Outcome {
  readonly messages: Message[];
  readonly refused: RequestRefused | undefined;
}

/** Everything in the bytes, handed in as these pieces; `borrowed`: each is overwritten before the next, as a connection does it, and bodies are looked at when all has come. */
function parse(pieces: readonly Buffer[], borrowed = false): Outcome {
  const bodies: Buffer[][] = [];
  const lent = Buffer.alloc(Math.max(0, ...pieces.map((piece) => piece.length)));
  const outcome = parseInto(borrowed ? lending(pieces, lent) : pieces, borrowed, bodies);
  lent.fill('!');
  for (const [i, message] of outcome.messages.entries()) message.body = Buffer.concat(bodies[i]!).toString('latin1');
  return outcome;
}

function* lending(pieces: readonly Buffer[], lent: Buffer): Generator<Buffer> {
  for (const piece of pieces) yield lent.fill('?').subarray(0, piece.copy(lent));
}

function parseInto(pieces: Iterable<Buffer>, borrowed: boolean, bodies: Buffer[][]): Outcome {
  const parser = new RequestParser(headBytesMax);
  const messages: Message[] = [];
  let head: RequestHead | undefined;
  try {
    for (const piece of pieces) {
      parser.push(piece, borrowed);
      if (messages.at(-1)?.complete === false) parser.own();
      for (;;) {
        const message = messages.at(-1);
        if (message && !message.complete) {
          const chunk = parser.readBody();
          if (chunk) bodies.at(-1)!.push(chunk);
          else if (!parser.bodyEnded) break;
          else Object.assign(message, {complete: true, trailers: parser.trailers});
        } else {
          if (head && !head.keepAlive) return {messages, refused: undefined};
          head = parser.readHead();
          parser.own();
          if (!head) break;
          bodies.push([]);
          messages.push({method: head.method, target: head.target, rawHeaders: head.rawHeaders, body: '', complete: false, trailers: []});
        }
      }
    }
  } catch (error) {
    if (!(error instanceof RequestRefused)) throw error;
    return {messages, refused: error};
  }
  return {messages, refused: undefined};
}

/** The same by node:http, that is by llhttp with what node itself checks. */
class Oracle {
  #messages: Message[] = [];
  #requests: IncomingMessage[] = [];
  #refused = false;
  readonly #server = createServer({maxHeaderSize: headBytesMax}, (request, response) => {
    const message: Message = {method: request.method!, target: request.url!, rawHeaders: request.rawHeaders, body: '', complete: false, trailers: []};
    this.#messages.push(message);
    this.#requests.push(request);
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => (message.body += chunk.toString('latin1')));
    request.on('end', () => response.end());
  });

  constructor() {
    this.#server.on('clientError', () => (this.#refused = true));
    // Node answers these with 417; what is compared is how they are read.
    this.#server.on('checkExpectation', (request, response) => this.#server.emit('request', request, response));
  }

  async ask(bytes: Buffer): Promise<{messages: Message[]; refused: boolean}> {
    this.#messages = [];
    this.#requests = [];
    this.#refused = false;
    const connection = new Duplex({read() {}, write: (_chunk, _encoding, done) => done(), final: (done) => done()});
    connection.on('error', () => {});
    this.#server.emit('connection', connection);
    connection.push(bytes);
    for (let i = 0; i < 3; i++) await new Promise((resolve) => void setImmediate(resolve));
    this.#requests.forEach(({complete, rawTrailers}, i) => Object.assign(this.#messages[i]!, {complete, trailers: complete ? rawTrailers : []}));
    const outcome = {messages: this.#messages, refused: this.#refused};
    connection.destroy();
    return outcome;
  }
}

/** Where this parser refuses what llhttp takes; request-head.ts gives the reasons. */
const stricter: readonly RegExp[] = [
  /^a request names its host exactly once$/, // node answers 400 for none, and takes the first of several
  /^the request line is not/, // more spaces, HTTP/0.9, HTTP/2.0
  /^the request line does not begin with a method that is served$/, // CONNECT, PRI, SOURCE
  /^the request target is neither a path nor a URL$/, // *x, ftp://, more spaces
  /^the only Transfer-Encoding is chunked, once$/, // gzip, chunked
  /^HTTP\/1.0 has no Transfer-Encoding$/,
  /^Content-Length is not a number of bytes$/, // beyond 2^53
  /^a trailer cannot change how the message is read$/,
  /^a chunk does not begin with its size$/, // more than 14 digits, beyond 2^53, empty names of extensions
  /^the line of a chunk is too long$/,
  /^more than 1000 header lines$/, // node drops them unseen
  /^this is not the beginning of an HTTP request$/, // a carriage return or line feed alone before the request line
  /^a line feed without carriage return$/,
];

/** Asks for another protocol. llhttp reads nothing after the head of such a request; here its body is read, and nothing after that. */
const leaves = (message: Message | undefined): boolean => message?.rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'upgrade') ?? false;

/** Says `close` and `keep-alive`. In HTTP/1.0 llhttp believes the second, here it is the first as in 1.1. */
const contradicts = (message: Message | undefined): boolean => /close[^]*keep-alive|keep-alive[^]*close/i.test(message?.rawHeaders.join() ?? '');

function compare(bytes: Buffer, ours: Outcome, theirs: {messages: Message[]; refused: boolean}): void {
  const shown = JSON.stringify(bytes.subarray(0, 400).toString('latin1'));
  ours.messages.forEach((message, i) => {
    const other = theirs.messages[i];
    assert.ok(other, `llhttp refuses ${shown}`);
    if (message.complete && !leaves(message)) assert.deepEqual(message, other, shown);
    else assert.deepEqual([message.method, message.target, message.rawHeaders], [other.method, other.target, other.rawHeaders], shown);
  });
  if (ours.refused) {
    const {message} = ours.refused;
    if (!theirs.refused && !leaves(ours.messages.at(-1))) assert.ok(stricter.some((rule) => rule.test(message)), `llhttp takes ${shown}; here: ${message}`);
  } else if (!leaves(ours.messages.at(-1)) && !contradicts(ours.messages.at(-1))) assert.equal(ours.messages.filter(({complete}) => complete).length, theirs.messages.filter(({complete}) => complete).length, shown);
}

const host = 'Host: h\r\n';
const chunked = `PUT /c HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n`;
const next = `GET /next HTTP/1.1\r\n${host}\r\n`;

const cases: readonly string[] = [
  `GET / HTTP/1.1\r\n${host}\r\n`,
  `GET /a%2Fb/../c//d?x=%20&y#z#u HTTP/1.1\r\nX-Two: 1\r\nx-TWO:\tzwei\xfc \t\r\nEmpty:\r\nBlank: \t \r\n${host}\r\n`,
  `GET http://h:80/x?y HTTP/1.1\r\n${host}\r\n`,
  `OPTIONS * HTTP/1.1\r\n${host}\r\n`,
  `M-SEARCH / HTTP/1.1\r\n${host}\r\n`,
  `\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n\r\n\r\n${next}`,
  `GET / HTTP/1.0\r\n\r\n${next}`,
  `GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${next}`,
  `GET / HTTP/1.1\r\n${host}Connection: foo, Close\r\n\r\n${next}`,
  `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n${next}`,
  `PUT / HTTP/1.1\r\n${host}Content-Length: 5 \r\n\r\nhello${next}`,
  `PUT / HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n${next}`,
  `PUT / HTTP/1.1\r\n${host}Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx${next}`,
  `${chunked}3\r\nabc\r\n1A;a=b;c="d\\"e;f";g\r\n${'x'.repeat(26)}\r\n0\r\nX-Sum: 12\r\nY:  z \r\n\r\n${next}`,
  `${chunked}000;a\r\n\r\n${next}`,
  `${next}${next}PUT / HTTP/1.1\r\n${host}content-length: 3\r\n\r\nabc${chunked}0\r\n\r\n${next}`,
  // What must be refused.
  `GET / HTTP/1.1\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}${host}\r\n`,
  `GET / HTTP/1.1\n${host}\r\n`,
  `GET / HTTP/1.1\r\nHost: h\n\r\n`,
  `GET / HTTP/1.1\r\nHost: h\r\n\n`,
  `GET / HTTP/1.1\rHost: h\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n`,
  `GET / HTTP/1.1\r\n Host: h\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost : h\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}A: b\r\n c\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}A:\r\n\tc\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}A(b): c\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}\xe4: c\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}: c\r\n\r\n`,
  `GET / HTTP/1.1\r\n${host}no colon\r\n\r\n`,
  ...['\0', '\x01', '\x0b', '\x7f'].map((bad) => `GET / HTTP/1.1\r\n${host}A: b${bad}c\r\n\r\n`),
  ...['\0', '\t', '\x7f', '\xff', ' '].map((bad) => `GET /a${bad}b HTTP/1.1\r\n${host}\r\n`),
  `GET  / HTTP/1.1\r\n${host}\r\n`,
  `GET /  HTTP/1.1\r\n${host}\r\n`,
  `GET / HTTP/1.1 \r\n${host}\r\n`,
  `GET /\r\n${host}\r\n`,
  `GET x HTTP/1.1\r\n${host}\r\n`,
  ...['0.9', '1.2', '2.0', '3.0', '1,1', '11'].map((version) => `GET / HTTP/${version}\r\n${host}\r\n`),
  `GET / RTSP/1.1\r\n${host}\r\n`,
  `get / HTTP/1.1\r\n${host}\r\n`,
  `CONNECT a:1 HTTP/1.1\r\n${host}\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ...['1, 1', '+1', '-1', '0x1', '1.0', '', ' ', '1 1', '9007199254740993', '18446744073709551616'].map((length) => `PUT / HTTP/1.1\r\n${host}Content-Length: ${length}\r\n\r\nx`),
  ...['1', '2'].map((length) => `PUT / HTTP/1.1\r\n${host}Content-Length: 1\r\ncontent-length: ${length}\r\n\r\nx`),
  `PUT / HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `PUT / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n`,
  ...['gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'xchunked', 'chunked  ', 'chunked\t', 'chunked;q=1', '', 'identity', '"chunked"', '\x0bchunked'].map(
    (encoding) => `PUT / HTTP/1.1\r\n${host}Transfer-Encoding: ${encoding}\r\n\r\n0\r\n\r\n`,
  ),
  `PUT / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `PUT / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  `PUT / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ...['3\nabc\r\n0\r\n\r\n', '3\r\nabc\n0\r\n\r\n', '3\r\nabcd\r\n0\r\n\r\n', '4\r\nabc\r\n0\r\n\r\n'].map((body) => chunked + body),
  ...['-3\r\nabc', '0x3\r\nabc', ' 3\r\nabc', '3 \r\nabc', '3 ;a\r\nabc', '3; a\r\nabc', '\r\n\r\n', 'g\r\n'].map((body) => chunked + body),
  ...['3;\r\nabc', '3;=b\r\nabc', '3;a="b\r\nabc', '3;a="b"c\r\nabc', '3;a=\x01\r\nabc', '3;a="\x01"\r\nabc', '3;\n\r\nabc', '3;a\nb\r\nabc'].map((body) => chunked + body),
  ...['fffffffffffffff\r\n', 'fffffffffffffffff\r\n', '20000000000000\r\n', '00000000000000000003\r\nabc\r\n0\r\n\r\n'].map((body) => chunked + body),
  ...['Content-Length: 1', 'Transfer-Encoding: chunked', 'Host: x', 'Connection: close', 'A : b', 'A: b\r\n c', 'A: \x01', 'A: b\nC: d'].map((trailer) => `${chunked}0\r\n${trailer}\r\n\r\n${next}`),
  ...['the-unexpected', '200', '', '100-continue\r\nExpect: more'].map((expectation) => `PUT / HTTP/1.1\r\n${host}Expect: ${expectation}\r\nContent-Length: 1\r\n\r\nx${next}`),
  'nonsense\r\n\r\n',
  '\x16\x03\x01\x02\0\x01\0\x01\xfc',
];

describe('request parser', () => {
  it('agrees with llhttp, or is stricter where that is written down', async () => {
    const oracle = new Oracle();
    for (const text of cases) {
      const bytes = Buffer.from(text, 'latin1');
      compare(bytes, parse([bytes]), await oracle.ask(bytes));
    }
  });

  it('agrees with llhttp on thousands of damaged requests', async () => {
    const oracle = new Oracle();
    const random = generator(20261121);
    const insertions = ['\r', '\n', '\r\n', ' ', '\t', ':', ',', ';', '0', '1', 'f', '\0', '\x7f', '\xff', '"', 'chunked', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', '\r\n\r\n'];
    for (let i = 0; i < 6000; i++) {
      let text = cases[random(cases.length)]!;
      for (let damage = 1 + random(3); damage > 0; damage--) {
        const at = random(text.length + 1);
        const kind = random(4);
        if (kind === 0) text = text.slice(0, at) + text.slice(at + 1 + random(3));
        else if (kind === 1) text = text.slice(0, at) + insertions[random(insertions.length)]! + text.slice(at);
        else if (kind === 2) text = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
        else text = text.slice(0, at) + cases[random(cases.length)]!.slice(random(40));
      }
      const bytes = Buffer.from(text, 'latin1');
      const ours = parse([bytes]);
      compare(bytes, ours, await oracle.ask(bytes));
      const cut = random(bytes.length + 1);
      sameOutcome(parse([bytes.subarray(0, cut), bytes.subarray(cut)]), ours, text);
    }
  });

  it('reads the lines of a head as if no other had come before', () => {
    const line = fc.constantFrom('Host: a', 'host: a', 'Host:  a ', 'X-A: b', 'X-A: bc', 'X-A: b\tc', 'X-A:', `X-Long: ${'y'.repeat(300)}`, 'Connection: close', ' folded', 'no colon');
    const read = (lines: readonly string[]): readonly string[] | string => {
      try {
        return parseRequestHead(`GET / HTTP/1.1\r\n${lines.map((text) => `${text}\r\n`).join('')}`).rawHeaders;
      } catch (error) {
        return (error as RequestRefused).message;
      }
    };
    /** Other lines at every place. */
    const forget = (): unknown => read(Array.from({length: 40}, (_, i) => `Other: ${i}`));
    fc.assert(
      fc.property(fc.array(fc.array(line, {maxLength: 4}), {maxLength: 10}), (heads) => {
        const together = heads.map(read);
        const alone = heads.map((lines) => (forget(), read(lines)));
        assert.deepEqual(together, alone);
      }),
    );
  });

  it('understands the same however the bytes are cut', () => {
    for (const text of cases) {
      const bytes = Buffer.from(text, 'latin1');
      const whole = parse([bytes]);
      for (let cut = 0; cut <= bytes.length; cut++) sameOutcome(parse([bytes.subarray(0, cut), bytes.subarray(cut)]), whole, text);
      sameOutcome(parse(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))), whole, text);
    }
  });

  it('keeps nothing of bytes that it has only borrowed', () => {
    for (const text of cases) {
      const bytes = Buffer.from(text, 'latin1');
      const whole = parse([bytes]);
      for (let cut = 0; cut <= bytes.length; cut++) sameOutcome(parse([bytes.subarray(0, cut), bytes.subarray(cut)], true), whole, text);
    }
  });

  it('keeps what it borrowed in the same memory again, never in that of the piece that a reader looks at', () => {
    const step = fc.record({size: fc.oneof(fc.integer({min: 1, max: 70_000}), fc.constant(64 * 1024)), reads: fc.integer({min: 0, max: 3})});
    fc.assert(
      fc.property(fc.array(step, {minLength: 1, maxLength: 20}), (steps) => {
        const body = Buffer.alloc(steps.reduce((sum, {size}) => sum + size, 0));
        for (let i = 0; i < body.length; i++) body[i] = (i * 7 + (i >>> 8)) & 0xff;
        const parser = new RequestParser(headBytesMax);
        parser.push(Buffer.from(`PUT / HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n`));
        assert.ok(parser.readHead());
        parser.lend();
        const shared = Buffer.alloc(70_000);
        let [sent, read] = [0, 0];
        let looking: Buffer | undefined;
        const check = () => looking && assert.ok(looking.equals(body.subarray(read - looking.length, read)));
        for (const {size, reads} of [...steps, {size: 0, reads: 100}]) {
          if (size > 0) parser.push(shared.fill('?').subarray(0, body.copy(shared, 0, sent, sent + size)), true);
          sent += size;
          parser.own();
          shared.fill('!');
          for (let i = 0; i < reads; i++) {
            check();
            looking = parser.readBody();
            read += looking?.length ?? 0;
            check();
          }
        }
        assert.equal(read, body.length);
      }),
    );
    const parser = new RequestParser(headBytesMax);
    parser.push(Buffer.from(`PUT / HTTP/1.1\r\n${host}Content-Length: ${100 * 65_536}\r\n\r\n`));
    parser.readHead();
    parser.lend();
    const memory = new Set<ArrayBufferLike>();
    for (let i = 0; i < 100; i++) {
      parser.push(Buffer.alloc(65_536), true);
      parser.own();
      memory.add(parser.readBody()!.buffer);
    }
    assert.equal(memory.size, 2);
  });

  it('gives a request back as it came, with what came behind it, for another parser', () => {
    const cuts = fc.array(fc.nat(400), {maxLength: 5});
    const odd = `GET /a%2Fb?x HTTP/1.1\r\n${host}X-Odd:  spaced \r\nx-odd: \xe9\r\n\r\n`;
    const requests = [odd, `PUT / HTTP/1.1\r\n${host}Content-Length: 11\r\n\r\nhello world`, `PUT / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...requests), {minLength: 1, maxLength: 3}), cuts, fc.boolean(), (chosen, at, borrowed) => {
        const all = Buffer.from(chosen.join(''), 'latin1');
        const parser = new RequestParser(headBytesMax);
        const shared = Buffer.alloc(all.length);
        let from = 0;
        let found = false;
        for (const to of [...at.filter((cut) => cut < all.length).sort((a, b) => a - b), all.length]) {
          if (to === from) continue;
          parser.push(borrowed ? shared.fill('?').subarray(0, all.copy(shared, 0, from, to)) : all.subarray(from, to), borrowed);
          found ||= parser.readHead() !== undefined;
          parser.own();
          from = to;
          if (found) assert.equal(parser.unread().toString('latin1'), all.toString('latin1', 0, to));
        }
        assert.ok(found);
      }),
    );
  });

  it('bounds what it keeps of a head, of trailers and of chunk lines', () => {
    const long = 'x'.repeat(headBytesMax);
    const texts = [
      `GET / HTTP/1.1\r\n${host}X: ${long}`,
      `GET /${long}`,
      `${chunked}0\r\nX: ${long}`,
      `GET / HTTP/1.1\r\n${host}${'A:\r\n'.repeat(2000)}\r\n`,
      `${chunked}3;${long}`,
      chunked + `1;${'x'.repeat(900)}\r\na\r\n`.repeat(20),
    ];
    const statuses = texts.map((text) => parse([Buffer.from(text, 'latin1')]).refused?.status);
    assert.deepEqual(statuses, [431, 431, 431, 431, 400, 413]);
    const fits = `GET / HTTP/1.1\r\n${host}X: `;
    const exact = Buffer.from(`${fits}${'x'.repeat(headBytesMax - fits.length - 4)}\r\n\r\n`);
    assert.equal(parse([exact]).messages.length, 1);
  });

  it('hands out bodies without copying, and keeps refusing', () => {
    const parser = new RequestParser(headBytesMax);
    parser.push(Buffer.from(`PUT / HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\n`));
    assert.equal(parser.readHead()?.bodyLength, 3);
    const piece = Buffer.from('abc');
    parser.push(piece);
    assert.equal(parser.readBody(), piece);
    assert.ok(parser.bodyEnded);
    parser.push(Buffer.from('?'));
    assert.throws(() => parser.readHead(), RequestRefused);
    parser.push(Buffer.from(next));
    assert.throws(() => parser.readHead(), RequestRefused);
  });
});

/** Cut or not, the same messages; which of two faults is named may depend on where a prefix ended. */
function sameOutcome(actual: Outcome, expected: Outcome, text: string): void {
  assert.deepEqual(actual.messages, expected.messages, JSON.stringify(text));
  assert.equal(actual.refused === undefined, expected.refused === undefined, JSON.stringify(text));
}

function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
