/**
 * Looks at a body as it passes. Written as a plain iterator, not a generator: a generator that is given back before its
 * first `next` runs no `finally`, and what hangs on the body (a connection, a slot) would never be released.
 */
export interface BodyTap {
  /** Asks the source for the next chunk, in its own way. */
  readonly next?: (source: AsyncIterator<Uint8Array>) => Promise<IteratorResult<Uint8Array, unknown>>;
  /** Sees each chunk before the receiver does. */
  readonly chunk?: (chunk: Uint8Array) => void | Promise<void>;
  /** Called once: at the end, with the error that broke the body, or when the receiver gave it back. */
  readonly done?: (error?: unknown) => void;
}

export function tapBody(body: AsyncIterable<Uint8Array>, tap: BodyTap): AsyncIterable<Uint8Array> {
  let source: AsyncIterator<Uint8Array> | undefined;
  let ended = false;
  const end = (error?: unknown): void => {
    if (ended) return;
    ended = true;
    tap.done?.(error);
  };
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      if (ended) return {done: true, value: undefined};
      source ??= body[Symbol.asyncIterator]();
      try {
        const result = await (tap.next ? tap.next(source) : source.next());
        if (result.done) {
          end();
          return {done: true, value: undefined};
        }
        if (tap.chunk) await tap.chunk(result.value);
        return result;
      } catch (error) {
        end(error);
        // The source may be stuck in a `next` of its own, so nobody waits for its goodbye.
        source.return?.().catch(() => {});
        throw error;
      }
    },
    async return() {
      if (!ended) {
        source ??= body[Symbol.asyncIterator]();
        try {
          await source.return?.();
        } finally {
          end();
        }
      }
      return {done: true, value: undefined};
    },
  };
  return {[Symbol.asyncIterator]: () => iterator};
}
