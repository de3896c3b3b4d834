/**
 * Contents that lie in the store and in the cache as ciphertext, under a key that Weir is shown with each request and does not keep (S3's
 * SSE-C). What it takes to open one, beside the key, is an entry of its metadata: so it is wherever the content goes, into copies, old
 * versions, and stores that keep metadata. The bytes of such a content are of no use to a program without the key, so the client
 * gives them only to those who say that they know what they are.
 */
import type {Content, ContentMetadata} from '#model/content.ts';

/** Never sent to or taken from a client. Its value: codec/s3/seal.ts. */
export const sealEntry = 'x-amz-meta-weir-sse-c';

export const isSealed = ({metadata}: Pick<Content, 'metadata'>): boolean => metadata[sealEntry] !== undefined;

/** What is kept of a file's metadata when its bytes are replaced by others that are not sealed. */
export function withoutSeal(metadata: ContentMetadata): ContentMetadata {
  if (metadata[sealEntry] === undefined) return metadata;
  const {[sealEntry]: _, ...others} = metadata;
  return others;
}
