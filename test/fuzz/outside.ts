/** Decoders of what strangers say in conversations: clients that ask by HTTP, stores and web servers that answer. */
import type {ByteString} from '#base/byte-string.ts';
import {RequestParser} from '#codec/http/request-parser.ts';
import {readFileList} from '#connectors/http/file-list.ts';
import {namesInIndex} from '#connectors/http/index-page.ts';
import {escapeXml, parseXml, type XmlElement} from '#connectors/s3/xml.ts';
import {decoder, stream} from './forms.ts';
import {mustEqual, outcome, type Target} from './fuzz.ts';
import {type Grammar, xml} from './mutate.ts';

const text = (input: Buffer): string => input.toString('latin1');

const http: Grammar = {
  tokens: [
    '\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', ':', ',', ';', ' HTTP/1.1\r\n', ' HTTP/1.0\r\n', 'GET ', 'PUT ', 'Host: h\r\n', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n',
    'Connection: Upgrade\r\n', 'Upgrade: x\r\n', 'Expect: 100-continue\r\n', '0\r\n\r\n', '3\r\nabc\r\n', 'http://h/', '*', '\0', '\x7f',
  ],
  separators: ['\r\n', ' ', ':', ';', ','],
};
const html: Grammar = {tokens: ['<a ', 'href=', '"', "'", '>', '</a>', '&amp;', '&#47;', '&#x10ffff;', '%2F', '%00', '../', './', '//h/', 'http://h/d/', '/d/', '?', '#'], separators: ['<', '>', '"', "'", ' ']};

const requestSeeds = [
  'GET /a%2Fb?x=1 HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  'PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabcGET / HTTP/1.0\r\n\r\n',
  'PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\nX-T: 1\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n',
];

/** Everything that a connection carries, up to what is refused: a refusal is a part of what must be the same. */
function decodeRequests(pieces: readonly Buffer[]): unknown {
  const parser = new RequestParser(2048);
  const messages: {head: unknown; body: string; ended: boolean; trailers: readonly string[]}[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (;;) {
      const last = messages.at(-1);
      if (last && !last.ended) {
        const chunk = parser.readBody();
        if (chunk) last.body += text(chunk);
        else if (parser.bodyEnded) Object.assign(last, {ended: true, trailers: parser.trailers});
        else break;
      } else {
        const head = parser.readHead();
        if (!head) break;
        if (head.bodyLength < -1 || !Number.isSafeInteger(head.bodyLength)) throw new Error(`a body of ${head.bodyLength} bytes`);
        messages.push({head, body: '', ended: false, trailers: []});
      }
    }
  }
  for (const {head, body, ended} of messages) {
    const {bodyLength} = head as {bodyLength: number};
    if (ended && bodyLength >= 0) mustEqual(body.length, bodyLength, 'the body is not as long as announced');
  }
  return messages;
}

const written = ({name, text: inner, children}: XmlElement): string => `<${name}>${escapeXml(inner)}${children.map(written).join('')}</${name}>`;

export const outside: Readonly<Record<string, Target>> = {
  'http-request': stream(http, requestSeeds, decodeRequests),
  'store-xml': decoder(xml, [
    '<?xml version="1.0"?><ListBucketResult xmlns="x"><Contents><Key>a%2Fb</Key><Size>5</Size><ETag>&quot;e&quot;</ETag></Contents><IsTruncated>false</IsTruncated></ListBucketResult>',
    '<Error><Code>NoSuchKey</Code><Message><![CDATA[no]]></Message></Error>',
  ], (input) => {
    const root = parseXml(input.toString());
    // Text that XML cannot hold, or that its readers normalise, is not written again.
    if (/[\0-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff:]/.test(JSON.stringify(root).replace(/\\u([0-9a-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))) return;
    const again = outcome(() => parseXml(written(root)));
    if (again !== 'refused') mustEqual(again.value, root, 'an answer comes back changed');
  }),
  'web-files': decoder(html, ['a/b.txt\n# comment\n\nc d\r\n'], (input) => {
    const keys = readFileList(text(input).split('\n'));
    if (keys.some((key) => `/${key}/`.includes('/../') || key.startsWith('/') || key.includes('\0'))) throw new Error('a key that leads out');
  }),
  'web-index': decoder(html, ['<pre><a href="../">../</a><a class=x href=\'a%20b.txt\'>a</a><a href=dir/>dir/</a><a href="http://h/d/c&amp;d">c</a></pre>'], (input) => {
    for (const name of namesInIndex(text(input) as ByteString, new URL('http://h/d/'))) {
      const bare = name.replace(/\/$/, '');
      if (bare === '' || bare === '.' || bare === '..' || bare.includes('/') || bare.includes('\0')) throw new Error(`a name that is none: ${JSON.stringify(name)}`);
    }
  }),
};
