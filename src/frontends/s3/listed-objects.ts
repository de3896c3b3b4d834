/** What lists of keys and of versions say of each object alike. */
import {ownerXml} from '#codec/s3/access-documents.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {aclAttribute, aclOf} from '#frontends/s3/access/request-access.ts';
import {checksumTypeOfValues} from '#frontends/s3/object-headers.ts';
import type {S3Request} from '#frontends/s3/request.ts';

/** Which checksum the object has, and of what. */
export function checksumOf({inode}: FileInfo): string {
  const checksums = inode.content?.checksums;
  const type = checksums && checksumTypeOfValues(checksums);
  if (!type) return '';
  let algorithms = '';
  for (const name in checksums) algorithms += `<ChecksumAlgorithm>${name.toUpperCase()}</ChecksumAlgorithm>`;
  return `${algorithms}<ChecksumType>${type}</ChecksumType>`;
}

/** Whose each object of the request's bucket is. */
export function ownersOf({access}: S3Request): (info: FileInfo) => string {
  const bucketOwner = ownerXml(access.rules.owner);
  return (info) => (info.inode.xattrs?.[aclAttribute] === undefined ? bucketOwner : ownerXml(access.ownerOf(aclOf(info))));
}
