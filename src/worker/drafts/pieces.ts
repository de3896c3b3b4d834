/** Bytes of contents and files, as drafts take them. */
import {assert} from '#base/assert.ts';
import {MiB} from '#base/units.ts';
import type {NamedDraft} from '#blockstore/block-store.ts';

/** Read at once by who copies a file. */
export const copyBytes = MiB;

export async function collect(bytes: AsyncIterable<Uint8Array> | undefined, length: number): Promise<Uint8Array> {
  if (!bytes) return new Uint8Array(0);
  const into = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for await (const chunk of bytes) {
    assert(at + chunk.length <= length, 'a content has the length that it says');
    into.set(chunk, at);
    at += chunk.length;
  }
  return into.subarray(0, at);
}

export async function* pieces(file: NamedDraft): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; ) {
    const bytes = Buffer.allocUnsafe(Math.min(copyBytes, file.length - at));
    const count = await file.read(bytes, at);
    if (count === 0) return;
    yield bytes.subarray(0, count);
    at += count;
  }
}
