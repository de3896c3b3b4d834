/** koffi, where it is installed: how C functions are called. It is optional: everything works without it, more slowly or less. */
import {createRequire} from 'node:module';

/** `async`: in a thread of the pool; the last argument is called when it is done. */
export interface NativeFunction {
  (...args: unknown[]): number;
  async(...args: unknown[]): void;
}

export interface Koffi {
  load(path: string | null): {func(declaration: string): NativeFunction};
  address(buffer: Uint8Array): bigint;
  /** Of the last call that failed. */
  errno(): number;
}

/** Answers `bind`'s result, made once, or undefined where koffi or a function is missing. */
export function native<T>(bind: (koffi: Koffi) => T): () => T | undefined {
  let bound: {readonly calls: T | undefined} | undefined;
  return () => (bound ??= {calls: tried(bind)}).calls;
}

function tried<T>(bind: (koffi: Koffi) => T): T | undefined {
  try {
    return bind(createRequire(import.meta.url)('koffi') as Koffi);
  } catch {
    return undefined;
  }
}
