/**
 * Requests out of the bytes of a connection, however they were cut: first the head, then its body piece by piece, then the next head.
 * It is asked, it does not call: whoever reads slowly asks later, and what was not asked for stays with the connection.
 *
 * Invariants: nothing is copied but a head that came in pieces, and what is left of a loan when it ends; bytes after a message are not looked at before its body was read to the end;
 * after a refusal every further question gets the same refusal.
 */
import {assert} from '#base/assert.ts';
import {parseRequestHead, parseTrailers, type RequestHead, RequestRefused} from '#codec/http/request-head.ts';

/** A chunk's size and its extensions, which nobody needs. */
const chunkLineBytesMax = 1024;
/** All chunk extensions of a message: they cost work and carry nothing. */
const extensionBytesMax = 16 * 1024;

/** Twice what connections hand in at a time: what is left of one fits in front of the next. */
const loanBytes = 128 * 1024;

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const nothing = Buffer.alloc(0);
const none: readonly string[] = [];
const chunkLine = /^([0-9A-Fa-f]{1,14})((?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)*)$/;

const CR = 13;
const LF = 10;

type State = 'head' | 'length' | 'chunk-line' | 'chunk-data' | 'chunk-end' | 'trailers';

export class RequestParser {
  readonly #headBytesMax: number;
  #input: Buffer = nothing;
  #borrowed = false;
  #at = 0;
  /** Up to here there is no end of a head. */
  #scanned = 0;
  #state: State = 'head';
  /** Of the body or the chunk. */
  #left = 0;
  #extensionBytes = 0;
  #trailers: readonly string[] = none;
  #refusal: RequestRefused | undefined;
  /** Of a body whose reader is done with a piece when it asks for the next: memory for what is kept, used in turns. */
  #loans: Buffer[] | undefined;
  /** The memory of the last piece. */
  #lent: ArrayBufferLike | undefined;
  /** The last head, without the empty line behind it. */
  #headText = '';

  constructor(headBytesMax: number) {
    this.#headBytesMax = headBytesMax;
  }

  /** Bytes handed in and not yet asked for. */
  get bufferedBytes(): number {
    return this.#input.length - this.#at;
  }

  /** The body of the last head was read to its end (at once when it has none). */
  get bodyEnded(): boolean {
    return this.#state === 'head';
  }

  /** What is left of a body with a length is here. */
  get bodyIsHere(): boolean {
    return this.#state === 'length' && this.bufferedBytes >= this.#left;
  }

  /** Of the last body; complete when it has ended. */
  get trailers(): readonly string[] {
    return this.#trailers;
  }

  /**
   * Takes over the next bytes of the connection; pieces of bodies are parts of them. `borrowed`: they are only good until `own` is called,
   * which must be before they change, and before the pieces of a body are given to anybody.
   */
  push(chunk: Buffer, borrowed = false): void {
    if (this.#at === this.#input.length) {
      this.#input = chunk;
      this.#borrowed = borrowed;
      this.#scanned = 0;
    } else if (!this.#append(chunk)) {
      this.#input = Buffer.concat([this.#at === 0 ? this.#input : this.#input.subarray(this.#at), chunk]);
      this.#scanned = Math.max(0, this.#scanned - this.#at);
    }
    this.#at = 0;
  }

  /** What was borrowed and not asked for yet is kept from here on; pieces of bodies that follow are parts of that. */
  own(): void {
    if (!this.#borrowed) return;
    this.#borrowed = false;
    const left = this.bufferedBytes;
    if (left === 0) this.#input = nothing;
    else {
      const kept = this.#loan(left) ?? Buffer.allocUnsafe(left);
      this.#input.copy(kept, 0, this.#at);
      this.#input = kept;
    }
    this.#scanned = Math.max(0, this.#scanned - this.#at);
    this.#at = 0;
  }

  /** The body's reader promises to be done with each piece when it asks for the next: buffers by the thousand cost the collector more than the bytes do. */
  lend(): void {
    this.#loans ??= [];
  }

  /** Behind what is kept in a loan; false where it is kept elsewhere, or part of it was read. */
  #append(chunk: Buffer): boolean {
    const left = this.#input.length;
    const loan = this.#at === 0 && this.#lent !== this.#input.buffer ? this.#loans?.find(({buffer}) => buffer === this.#input.buffer) : undefined;
    if (!loan || left + chunk.length > loanBytes) return false;
    loan.set(chunk, left);
    this.#input = loan.subarray(0, left + chunk.length);
    return true;
  }

  #loan(bytes: number): Buffer | undefined {
    if (!this.#loans || bytes > loanBytes) return undefined;
    let loan = this.#loans.find(({buffer}) => buffer !== this.#lent);
    if (!loan) this.#loans.push((loan = Buffer.allocUnsafeSlow(loanBytes)));
    return loan.subarray(0, bytes);
  }

