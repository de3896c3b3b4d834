import assert from 'node:assert/strict';
import {STATUS_CODES} from 'node:http';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import {formatResponseHead} from '#codec/http/response-head.ts';

const framing = {length: undefined, chunked: false, date: 'Date: now\r\n', connection: 'Connection: close\r\n'};

describe('response head', () => {
  it('names statuses as everybody does', () => {
    for (let status = 200; status < 600; status++) {
      const phrase = /^HTTP\/1.1 (\d{3}) (.*)\r\n/.exec(formatResponseHead(status, [], framing));
      assert.equal(phrase?.[1], String(status));
      if (phrase[2]) assert.equal(phrase[2], STATUS_CODES[status]);
    }
    assert.match(formatResponseHead(404, [], framing), /^HTTP\/1.1 404 Not Found\r\n/);
  });

  it('adds length, chunking, date and connection, each once', () => {
    assert.equal(formatResponseHead(200, ['A', 'b'], {...framing, length: 3}), 'HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\nDate: now\r\nConnection: close\r\n\r\n');
    assert.equal(formatResponseHead(200, ['content-length', '7', 'DATE', 'x'], {...framing, length: 3}), 'HTTP/1.1 200 OK\r\ncontent-length: 7\r\nDATE: x\r\nConnection: close\r\n\r\n');
    assert.match(formatResponseHead(200, [], {...framing, chunked: true}), /\r\nTransfer-Encoding: chunked\r\n/);
  });

  it('takes nothing that would break the head apart', () => {
    const bad: [string, string][] = [['A', 'b\r\nC: d'], ['A', 'b\nc'], ['A', '\0'], ['A', '\u2028'], ['A b', 'c'], ['', 'c'], ['A\r\nB', 'c'], ['Connection', 'close'], ['transfer-encoding', 'gzip']];
    for (const header of bad) assert.throws(() => formatResponseHead(200, header, framing), (error) => isKind(error, 'Internal'), JSON.stringify(header));
  });
});
