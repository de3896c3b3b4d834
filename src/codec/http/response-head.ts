/** The head of an HTTP/1.1 response as text, one latin-1 character per byte. */
import {WeirError} from '#base/errors.ts';

const reasons: Readonly<Record<number, string>> = {
  200: 'OK', 201: 'Created', 202: 'Accepted', 203: 'Non-Authoritative Information', 204: 'No Content', 205: 'Reset Content', 206: 'Partial Content', 207: 'Multi-Status',
  300: 'Multiple Choices', 301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 304: 'Not Modified', 307: 'Temporary Redirect', 308: 'Permanent Redirect',
  400: 'Bad Request', 401: 'Unauthorized', 402: 'Payment Required', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable',
  407: 'Proxy Authentication Required', 408: 'Request Timeout', 409: 'Conflict', 410: 'Gone', 411: 'Length Required', 412: 'Precondition Failed',
  413: 'Payload Too Large', 414: 'URI Too Long', 415: 'Unsupported Media Type', 416: 'Range Not Satisfiable', 417: 'Expectation Failed',
  421: 'Misdirected Request', 422: 'Unprocessable Entity', 423: 'Locked', 424: 'Failed Dependency', 425: 'Too Early', 426: 'Upgrade Required',
  428: 'Precondition Required', 429: 'Too Many Requests', 431: 'Request Header Fields Too Large',
  500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported', 507: 'Insufficient Storage',
};

const name = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const unsendable = /[^\t\x20-\x7e\x80-\xff]/;

/** What the connection adds to the headers of the handler. */
export interface ResponseFraming {
  /** Content-Length to announce where the headers have none; undefined: says nothing about it. */
  readonly length: number | undefined;
  readonly chunked: boolean;
  /** Date line for headers that have none, with its CRLF. */
  readonly date: string;
  /** Connection lines, each with its CRLF. */
  readonly connection: string;
}

/** From `HTTP/1.1` to the empty line. `headers`: [name, value, name, value …]. Throws Internal for what would break the head apart or is the connection's to say. */
export function formatResponseHead(status: number, headers: readonly string[], framing: ResponseFraming): string {
  let head = statusLine(status);
  let {length, date} = framing;
  for (let i = 0; i < headers.length; i += 2) {
    const key = headers[i]!;
    const value = headers[i + 1]!;
    const kind = kinds.get(key) ?? kindOf(key);
    if (kind === 'bad' || unsendable.test(value)) throw new WeirError('Internal', `the header ${JSON.stringify(key)} of an answer cannot be sent`);
    if (kind === 'framing') throw new WeirError('Internal', `an answer cannot set ${key} itself`);
    if (kind === 'date') date = '';
    else if (kind === 'content-length') length = undefined;
    head += `${key}: ${value}\r\n`;
  }
  if (length !== undefined) head += `Content-Length: ${length}\r\n`;
  if (framing.chunked) head += 'Transfer-Encoding: chunked\r\n';
  return `${head}${date}${framing.connection}\r\n`;
}

/** Whether it may be the value of a header. */
export function isSendable(value: string): boolean {
  return !unsendable.test(value);
}

type Kind = 'plain' | 'date' | 'content-length' | 'framing' | 'bad';

/** By name as it is written: answers use the same few again and again; beyond so many they are made up by users. */
const kinds = new Map<string, Kind>();
const kindsMax = 1000;

function kindOf(key: string): Kind {
  if (!name.test(key)) return 'bad';
  const lower = key.toLowerCase();
  const kind = lower === 'date' || lower === 'content-length' ? lower : lower === 'connection' || lower === 'transfer-encoding' ? 'framing' : 'plain';
  if (kinds.size < kindsMax) kinds.set(key, kind);
  return kind;
}

const statusLines = new Map(Object.entries(reasons).map(([status, reason]) => [Number(status), `HTTP/1.1 ${status} ${reason}\r\n`]));

/** With its CRLF. */
export function statusLine(status: number): string {
  return statusLines.get(status) ?? `HTTP/1.1 ${status} \r\n`;
}