  /** The next request; undefined until all of its head is there. Throws RequestRefused. */
  readHead(): RequestHead | undefined {
    assert(this.#state === 'head', 'the body before was read to its end');
    // An empty line before a request is forgiven (RFC 9112, 2.2).
    while (this.#input[this.#at] === CR && this.#input[this.#at + 1] === LF) this.#at += 2;
    const start = this.#at;
    const text = this.#section();
    if (text === undefined) {
      const first = this.#input[start];
      if (first !== undefined && first !== CR && (first < 65 || first > 90)) this.#refuse(400, 'this is not the beginning of an HTTP request');
      return undefined;
    }
    const head = this.#guard(() => parseRequestHead(text));
    this.#headText = text;
    this.#loans = this.#lent = undefined;
    this.#trailers = none;
    this.#extensionBytes = 0;
    this.#left = head.bodyLength;
    if (head.bodyLength < 0) this.#state = 'chunk-line';
    else if (head.bodyLength > 0) this.#state = 'length';
    return head;
  }

  /** The last request as it came, with all that has come behind its head, for another parser: while nothing was asked for of its body. */
  unread(): Buffer {
    return Buffer.concat([Buffer.from(`${this.#headText}\r\n`, 'latin1'), this.#input.subarray(this.#at)]);
  }

  /** The next piece of the body; undefined when it has ended (see bodyEnded) or when more bytes are needed. Throws RequestRefused. */
  readBody(): Buffer | undefined {
    if (this.#refusal) throw this.#refusal;
    for (;;) {
      switch (this.#state) {
        case 'head':
          return undefined;
        case 'length':
        case 'chunk-data': {
          if (this.#at === this.#input.length) return undefined;
          const end = Math.min(this.#input.length, this.#at + this.#left);
          const piece = this.#at === 0 && end === this.#input.length ? this.#input : this.#input.subarray(this.#at, end);
          this.#lent = piece.buffer;
          this.#left -= piece.length;
          this.#at = end;
          if (this.#left === 0) this.#state = this.#state === 'length' ? 'head' : 'chunk-end';
          return piece;
        }
        case 'chunk-line':
          if (!this.#readChunkLine()) return undefined;
          break;
        case 'chunk-end':
          if (this.bufferedBytes > 0 && this.#input[this.#at] !== CR) this.#refuse(400, 'a chunk is longer than it said');
          if (this.bufferedBytes < 2) return undefined;
          if (this.#input[this.#at + 1] !== LF) this.#refuse(400, 'a chunk is longer than it said');
          this.#at += 2;
          this.#state = 'chunk-line';
          break;
        case 'trailers':
          if (!this.#readTrailers()) return undefined;
          break;
      }
    }
  }

  #readChunkLine(): boolean {
    const end = this.#input.indexOf(lineEnd, this.#at);
    const length = (end < 0 ? this.#input.length : end) - this.#at;
    if (length > chunkLineBytesMax) this.#refuse(400, 'the line of a chunk is too long');
    if (end < 0) {
      this.#refuseBareLineFeed(this.#at);
      return false;
    }
    const match = chunkLine.exec(this.#input.toString('latin1', this.#at, end));
    const size = match ? Number.parseInt(match[1]!, 16) : NaN;
    if (!match || !Number.isSafeInteger(size)) this.#refuse(400, 'a chunk does not begin with its size');
    this.#extensionBytes += match[2]!.length;
    if (this.#extensionBytes > extensionBytesMax) this.#refuse(413, 'too many chunk extensions');
    this.#at = end + 2;
    this.#left = size;
    this.#scanned = this.#at;
    this.#state = size === 0 ? 'trailers' : 'chunk-data';
    return true;
  }

  #readTrailers(): boolean {
    if (this.#input[this.#at] === CR && this.#input[this.#at + 1] === LF) this.#at += 2;
    else {
      const text = this.#section();
      if (text === undefined) return false;
      this.#trailers = this.#guard(() => parseTrailers(text));
    }
    this.#state = 'head';
    return true;
  }

  /** Lines up to an empty one, which is passed over; undefined until it is there. */
  #section(): string | undefined {
    if (this.#refusal) throw this.#refusal;
    if (this.#at === this.#input.length) return undefined;
    const end = this.#input.indexOf(headEnd, Math.max(this.#at, this.#scanned - 3));
    if ((end < 0 ? this.#input.length : end + headEnd.length) - this.#at > this.#headBytesMax) this.#refuse(431, `the header lines have more than ${this.#headBytesMax} bytes`);
    if (end < 0) {
      // Nobody who ends lines like this will ever send the end that is waited for.
      this.#refuseBareLineFeed(Math.max(this.#at, this.#scanned));
      this.#scanned = this.#input.length;
      return undefined;
    }
    const text = this.#input.toString('latin1', this.#at, end + 2);
    this.#at = end + headEnd.length;
    this.#scanned = this.#at;
    return text;
  }

  #refuseBareLineFeed(from: number): void {
    for (let at = this.#input.indexOf(LF, from); at >= 0; at = this.#input.indexOf(LF, at + 1)) {
      if (at === this.#at || this.#input[at - 1] !== CR) this.#refuse(400, 'a line feed without carriage return');
    }
  }

  #guard<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (error instanceof RequestRefused) this.#refusal = error;
      throw error;
    }
  }

  #refuse(status: number, message: string): never {
    this.#refusal = new RequestRefused(status, message);
    throw this.#refusal;
  }
}
