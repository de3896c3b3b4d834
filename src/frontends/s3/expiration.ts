/** When an object will end by a rule of its bucket (`x-amz-expiration`). "Configuring a lifecycle configuration", S3 User Guide. */
import {toText} from '#base/byte-string.ts';
import {httpDate} from '#codec/s3/http-date.ts';
import {decodeTags, taggingXattr} from '#codec/s3/tagging.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {keyOf, modifiedOf, type S3Request} from '#frontends/s3/request.ts';
import {firstEnd} from '#model/lifecycle.ts';

const none: readonly string[] = [];

/** Of an object that its key shows, in the request's bucket. */
export function expirationHeaders(request: S3Request, info: FileInfo): readonly string[] {
  const {lifecycle} = request.access.rules;
  if (!lifecycle) return none;
  const {content, xattrs} = info.inode;
  const stored = xattrs?.[taggingXattr];
  const tags = () => new Map(stored ? decodeTags(Buffer.from(stored).toString('latin1')).map(({key, value}) => [key, value]) : []);
  const end = firstEnd(lifecycle, {key: toText(keyOf(request)), bytes: content?.length ?? info.length, tags}, Number(modifiedOf(info) / 1_000_000n));
  return end ? ['x-amz-expiration', `expiry-date="${httpDate(BigInt(end.endMs) * 1_000_000n)}", rule-id="${encodeURIComponent(end.rule.id)}"`] : none;
}
