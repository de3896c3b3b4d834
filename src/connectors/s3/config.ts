/** From a URI and options (and the standard AWS variables) to where the bucket is and how it is spoken to. */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {GiB, MiB, formatSize, parseSize} from '#base/units.ts';
import {caFileHelp} from '#understore/trusting.ts';
import type {Connector} from '#understore/under-store.ts';

export const options: Connector['options'] = {
  endpoint: {help: 'URL of the S3 service, for example http://127.0.0.1:9000 (default: $AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL, else AWS in the region)'},
  region: {help: 'region of the bucket (default: $AWS_REGION, $AWS_DEFAULT_REGION, the profile\'s, else us-east-1)'},
  style: {help: 'path (endpoint/bucket/key), virtual (bucket.endpoint/key) or auto: virtual on AWS, else path (default auto)'},
  accessKeyId: {help: 'access key (default: the standard AWS chain: environment, profile files, container and instance roles)', secret: true},
  secretAccessKey: {help: 'secret of the access key', secret: true},
  sessionToken: {help: 'session token of temporary credentials', secret: true},
  profile: {help: 'name of a profile in the AWS configuration files (default: $AWS_PROFILE)'},
  anonymous: {help: 'true: send no signature, for public buckets'},
  caFile: {help: `${caFileHelp} (default: $AWS_CA_BUNDLE)`},
  requestPayer: {help: 'true: accept the cost of requests to requester-pays buckets'},
  conditionalWrites: {help: 'true or false: whether the store honours If-Match and If-None-Match on writes (default: true on AWS only; other stores may ignore them silently)'},
  partSize: {help: 'bytes of a part when writing in parts (default 8MiB; grows for objects that would need over 10 000)'},
};

export interface S3Config {
  /** With scheme, host and port; no path. */
  readonly endpoint: URL;
  readonly aws: boolean;
  readonly bucket: string;
  /** Empty, or ends in `/`. */
  readonly prefix: ByteString;
  readonly region: string | undefined;
  readonly virtualHost: boolean;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly sessionToken: string | undefined;
  readonly profile: string | undefined;
  readonly anonymous: boolean;
  readonly caFile: string | undefined;
  readonly requestPayer: boolean;
  readonly conditionalWrites: boolean;
  readonly partBytes: number;
}

export const partBytesMin = 5 * MiB;
export const partBytesMax = 5 * GiB;

/** Throws InvalidArgument. Without `variables` only what the options say counts. */
export function readConfig(uri: string, given: Readonly<Record<string, string>>, variables: Readonly<Record<string, string | undefined>> = {}): S3Config {
  const match = /^s3a?:\/\/([^/?#]+)(?:\/(.*))?$/is.exec(uri);
  const bucket = match?.[1];
  if (!bucket || !/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket)) throw new WeirError('InvalidArgument', `a bucket is written s3://bucket or s3://bucket/prefix: ${JSON.stringify(uri)}`);
  const path = (match[2] ?? '').replace(/\/+$/, '');
  const region = given['region'] ?? variables['AWS_REGION'] ?? variables['AWS_DEFAULT_REGION'];
  const url = given['endpoint'] ?? variables['AWS_ENDPOINT_URL_S3'] ?? variables['AWS_ENDPOINT_URL'];
  const endpoint = endpointOf(url ?? `https://s3.${region ?? 'us-east-1'}.amazonaws.com`);
  const aws = /(^|\.)amazonaws\.com(\.cn)?$/.test(endpoint.hostname);
  const style = given['style'] ?? 'auto';
  if (!['auto', 'path', 'virtual'].includes(style)) throw new WeirError('InvalidArgument', `style is path, virtual or auto, not ${JSON.stringify(style)}`);
  // A dot in a bucket's name does not fit the wildcard certificate of the service.
  const virtualHost = style === 'virtual' || (style === 'auto' && aws && !bucket.includes('.'));
  const partBytes = given['partSize'] === undefined ? 8 * MiB : parseSize(given['partSize']);
  if (partBytes < partBytesMin || partBytes > GiB) throw new WeirError('InvalidArgument', `partSize is from ${formatSize(partBytesMin)} to ${formatSize(GiB)}`);
  const anonymous = flag(given, 'anonymous', false);
  const keys = [given['accessKeyId'], given['secretAccessKey']].filter(value => value !== undefined && value !== '');
  if (keys.length === 1) throw new WeirError('InvalidArgument', 'accessKeyId and secretAccessKey belong together');
  if (anonymous && keys.length > 0) throw new WeirError('InvalidArgument', 'anonymous access takes no accessKeyId');
  return {
    endpoint, aws, bucket,
    prefix: (path === '' ? '' : `${fromText(path)}/`) as ByteString,
    region, virtualHost,
    accessKeyId: given['accessKeyId'], secretAccessKey: given['secretAccessKey'], sessionToken: given['sessionToken'], profile: given['profile'],
    anonymous,
    caFile: given['caFile'] || variables['AWS_CA_BUNDLE'] || undefined,
    requestPayer: flag(given, 'requestPayer', false),
    conditionalWrites: flag(given, 'conditionalWrites', aws),
    partBytes,
  };
}

/** Names the place without options: two mounts with one place show the same objects. */
export function placeOf(config: S3Config): string {
  return `s3://${config.aws ? 'aws' : config.endpoint.host}/${config.bucket}/${toText(config.prefix)}`;
}

function endpointOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new WeirError('InvalidArgument', `endpoint is a URL such as http://127.0.0.1:9000, not ${JSON.stringify(text)}`);
  if (url.username !== '' || url.password !== '' || url.search !== '' || !/^\/*$/.test(url.pathname)) throw new WeirError('InvalidArgument', 'endpoint is scheme, host and port only');
  return url;
}

function flag(given: Readonly<Record<string, string>>, name: string, fallback: boolean): boolean {
  const text = given[name];
  if (text === undefined) return fallback;
  if (text !== 'true' && text !== 'false') throw new WeirError('InvalidArgument', `${name} is true or false, not ${JSON.stringify(text)}`);
  return text === 'true';
}
