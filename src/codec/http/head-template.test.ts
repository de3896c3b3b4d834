import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {isKind} from '#base/errors.ts';
import {HeadTemplates} from '#codec/http/head-template.ts';
import {formatResponseHead} from '#codec/http/response-head.ts';

const framing = {length: 3, chunked: false, date: 'Date: now\r\n', connection: 'Connection: close\r\n'};

describe('heads of answers as bytes', () => {
  it('are what the text would be, whatever came before', () => {
    const name = fc.constantFrom('ETag', 'x-a', 'X-A', 'x-b', 'Date', 'Content-Length', 'x-amz-meta-long');
    const value = fc.constantFrom('', 'a', 'b', '"one"', '"two"', 'caf\xe9', 'caf\xea', 'x'.repeat(1500));
    const answer = fc.record({
      status: fc.constantFrom(200, 206, 299),
      headers: fc.array(fc.tuple(name, value), {maxLength: 4}).map(pairs => pairs.flat()),
      framing: fc.record({
        length: fc.constantFrom(0, 7, 8, 4096, 4097),
        chunked: fc.constant(false),
        date: fc.constantFrom('Date: now\r\n', 'Date: two\r\n', 'Date: later\r\n'),
        connection: fc.constantFrom('Connection: close\r\n', 'Connection: alive\r\n'),
      }),
    });
    fc.assert(
      fc.property(fc.array(answer, {maxLength: 30}), answers => {
        const heads = new HeadTemplates();
        const into = Buffer.alloc(8192);
        for (const {status, headers, framing} of answers) {
          const bytes = heads.write(into, status, headers, framing);
          assert.equal(into.toString('latin1', 0, bytes), formatResponseHead(status, headers, framing));
        }
      }),
    );
  });

  it('with more headers than are kept, and of statuses that follow each other', () => {
    const heads = new HeadTemplates();
    const into = Buffer.alloc(64 * 1024);
    for (const [status, count] of [[200, 0], [201, 0], [200, 128], [201, 0], [200, 300]] as const) {
      const headers = Array.from({length: count}, (_, i) => [`x-${i}`, String(i)]).flat();
      assert.equal(into.toString('latin1', 0, heads.write(into, status, headers, framing)), formatResponseHead(status, headers, framing));
    }
  });

  it('never carry what would break them apart', () => {
    const heads = new HeadTemplates();
    const into = Buffer.alloc(1024);
    heads.write(into, 200, ['A', 'ab'], framing);
    for (const bad of ['\r\n', 'a\n', '\u0100a', 'a\0']) assert.throws(() => heads.write(into, 200, ['A', bad], framing), (error) => isKind(error, 'Internal'));
    assert.throws(() => heads.write(into, 200, ['A\n', 'ab'], framing), (error) => isKind(error, 'Internal'));
    assert.match(into.toString('latin1', 0, heads.write(into, 200, ['A', 'cd'], framing)), /\r\nA: cd\r\n/);
  });

  it('that have no room are not written', () => {
    const heads = new HeadTemplates();
    assert.equal(heads.write(Buffer.alloc(10), 200, ['A', 'ab'], framing), -1);
    heads.write(Buffer.alloc(1024), 200, ['A', 'ab'], framing);
    assert.equal(heads.write(Buffer.alloc(10), 200, ['A', 'ab'], framing), -1);
  });
});
