/** `CreateBucketConfiguration`. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {checkTags, tagOf, type Tag} from '#codec/s3/tagging.ts';
import {child, parseXml} from '#codec/s3/xml-read.ts';

/** Any region may be named: there is one place, and clients name theirs. MalformedXML, InvalidLocationConstraint, InvalidTag, BadRequest. */
export function parseCreateBucket(xml: Buffer): {readonly locationConstraint?: string; readonly tags?: readonly Tag[]} {
  const root = parseXml(xml, 'CreateBucketConfiguration');
  const location = child(root, 'LocationConstraint')?.trim();
  if (location && !/^(?:EU|[a-z]{2,4}(?:-[a-z]+)*(?:-\d+)?)$/.test(location)) throw new S3Error('InvalidLocationConstraint', 'The specified location-constraint is not valid', {LocationConstraint: location});
  const tags = root.children.find(({name}) => name === 'Tags')?.children.map(tagOf);
  return {...(location ? {locationConstraint: location} : {}), ...(tags ? {tags: checkTags(tags, 'bucket')} : {})};
}
