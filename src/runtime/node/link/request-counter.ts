/**
 * Counts the HTTP/1.1 requests that pass in a byte stream, without holding it up. It follows heads, lengths and chunks; a stream that is
 * something else is left alone after its first bytes.
 */

/** A head longer than this is not one. */
const headBytesMax = 128 * 1024;
const chunkLineBytesMax = 1024;
const requestLine = /^[A-Z]{3,20} \S+ HTTP\/1[.][01]\r\n/;

type State = 'head' | 'body' | 'chunk-size' | 'chunk' | 'trailers' | 'unknown';

export class RequestCounter {
  requests = 0;
  #state: State = 'head';
  /** What there is so far of a head or of the line of a chunk's size. */
  #text = '';
  #left = 0;

  see(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && this.#state !== 'unknown'; ) at = this.#step(bytes, at);
  }

  /** Takes some bytes from `at`; answers where it stopped. */
  #step(bytes: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#upTo('\r\n\r\n', headBytesMax, bytes, at, (head) => this.#head(head));
      case 'chunk-size':
        return this.#upTo('\r\n', chunkLineBytesMax, bytes, at, (line) => {
          const size = Number.parseInt(line, 16);
          if (size > 0) this.#expect('chunk', size + 2);
          else this.#state = size === 0 ? 'trailers' : 'unknown';
        });
      case 'trailers':
        return this.#upTo('\r\n', headBytesMax, bytes, at, (line) => {
          if (line === '\r\n') this.#state = 'head';
        });
      default: {
        const taken = Math.min(this.#left, bytes.length - at);
        this.#left -= taken;
        if (this.#left === 0) this.#state = this.#state === 'chunk' ? 'chunk-size' : 'head';
        return at + taken;
      }
    }
  }

  #upTo(mark: string, max: number, bytes: Uint8Array, at: number, found: (text: string) => void): number {
    const before = this.#text.length;
    const text = this.#text + Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(bytes.length - at, max)).toString('latin1');
    const end = text.indexOf(mark);
    if (end >= 0) {
      this.#text = '';
      found(text.slice(0, end + mark.length));
      return at + end + mark.length - before;
    }
    this.#text = text;
    if (text.length >= max) this.#state = 'unknown';
    return bytes.length;
  }

  #head(head: string): void {
    if (!requestLine.test(head)) {
      this.#state = 'unknown';
      return;
    }
    this.requests++;
    const length = Number(/\r\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1] ?? 0);
    if (/\r\ntransfer-encoding:[^\r]*chunked/i.test(head)) this.#state = 'chunk-size';
    else if (length > 0) this.#expect('body', length);
  }

  #expect(state: 'body' | 'chunk', left: number): void {
    this.#state = state;
    this.#left = left;
  }
}
