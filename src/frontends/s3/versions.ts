/** Versions in requests and answers: which one is meant, which one it was, and what a delete marker answers. */
import {isKind, WeirError} from '#base/errors.ts';
import {httpDate} from '#codec/s3/http-date.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {modifiedOf, type S3Request} from '#frontends/s3/request.ts';
import {isVersionId, versionIdOf} from '#model/version.ts';

/** For spreading into path options. InvalidArgument for what never was a version id. */
export function versionOption(version: string | undefined): {readonly version?: string} {
  if (version === undefined) return {};
  if (version === '') throw new S3Error('InvalidArgument', 'Version id cannot be the empty string', {ArgumentName: 'versionId', ArgumentValue: ''});
  if (!isVersionId(version)) throw new S3Error('InvalidArgument', 'Invalid version id specified', {ArgumentName: 'versionId', ArgumentValue: version});
  return {version};
}

/** `versionId` of the query; a request without a query costs nothing. */
export function versionOf(request: S3Request): {readonly version?: string} {
  return request.target.query.length === 0 ? noVersion : versionOption(request.query('versionId'));
}

const noVersion = Object.freeze({});
const noHeaders: readonly string[] = Object.freeze([]);

/** Which version an answer is about; nothing where versions are not kept. */
export function versionHeaders(info: FileInfo): readonly string[] {
  return info.versioned || info.inode.version !== undefined ? ['x-amz-version-id', versionIdOf(info.inode)] : noHeaders;
}

/** A delete marker that was named by its id has nothing to show. */
export function refuseMarker(info: FileInfo): void {
  if (!info.deleteMarker) return;
  const headers = ['x-amz-delete-marker', 'true', 'Allow', 'DELETE', 'Last-Modified', httpDate(modifiedOf(info)), ...versionHeaders(info)];
  throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {Method: 'GET', ResourceType: 'DeleteMarker'}, {headers});
}

/** What S3 says of a key or version that is not there: also, that a delete marker hides it. */
export function missingKey(error: unknown, request: S3Request, key: string | undefined): S3Error {
  const fields = key === undefined ? {} : {Key: key};
  if (isKind(error, 'NotFound') && error.details['s3'] === 'NoSuchVersion') {
    return new S3Error('NoSuchVersion', 'The specified version does not exist.', {...fields, VersionId: request.query('versionId') ?? ''}, {cause: error});
  }
  const marker = error instanceof WeirError ? error.details['deleteMarker'] : undefined;
  const headers = marker === undefined ? ['x-amz-delete-marker', 'false'] : ['x-amz-delete-marker', 'true', 'x-amz-version-id', String(marker)];
  return new S3Error('NoSuchKey', 'The specified key does not exist.', fields, {headers, cause: error});
}
