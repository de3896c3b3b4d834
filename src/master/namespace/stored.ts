/** What of a content is in its store: the object that has its bytes, or, of a pending one, the version that it is over. */
import type {ByteString} from '#base/byte-string.ts';
import type {Content} from '#model/content.ts';

export type StoredBytes = Pick<Content, 'storeKey' | 'fingerprint' | 'length'>;

/** Undefined: nothing. */
export function storedOf({storeKey, fingerprint, length, pending, over}: Content): StoredBytes | undefined {
  if (over) return {storeKey: over.storeKey ?? storeKey, fingerprint: over.fingerprint, length: over.length};
  return pending ? undefined : {storeKey, fingerprint, length};
}

/** The same content, when that has been moved. */
export function movedTo(content: Content, storeKey: ByteString, fingerprint: string): Content {
  return content.over ? {...content, over: {...content.over, storeKey, fingerprint}} : {...content, storeKey, fingerprint};
}
