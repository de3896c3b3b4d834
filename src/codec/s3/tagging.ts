/** Tags of objects and buckets: XML documents, the `x-amz-tagging` header, and the form in which they are kept (a URL-encoded query). */
import {fromText, toText} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {uriEncode} from '#codec/s3/sigv4.ts';
import {parseQuery} from '#codec/s3/target.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {ByteString} from '#base/byte-string.ts';
import {s3XattrPrefix} from '#model/inode.ts';

/** The attribute in which an object's tags are kept, as encodeTags writes them. */
export const taggingXattr = `${s3XattrPrefix}tagging`;

export interface Tag {
  readonly key: string;
  readonly value: string;
}

export type Tagged = 'object' | 'bucket';

const countMax: Readonly<Record<Tagged, number>> = {object: 10, bucket: 50};
const keyCharsMax = 128;
const valueCharsMax = 256;
const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/** InvalidTag, BadRequest (too many). */
export function checkTags(tags: readonly Tag[], of: Tagged): readonly Tag[] {
  // How many there are is said of a bucket as a client's mistake, of an object too, before any of them is looked at.
  if (tags.length > countMax[of]) throw new S3Error('BadRequest', of === 'object' ? 'Object tags cannot be greater than 10' : 'Bucket tag count cannot be greater than 50');
  const seen = new Set<string>();
  for (const {key, value} of tags) {
    const fields = {TagKey: key, TagValue: value};
    if (/^aws:/i.test(key)) throw new S3Error('InvalidTag', 'System tags cannot be added/updated by requester', fields);
    if (key === '' || key.length > keyCharsMax || !allowed.test(key)) throw new S3Error('InvalidTag', 'The TagKey you have provided is invalid', fields);
    if (value.length > valueCharsMax || !allowed.test(value)) throw new S3Error('InvalidTag', 'The TagValue you have provided is invalid', fields);
    if (seen.has(key)) throw new S3Error('InvalidTag', 'Cannot provide multiple Tags with the same key', fields);
    seen.add(key);
  }
  return tags;
}

/** MalformedXML. */
export function tagOf(tag: Element): Tag {
  const key = child(tag, 'Key');
  const value = child(tag, 'Value');
  if (tag.name !== 'Tag' || key === undefined || value === undefined) throw malformed();
  return {key, value};
}

/** `Tagging{TagSet{Tag{Key,Value}*}}`. MalformedXML, InvalidTag, BadRequest. */
export function parseTagging(xml: Buffer, of: Tagged): readonly Tag[] {
  const root = parseXml(xml, 'Tagging');
  const [set] = root.children;
  if (root.children.length !== 1 || set!.name !== 'TagSet') throw malformed();
  return checkTags(
    set!.children.map(tagOf),
    of,
  );
}

/** `x-amz-tagging`: `a=1&b=2`, URL-encoded. InvalidArgument, InvalidTag, BadRequest. */
export function parseTaggingHeader(header: string): readonly Tag[] {
  const invalid = () =>
    new S3Error('InvalidArgument', "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", {ArgumentName: 'x-amz-tagging', ArgumentValue: header});
  if (/%(?![0-9a-fA-F]{2})/.test(header)) throw invalid();
  const tags = parseQuery(header).map(([key, value]) => ({key: toText(key as ByteString), value: toText(value as ByteString)}));
  if (tags.some(({key}) => key === '') || new Set(tags.map(({key}) => key)).size < tags.length) throw invalid();
  return checkTags(tags, 'object');
}

export function taggingXml(tags: readonly Tag[]): string {
  return xmlDocument('Tagging', `<TagSet>${tags.map(({key, value}) => `<Tag>${element('Key', key)}${element('Value', value)}</Tag>`).join('')}</TagSet>`);
}

/** ASCII. */
export function encodeTags(tags: readonly Tag[]): string {
  return tags.map(({key, value}) => `${uriEncode(fromText(key), false)}=${uriEncode(fromText(value), false)}`).join('&');
}

export function decodeTags(text: string): readonly Tag[] {
  return parseQuery(text).map(([key, value]) => ({key: toText(key as ByteString), value: toText(value as ByteString)}));
}

/** Without decoding them. */
export function countTags(encoded: Uint8Array): number {
  if (encoded.length === 0) return 0;
  let count = 1;
  for (const byte of encoded) if (byte === 0x26) count++;
  return count;
}
