/** GetObjectAttributes. */
import {httpDate} from '#codec/s3/http-date.ts';
import {countOf, keysAPageMax} from '#codec/s3/listing.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {PartRecord} from '#contracts/writing.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {customerKeyOf} from '#frontends/s3/encryption.ts';
import {checkKey} from '#frontends/s3/opening.ts';
import {checksumsXml, shownChecksums} from '#frontends/s3/multipart.ts';
import {checksumTypeOfValues, storageClassXml} from '#frontends/s3/object-headers.ts';
import {bucketOf, etagOf, isShown, keyOf, modifiedOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {versionHeaders, versionOf} from '#frontends/s3/versions.ts';
import type {ChecksumAlgorithm} from '#model/content.ts';

const attributes = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;
type Attribute = (typeof attributes)[number];

function wantedAttributes({exchange}: S3Request): ReadonlySet<Attribute> {
  const wanted = new Set<Attribute>();
  const {rawHeaders} = exchange;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== 'x-amz-object-attributes') continue;
    for (const word of rawHeaders[i + 1]!.split(',').map((text) => text.trim()).filter((text) => text !== '')) {
      const attribute = attributes.find((name) => name === word);
      if (!attribute) throw new S3Error('InvalidArgument', 'Invalid attribute name specified.', {ArgumentName: 'x-amz-object-attributes', ArgumentValue: word});
      wanted.add(attribute);
    }
  }
  if (wanted.size === 0) throw new S3Error('InvalidRequest', 'The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty');
  return wanted;
}

export const getObjectAttributes: Operation = async (request) => {
  const wanted = wantedAttributes(request);
  // "You must have permission to perform the s3:GetObject action", too.
  await request.access.demand(needs.getObject);
  const path = objectPath(bucketOf(request), keyOf(request));
  const info = await request.files.stat(path, {kind: 'file', ...versionOf(request)}, request.context);
  if (info.deleteMarker) throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: keyOf(request)}, {headers: ['x-amz-delete-marker', 'true', ...versionHeaders(info)]});
  if (!isShown(info)) throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: keyOf(request)});
  checkKey(info, customerKeyOf(request));
  const {content} = info.inode;
  const type = checksumTypeOfValues(content?.checksums ?? {});
  const inner = [
    wanted.has('ETag') ? element('ETag', etagOf(info)) : '',
    wanted.has('Checksum') && type ? `<Checksum>${checksumsXml(content!.checksums)}${element('ChecksumType', type)}</Checksum>` : '',
    wanted.has('ObjectParts') && content?.upload ? await objectParts(request, info, content.upload) : '',
    wanted.has('StorageClass') ? storageClassXml(content?.metadata) : '',
    wanted.has('ObjectSize') ? element('ObjectSize', content?.length ?? 0) : '',
  ];
  await xml(request, xmlDocument('GetObjectAttributesResponse', inner.join('')), ['Last-Modified', httpDate(modifiedOf(info)), ...versionHeaders(info)]);
};

async function objectParts(request: S3Request, info: FileInfo, upload: {readonly id: string; readonly parts: number}): Promise<string> {
  const limit = countOf(request.header('x-amz-max-parts'), 'x-amz-max-parts', keysAPageMax);
  const marker = countOf(request.header('x-amz-part-number-marker'), 'x-amz-part-number-marker', 0, Number.MAX_SAFE_INTEGER);
  const found = limit === 0 ? [] : await request.files.listParts(info.path, upload.id, marker, limit + 1, request.context);
  const parts = found.slice(0, limit);
  // Only a checksum that the client asked for is one of the parts: the whole object's is then of the same algorithm.
  const [algorithm] = Object.keys(info.inode.content!.checksums) as ChecksumAlgorithm[];
  const row = (part: PartRecord) => `<Part>${element('PartNumber', part.partNumber)}${element('Size', part.length)}${checksumsXml(shownChecksums(part.checksums, algorithm))}</Part>`;
  const page =
    `${element('PartsCount', upload.parts)}${element('PartNumberMarker', marker)}${element('NextPartNumberMarker', parts.at(-1)?.partNumber ?? 0)}` +
    `${element('MaxParts', limit)}${element('IsTruncated', found.length > limit)}`;
  return `<ObjectParts>${page}${parts.map(row).join('')}</ObjectParts>`;
}
