/** ListBuckets: the directories of the root, in pages where they are asked for. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {ownerXml} from '#codec/s3/access-documents.ts';
import {element, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {regionOf} from '#frontends/s3/bucket-location.ts';
import {type Operation, type S3Request, xml} from '#frontends/s3/request.ts';

const bucketsAPage = 1000;
const bucketsMax = 10_000;
const root = '/' as ByteString;

function limitOf(request: S3Request): number {
  const text = request.query('max-buckets') ?? '';
  if (text === '') return bucketsMax;
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= bucketsMax) return Number(text);
  throw new S3Error('InvalidArgument', `Argument max-buckets must be an integer between 1 and ${bucketsMax}.`, {ArgumentName: 'max-buckets', ArgumentValue: text});
}

/** Undefined when the bucket was deleted since it was listed. */
async function regionIfThere(request: S3Request, bucket: FileInfo): Promise<string | undefined> {
  try {
    return await regionOf(request, bucket);
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}

export const listBuckets: Operation = async (request) => {
  const {files, context, access} = request;
  const limit = limitOf(request);
  const prefix = request.query('prefix') ?? '';
  const token = request.query('continuation-token') ?? '';
  const wantedRegion = request.query('bucket-region') || undefined;
  const buckets: string[] = [];
  let last: ByteString | undefined;
  let more = false;
  // Behind the token itself, which is a bucket's name: directories' keys end in a slash.
  let after: ByteString | undefined = token === '' ? undefined : (`${token}/` as ByteString);
  scan: do {
    const page = await files.list({directory: root, view: 'children', limit: bucketsAPage, ...(prefix === '' ? {} : {prefix: prefix as ByteString}), ...(after === undefined ? {} : {after})}, context);
    for (const entry of page.entries) {
      if (!('info' in entry) || entry.info.inode.kind !== 'directory') continue;
      const name = entry.key.slice(0, -1) as ByteString;
      if (!access.shows(name, entry.info)) continue;
      const region = await regionIfThere(request, entry.info);
      if (region === undefined) continue;
      if (wantedRegion !== undefined && region !== wantedRegion) continue;
      if (buckets.length === limit) {
        more = true;
        break scan;
      }
      last = name;
      buckets.push(`<Bucket>${element('Name', toText(last))}${element('CreationDate', xmlDate(entry.info.inode.createdAt ?? entry.info.inode.ctime))}${element('BucketRegion', region)}</Bucket>`);
    }
    after = page.next;
  } while (after !== undefined);
  const next = more && last !== undefined ? element('ContinuationToken', toText(last)) : '';
  const asked = optionalElement('Prefix', prefix === '' ? undefined : toText(prefix as ByteString));
  await xml(request, xmlDocument('ListAllMyBucketsResult', `${ownerXml(access.caller!.owner)}<Buckets>${buckets.join('')}</Buckets>${next}${asked}`));
};
