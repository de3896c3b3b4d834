import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {isKind} from '#base/errors.ts';
import {ResponseParser} from '#codec/http/response-parser.ts';

/** What comes of the bytes of an answer, in pieces that end at `cuts`. */
function parse(text: string, method = 'GET', cuts: readonly number[] = []): {parser: ResponseParser; body: string; used: number} {
  const bytes = Buffer.from(text, 'latin1');
  const parser = new ResponseParser(method);
  let body = '';
  let at = 0;
  for (const end of [...new Set([...cuts.filter(cut => cut < bytes.length), bytes.length])].sort((a, b) => a - b)) {
    while (at < end && !parser.ended) {
      const plain = Math.min(parser.plain, end - at);
      if (plain > 0) {
        body += bytes.toString('latin1', at, at + plain);
        parser.passed(plain);
        at += plain;
      } else at += parser.read(bytes.subarray(at, end));
    }
  }
  return {parser, body, used: at};
}

describe('response parser', () => {
  it('refuses a header of blanks in time that grows with its length, and no faster', () => {
    const blanks = ' \t'.repeat(30_000);
    assert.throws(() => parse(`HTTP/1.1 200 OK\r\nA:${blanks}\x01\r\n\r\n`), (error) => isKind(error, 'Unavailable'));
    const {parser} = parse(`HTTP/1.1 200 OK\r\nA:${blanks}a${blanks.slice(0, 999)}b\xa0 \r\nB: \t\r\nContent-Length: 0\r\n\r\n`);
    assert.deepEqual(parser.head?.rawHeaders.slice(0, 4), ['A', `a${blanks.slice(0, 999)}b\xa0`, 'B', '']);
  });

  it('finds head, body and end, however the bytes were cut', () => {
    const answers: [text: string, body: string, keepAlive: boolean][] = [
      ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello', 'hello', true],
      ['HTTP/1.1 206\r\ncontent-length: 0\r\nConnection: Close\r\n\r\n', '', false],
      ['HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n1\r\n!\r\n0\r\nT: u\r\n\r\n', 'hello!', true],
      ['HTTP/1.1 204 No Content\r\n\r\n', '', true],
      ['HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n', '', true],
      ['HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx', 'x', false],
      ['HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx', 'x', true],
    ];
    fc.assert(fc.property(fc.constantFrom(...answers), fc.array(fc.nat(200)), ([text, expected, keepAlive], cuts) => {
      const {parser, body, used} = parse(`${text}rest`, 'GET', cuts);
      assert.deepEqual([body, used, parser.ended, parser.head?.keepAlive], [expected, text.length, true, keepAlive]);
    }));
    assert.deepEqual(parse(answers[0]![0]).parser.head, {status: 200, rawHeaders: ['Content-Length', '5', 'X-A', 'b'], length: 5, keepAlive: true});
  });

  it('knows that HEAD has no body', () => {
    const {parser, used} = parse('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HEAD');
    assert.deepEqual([parser.ended, used], [true, 38]);
  });

  it('takes the end of the connection for the end where nothing else says it, and only there', () => {
    const open = parse('HTTP/1.1 200 OK\r\n\r\nabc');
    assert.deepEqual([open.body, open.parser.ended, open.parser.head?.keepAlive], ['abc', false, false]);
    assert.equal(open.parser.close(), true);
    for (const cut of ['HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n']) {
      assert.equal(parse(cut).parser.close(), false, cut);
    }
  });

  it('refuses what two readers could understand differently', () => {
    const ok = 'HTTP/1.1 200 OK\r\n';
    for (const bad of [
      'HTTP/2 200 OK\r\n', 'ICY 200 OK\r\n', 'HTTP/1.1 20 OK\r\n', 'HTTP/1.1 200 OK\n', 'HTTP/1.1 101 Other\r\n\r\n', `${ok} folded: x\r\n`, `${ok}a b: c\r\n`, `${ok}a: b\0\r\n`,
      `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, `${ok}Content-Length: -1\r\n\r\n`, `${ok}Content-Length: 1, 1\r\n\r\n`, `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`,
      `${ok}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n`, `${ok}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, `${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n`, `${ok}a: ${'b'.repeat(70_000)}`,
    ]) assert.throws(() => parse(bad), error => isKind(error, 'Unavailable'), JSON.stringify(bad.slice(0, 80)));
  });
});
