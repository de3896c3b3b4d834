/**
 * The head of an HTTP/1.1 request (RFC 9112), as strict as llhttp and in places stricter: whoever stands before this server may read an
 * ambiguous head differently, and what two readers understand differently can be smuggled past one of them. So there is one spelling
 * of everything that frames a message, and the rest is refused.
 *
 * Stricter than llhttp: one space around the target; versions 1.0 and 1.1 only; no CONNECT and no other protocols; exactly one Host
 * (none needed in 1.0), Content-Length at most 2^53-1; Transfer-Encoding only once, only `chunked`, not in 1.0; absolute targets only for
 * http and https; no fields in trailers that say how to read on; a bound on the number of fields.
 */
import {WeirError} from '#base/errors.ts';

/** A request that is not served, and the status that says so; afterwards nobody knows where the next one begins. */
export class RequestRefused extends WeirError {
  readonly status: number;

  constructor(status: number, message: string) {
    super('InvalidArgument', message);
    this.status = status;
  }
}

export interface RequestHead {
  readonly method: string;
  /** As sent, one latin-1 character per byte. */
  readonly target: string;
  /** [name, value, name, value …] as sent, without the white space around the values. */
  readonly rawHeaders: readonly string[];
  /** HTTP/1.`minor`: 0 or 1. */
  readonly minor: number;
  /** The client wants to send more requests after this one. */
  readonly keepAlive: boolean;
  /** Bytes of the body; 0 without one, -1 when it comes in chunks. */
  readonly bodyLength: number;
  readonly expectsContinue: boolean;
}

const fieldsMax = 1000;

/** By themselves: a method that was cut out of a head is not as quick a key as one that stands in a program. */
const methods = new Map(
 
  ('DELETE GET HEAD POST PUT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT ' +
    'MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK QUERY').split(' ').map((name) => [name, name]),
);

function classOf(pattern: RegExp): Uint8Array {
  return Uint8Array.from({length: 256}, (_, code) => Number(pattern.test(String.fromCharCode(code))));
}

const token = classOf(/[!#$%&'*+.^_`|~0-9A-Za-z-]/);
const inValue = classOf(/[\t\x20-\x7e\x80-\xff]/);
const inTarget = classOf(/[\x21-\x7e]/);
const absoluteTarget = /^https?:\/\/[A-Za-z0-9._~:[\]%-]+(?:[/?]|$)/i;

const CR = 13;
const LF = 10;
const colon = 58;
const space = 32;
const tab = 9;

/** `text`: request line and field lines, each with its CRLF, without the empty line after them. Throws RequestRefused. */
export function parseRequestHead(text: string): RequestHead {
  const methodEnd = text.indexOf(' ');
  const method = methods.get(text.slice(0, Math.max(methodEnd, 0)));
  if (method === undefined) throw new RequestRefused(400, 'the request line does not begin with a method that is served');
  const targetStart = methodEnd + 1;
  let targetEnd = targetStart;
  while (inTarget[text.charCodeAt(targetEnd)] === 1) targetEnd++;
  const target = text.slice(targetStart, targetEnd);
  const first = text.charCodeAt(targetStart);
  if (first !== 47 && !(first === 42 && target === '*') && !absoluteTarget.test(target)) throw new RequestRefused(400, 'the request target is neither a path nor a URL');
  if (!text.startsWith(' HTTP/1.', targetEnd) || text.charCodeAt(targetEnd + 9) !== CR || text.charCodeAt(targetEnd + 10) !== LF) throw malformedLine();
  const minor = text.charCodeAt(targetEnd + 8) - 48;
  if (minor !== 0 && minor !== 1) throw malformedLine();

  const rawHeaders: string[] = [];
  const framing = new Framing();
  parseFields(text, targetEnd + 11, rawHeaders, framing);
  if (framing.hosts !== 1 && (minor === 1 || framing.hosts > 1)) throw new RequestRefused(400, 'a request names its host exactly once');
  if (framing.chunked && framing.length >= 0) throw new RequestRefused(400, 'Content-Length and Transfer-Encoding contradict each other');
  if (framing.chunked && minor === 0) throw new RequestRefused(400, 'HTTP/1.0 has no Transfer-Encoding');
  const {keep, expectsContinue} = framing;
  // What follows a request for another protocol may be in that protocol.
  const close = framing.close || (framing.leaves && framing.protocol);
  return {
    method,
    target,
    rawHeaders,
    minor,
    keepAlive: !close && (minor === 1 || keep),
    bodyLength: framing.chunked ? -1 : Math.max(framing.length, 0),
    expectsContinue: minor === 1 && expectsContinue,
  };
}

/** Trailer lines, each with its CRLF. Throws RequestRefused. */
export function parseTrailers(text: string): string[] {
  const trailers: string[] = [];
  const framing = new Framing();
  parseFields(text, 0, trailers, framing);
  const {chunked, length, hosts, close, keep, leaves, protocol} = framing;
  if (chunked || length >= 0 || hosts > 0 || close || keep || leaves || protocol) throw new RequestRefused(400, 'a trailer cannot change how the message is read');
  return trailers;
}

/** What the fields say about where the message ends and what comes after it. */
class Framing {
  hosts = 0;
  /** -1: not said. */
  length = -1;
  chunked = false;
  close = false;
  keep = false;
  /** The client would leave HTTP, and names where to. */
  leaves = false;
  protocol = false;
  /** Other expectations are for whoever understands them (RFC 9110 section 10.1.1 lets a server pass over them, as S3 does). */
  expectsContinue = false;

  /** Only names of these lengths mean anything here. `sent`: the value with the white space after it, which llhttp minds in one place. */
  note(name: string, value: string, sent: string): void {
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') this.hosts++;
        break;
      case 6:
        if (name.toLowerCase() === 'expect') this.expectsContinue ||= value.toLowerCase() === '100-continue';
        break;
      case 7:
        if (name.toLowerCase() === 'upgrade') this.protocol = true;
        break;
      case 10:
        if (name.toLowerCase() === 'connection') {
          for (const option of value.toLowerCase().split(',')) {
            const trimmed = option.trim();
            if (trimmed === 'close') this.close = true;
            else if (trimmed === 'keep-alive') this.keep = true;
            else if (trimmed === 'upgrade') this.leaves = true;
          }
        }
        break;
      case 14:
        if (name.toLowerCase() === 'content-length') this.#noteLength(value);
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          if (this.chunked || !/^chunked *$/i.test(sent)) throw new RequestRefused(400, 'the only Transfer-Encoding is chunked, once');
          this.chunked = true;
        }
        break;
    }
  }

  #noteLength(value: string): void {
    if (this.length >= 0) throw new RequestRefused(400, 'Content-Length is said twice');
    const length = /^[0-9]{1,16}$/.test(value) ? Number(value) : Infinity;
    if (!Number.isSafeInteger(length)) throw new RequestRefused(400, 'Content-Length is not a number of bytes');
    this.length = length;
  }
}

