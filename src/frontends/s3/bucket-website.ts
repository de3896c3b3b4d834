/** The website configuration of a bucket; who serves it is website/. */
import {toText} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {parseWebsiteXml, websiteXml} from '#codec/s3/website-xml.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, xml} from '#frontends/s3/request.ts';
import {parseWebsite, websiteSetting} from '#model/website.ts';

const documentBytesMax = 128 * 1024;

export const getWebsite: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  const text = inode.settings === undefined ? undefined : (await request.files.getSettings(bucketPath(bucket), request.context)).settings[websiteSetting];
  if (text === undefined) throw new S3Error('NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration', {BucketName: toText(bucket)});
  await xml(request, websiteXml(parseWebsite(text)));
};

export const putWebsite: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const document = await documentOf(request);
  if (document.length > documentBytesMax) throw new S3Error('MaxMessageLengthExceeded', 'Your request was too big.', {MaxMessageLengthBytes: String(documentBytesMax)});
  const website = parseWebsiteXml(document);
  await request.files.setSetting(bucketPath(bucket), websiteSetting, JSON.stringify(website), request.context);
  await answer(request, 200);
};

export const deleteWebsite: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  if (inode.settings !== undefined) await request.files.setSetting(bucketPath(bucket), websiteSetting, null, request.context);
  await answer(request, 204);
};
