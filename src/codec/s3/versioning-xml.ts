/** Versioning of a bucket as XML, and the parameters of ListObjectVersions. */
import {type ByteString, isUtf8} from '#base/byte-string.ts';
import {isUrlEncoded, keysAPageMax} from '#codec/s3/listing.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {QueryPairs} from '#codec/s3/sigv4.ts';
import {child, malformed, parseXml} from '#codec/s3/xml-read.ts';

/** MalformedXML, IllegalVersioningConfigurationException; NotImplemented for MFA delete. */
export function parseVersioning(xml: Buffer): 'Enabled' | 'Suspended' {
  const root = parseXml(xml, 'VersioningConfiguration');
  const status = child(root, 'Status')?.trim();
  const mfaDelete = child(root, 'MfaDelete')?.trim();
  if (mfaDelete === 'Enabled') throw new S3Error('NotImplemented', 'MFA delete is not implemented.');
  if (mfaDelete !== undefined && mfaDelete !== 'Disabled') throw malformed();
  if (status === undefined) throw new S3Error('IllegalVersioningConfigurationException', 'The Versioning element must be specified');
  if (status !== 'Enabled' && status !== 'Suspended') throw malformed();
  return status;
}

export interface VersionListParameters {
  readonly prefix: ByteString;
  readonly delimiter?: ByteString;
  readonly keyMarker: ByteString;
  readonly versionMarker?: string;
  readonly limit: number;
  readonly urlEncoding: boolean;
}

/** InvalidArgument. */
export function parseVersionList(query: QueryPairs): VersionListParameters {
  const get = (name: string): string | undefined => query.find(([candidate]) => candidate === name)?.[1];
  const bytes = (name: string): ByteString => {
    const value = get(name) ?? '';
    if (!isUtf8(value as ByteString)) throw new S3Error('InvalidArgument', `${name} is not valid UTF-8`, {ArgumentName: name});
    return value as ByteString;
  };
  const urlEncoding = isUrlEncoded(get('encoding-type'));
  const count = get('max-keys') ?? '';
  if (/^-\d/.test(count)) throw new S3Error('InvalidArgument', 'max-keys cannot be negative', {ArgumentName: 'max-keys', ArgumentValue: count});
  if (!/^\d{0,10}$/.test(count) || Number(count) > 0x7fff_ffff) throw new S3Error('InvalidArgument', 'Provided max-keys not an integer or within integer range', {ArgumentName: 'max-keys', ArgumentValue: count});
  const keyMarker = bytes('key-marker');
  const versionMarker = get('version-id-marker');
  if (versionMarker === '') throw new S3Error('InvalidArgument', 'A version-id marker cannot be empty.', {ArgumentName: 'version-id-marker'});
  if (versionMarker !== undefined && keyMarker === '') {
    throw new S3Error('InvalidArgument', 'A version-id marker cannot be specified without a key marker.', {ArgumentName: 'version-id-marker', ArgumentValue: versionMarker});
  }
  const delimiter = bytes('delimiter');
  return {
    prefix: bytes('prefix'), keyMarker, limit: count === '' ? keysAPageMax : Math.min(keysAPageMax, Number(count)), urlEncoding,
    ...(delimiter === '' ? {} : {delimiter}), ...(versionMarker === undefined ? {} : {versionMarker}),
  };
}