/**
 * The field lines of the last head, by their place, with what was read of them. Most lines of a client's next request are those of the one before,
 * and to compare a line costs a fraction of reading it; whoever comes later finds the same texts, which are quick to compare, too.
 */
const known: {readonly line: string; readonly name: string; readonly value: string}[] = [];
const knownMax = 32;
/** Of a line. One that is longer mostly is a signature, which is another each time. */
const knownLengthMax = 200;

function parseFields(text: string, start: number, into: string[], framing: Framing): void {
  for (let position = start, place = 0; position < text.length; place++) {
    const last = known[place];
    if (last && text.startsWith(last.line, position)) {
      into.push(last.name, last.value);
      framing.note(last.name, last.value, last.value);
      position += last.line.length;
      continue;
    }
    let nameEnd = position;
    while (token[text.charCodeAt(nameEnd)] === 1) nameEnd++;
    // Also continued lines and white space before the colon end here.
    if (nameEnd === position || text.charCodeAt(nameEnd) !== colon) throw new RequestRefused(400, 'a header line does not begin with a name and a colon');
    let valueStart = nameEnd + 1;
    let end = valueStart;
    while (inValue[text.charCodeAt(end)] === 1) end++;
    if (text.charCodeAt(end) !== CR || text.charCodeAt(end + 1) !== LF) throw new RequestRefused(400, 'a header value has a control character');
    let valueEnd = end;
    while (valueStart < valueEnd && isBlank(text.charCodeAt(valueStart))) valueStart++;
    while (valueStart < valueEnd && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--;
    const name = text.slice(position, nameEnd);
    const value = text.slice(valueStart, valueEnd);
    if (into.push(name, value) > 2 * fieldsMax) throw new RequestRefused(431, `more than ${fieldsMax} header lines`);
    framing.note(name, value, valueEnd === end ? value : text.slice(valueStart, end));
    if (place < knownMax && valueEnd === end && end - position < knownLengthMax) known[place] = {line: text.slice(position, end + 2), name, value};
    position = end + 2;
  }
}

const isBlank = (code: number): boolean => code === space || code === tab;
const malformedLine = (): RequestRefused => new RequestRefused(400, 'the request line is not `method target HTTP/1.1`');

/** A request without a body, as it is sent. Throws InvalidArgument for what would break the head apart. */
export function formatRequestHead(method: string, target: string, rawHeaders: readonly string[]): string {
  let text = `${method} ${target} HTTP/1.1\r\n`;
  if (!/^[A-Z]+$/.test(method) || !/^[\x21-\x7e\x80-\xff]+$/.test(target)) throw new WeirError('InvalidArgument', 'a method or path that cannot be sent');
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    const value = rawHeaders[i + 1]!;
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw new WeirError('InvalidArgument', `a header that cannot be sent: ${JSON.stringify(name.slice(0, 50))}`);
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}
