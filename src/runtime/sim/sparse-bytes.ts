/** The bytes of a simulated file: pages where something was written, zeros elsewhere. */
const pageBytes = 4096;

/** One change of a file's bytes. `cut` truncates or extends to `size`; `zero` punches. */
export type Change =
  | {readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array}
  | {readonly kind: 'zero'; readonly position: number; readonly length: number}
  | {readonly kind: 'cut'; readonly size: number};

export class SparseBytes {
  size = 0;
  readonly #pages = new Map<number, Uint8Array>();

  get allocated(): number {
    return this.#pages.size * pageBytes;
  }

  copy(): SparseBytes {
    const copy = new SparseBytes();
    copy.size = this.size;
    for (const [page, bytes] of this.#pages) copy.#pages.set(page, bytes.slice());
    return copy;
  }

  apply(change: Change): void {
    if (change.kind === 'write') this.#write(change.position, change.bytes);
    else if (change.kind === 'zero') this.#zero(change.position, Math.min(this.size, change.position + change.length));
    else {
      if (change.size < this.size) this.#zero(change.size, this.size);
      this.size = change.size;
    }
  }

  /** Bytes read, fewer than asked only at the end. */
  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.size - position));
    for (let done = 0; done < count; ) {
      const [page, within] = [Math.floor((position + done) / pageBytes), (position + done) % pageBytes];
      const part = Math.min(count - done, pageBytes - within);
      const bytes = this.#pages.get(page);
      if (bytes) into.set(bytes.subarray(within, within + part), done);
      else into.fill(0, done, done + part);
      done += part;
    }
    return count;
  }

  #write(position: number, source: Uint8Array): void {
    for (let done = 0; done < source.length; ) {
      const [page, within] = [Math.floor((position + done) / pageBytes), (position + done) % pageBytes];
      const part = Math.min(source.length - done, pageBytes - within);
      let bytes = this.#pages.get(page);
      if (!bytes) this.#pages.set(page, (bytes = new Uint8Array(pageBytes)));
      bytes.set(source.subarray(done, done + part), within);
      done += part;
    }
    if (source.length > 0) this.size = Math.max(this.size, position + source.length);
  }

  #zero(start: number, end: number): void {
    for (let at = start; at < end; ) {
      const [page, within] = [Math.floor(at / pageBytes), at % pageBytes];
      const part = Math.min(end - at, pageBytes - within);
      if (part === pageBytes) this.#pages.delete(page);
      else this.#pages.get(page)?.fill(0, within, within + part);
      at += part;
    }
  }
}
