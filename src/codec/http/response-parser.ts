/**
 * One answer out of the bytes of a connection, however they were cut (RFC 9112). The bytes of its body are only counted here, never looked
 * at, so they can be read straight into where they belong: `plain` says how many come next as they are.
 *
 * Strict where two readers might see different messages: one Content-Length or one `chunked`, not both; no folded lines; no other
 * transfer codings; lines end in CR LF.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {KiB} from '#base/units.ts';

/** What came is no answer; nobody knows where the next one would begin. */
class ResponseRefused extends WeirError {
  constructor(message: string) {
    super('Unavailable', message);
  }
}

export interface ResponseHead {
  readonly status: number;
  /** [name, value, name, value …] as sent, without white space around the values, latin-1. */
  readonly rawHeaders: readonly string[];
  /** Bytes of the body; undefined when it says itself where it ends. */
  readonly length: number | undefined;
  /** Another request may follow on the connection when this answer has ended. */
  readonly keepAlive: boolean;
}

const headBytesMax = 64 * KiB;
const statusLine = /^HTTP\/1\.([01]) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** The white space around the value is taken off afterwards: looked for here, it would be tried in every way there is. */
const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;
const chunkLine = /^([0-9a-f]{1,13})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/i;
const LF = 10;

type State = 'status' | 'fields' | 'body' | 'chunk line' | 'chunk' | 'chunk end' | 'trailers' | 'ended';

export class ResponseParser {
  head: ResponseHead | undefined;
  readonly #method: string;
  #state: State = 'status';
  /** The beginning of a line of which the end has not come. */
  #line = '';
  #lineBytes = 0;
  #fields: string[] = [];
  #status = 0;
  #minor = 1;
  /** Of the body or the chunk. */
  #left = 0;

  /** `method` of the request: HEAD has answers without bodies. */
  constructor(method: string) {
    this.#method = method;
  }

  get ended(): boolean {
    return this.#state === 'ended';
  }

  /** So many bytes of the body come next; Infinity when only the end of the connection ends it; 0 when something else comes next. */
  get plain(): number {
    return this.#state === 'body' || this.#state === 'chunk' ? this.#left : 0;
  }

  /** Bytes of the body went by. */
  passed(count: number): void {
    assert(count <= this.plain, 'only bytes of the body pass by');
    this.#left -= count;
    if (this.#left > 0) return;
    this.#state = this.#state === 'body' ? 'ended' : 'chunk end';
  }

  /** Reads what is not body; returns how many bytes that was: all of them, or up to the next byte of the body, or to the end of the answer. Throws Unavailable. */
  read(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.plain === 0 && !this.ended) {
      const end = bytes.indexOf(LF, at);
      const stop = end < 0 ? bytes.length : end + 1;
      this.#lineBytes += stop - at;
      if (this.#lineBytes > headBytesMax) throw new ResponseRefused(`the head or a trailer is larger than ${headBytesMax} bytes`);
      this.#line += bytes.toString('latin1', at, stop);
      at = stop;
      if (end < 0) break;
      if (!this.#line.endsWith('\r\n')) throw new ResponseRefused('a line does not end in CR LF');
      const line = this.#line.slice(0, -2);
      this.#line = '';
      this.#take(line);
    }
    return at;
  }

  /** The connection has ended; true when that ends the answer. */
  close(): boolean {
    if (this.#state === 'body' && this.#left === Number.POSITIVE_INFINITY) this.#state = 'ended';
    return this.ended;
  }

  #take(line: string): void {
    switch (this.#state) {
      case 'status':
        return this.#takeStatus(line);
      case 'fields':
        if (line !== '') return this.#takeField(line);
        return this.#headEnded();
      case 'trailers':
        if (line !== '') return this.#takeField(line);
        this.#state = 'ended';
        return;
      case 'chunk line': {
        const match = chunkLine.exec(line);
        if (!match) throw new ResponseRefused('a chunk does not begin with its size');
        this.#left = Number.parseInt(match[1]!, 16);
        this.#state = this.#left === 0 ? 'trailers' : 'chunk';
        // What is bounded is a head, and trailers; not the lines of all chunks.
        this.#lineBytes = 0;
        return;
      }
      case 'chunk end':
        if (line !== '') throw new ResponseRefused('a chunk is longer than it said');
        this.#state = 'chunk line';
        return;
      default:
        throw new ResponseRefused('more than an answer came');
    }
  }

  #takeStatus(line: string): void {
    const match = statusLine.exec(line);
    if (!match) throw new ResponseRefused('it does not begin like an answer of HTTP/1.1');
    this.#minor = Number(match[1]);
    this.#status = Number(match[2]);
    this.#state = 'fields';
  }

  #takeField(line: string): void {
    const match = field.exec(line);
    if (!match) throw new ResponseRefused('a header is malformed');
    this.#fields.push(match[1]!, withoutBlanks(match[2]!));
  }

  #headEnded(): void {
    const status = this.#status;
    const rawHeaders = this.#fields;
    this.#fields = [];
    this.#lineBytes = 0;
    if (status < 200) {
      if (status < 100 || status === 101) throw new ResponseRefused(`a status of ${status} was not asked for`);
      this.#state = 'status';
      return;
    }
    const {length, chunked, close, keep} = framing(rawHeaders);
    const silent = this.#method === 'HEAD' || status === 204 || status === 304;
    const untilClose = !silent && !chunked && length === undefined;
    this.head = {status, rawHeaders, length: silent ? 0 : chunked ? undefined : length, keepAlive: !close && !untilClose && (this.#minor === 1 || keep)};
    this.#left = untilClose ? Number.POSITIVE_INFINITY : (length ?? 0);
    if (silent || length === 0) this.#state = 'ended';
    else this.#state = chunked ? 'chunk line' : 'body';
  }
}

function withoutBlanks(value: string): string {
  const isBlank = (at: number): boolean => value[at] === ' ' || value[at] === '\t';
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(start)) start++;
  while (start < end && isBlank(end - 1)) end--;
  return value.slice(start, end);
}

function framing(rawHeaders: readonly string[]): {length: number | undefined; chunked: boolean; close: boolean; keep: boolean} {
  let length: number | undefined;
  let chunked = false;
  let close = false;
  let keep = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const value = rawHeaders[i + 1]!;
    switch (rawHeaders[i]!.toLowerCase()) {
      case 'content-length': {
        const given = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
        if (Number.isNaN(given) || (length !== undefined && length !== given)) throw new ResponseRefused('Content-Length is not one number');
        length = given;
        break;
      }
      case 'transfer-encoding':
        if (chunked || value.toLowerCase() !== 'chunked') throw new ResponseRefused('a transfer coding that nobody asked for');
        chunked = true;
        break;
      case 'connection':
        for (const option of value.toLowerCase().split(',')) {
          if (option.trim() === 'close') close = true;
          if (option.trim() === 'keep-alive') keep = true;
        }
        break;
    }
  }
  if (chunked && length !== undefined) throw new ResponseRefused('Content-Length and Transfer-Encoding contradict each other');
  return {length, chunked, close, keep};
}
