/** One writer, one reader, nothing in between: `push` resolves when the reader comes for the next buffer, so neither runs ahead. */
import {WeirError} from '#base/errors.ts';

export class Channel implements AsyncIterableIterator<Uint8Array, undefined> {
  #offered: {readonly chunk: Uint8Array; readonly taken: PromiseWithResolvers<void>} | undefined;
  #asked: PromiseWithResolvers<IteratorResult<Uint8Array, undefined>> | undefined;
  #last: PromiseWithResolvers<void> | undefined;
  #ended = false;
  #failure: Error | undefined;

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Rejects when the reader has gone away. */
  push(chunk: Uint8Array): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    const taken = Promise.withResolvers<void>();
    const asked = this.#asked;
    if (asked) {
      this.#asked = undefined;
      this.#last = taken;
      asked.resolve({done: false, value: chunk});
    } else {
      this.#offered = {chunk, taken};
    }
    return taken.promise;
  }

  /** No more chunks will come. */
  end(): void {
    this.#ended = true;
    this.#asked?.resolve({done: true, value: undefined});
    this.#asked = undefined;
  }

  /** The writer gives up: the reader fails with `error`. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#asked?.reject(this.#failure);
    this.#asked = undefined;
    this.#refuse(this.#failure);
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#last?.resolve();
    this.#last = undefined;
    if (this.#failure) return Promise.reject(this.#failure);
    const offered = this.#offered;
    if (offered) {
      this.#offered = undefined;
      this.#last = offered.taken;
      return Promise.resolve({done: false, value: offered.chunk});
    }
    if (this.#ended) return Promise.resolve({done: true, value: undefined});
    this.#asked = Promise.withResolvers();
    return this.#asked.promise;
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.#ended) this.#failure ??= new WeirError('Cancelled', 'the reader of these bytes went away');
    if (this.#failure) this.#refuse(this.#failure);
    return Promise.resolve({done: true, value: undefined});
  }

  #refuse(error: Error): void {
    this.#last?.reject(error);
    this.#last = undefined;
    this.#offered?.taken.reject(error);
    this.#offered = undefined;
  }
}
