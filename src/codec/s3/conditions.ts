/** Conditional requests (RFC 9110, 13) as S3 evaluates them. */
import type {Precondition} from '#contracts/writing.ts';
import {parseHttpDate} from '#codec/s3/http-date.ts';
import {S3Error} from '#codec/s3/s3-error.ts';

type Header = (name: string) => string | undefined;

export interface Conditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  /** Milliseconds. */
  readonly ifModifiedSince?: number;
  readonly ifUnmodifiedSince?: number;
}

/** Reads them; `prefix` is `x-amz-copy-source-` for a copy's source. Undefined when there are none. */
export function parseConditions(header: Header, prefix = ''): Conditions | undefined {
  const ifMatch = header(`${prefix}if-match`);
  const ifNoneMatch = header(`${prefix}if-none-match`);
  const ifModifiedSince = parseHttpDate(header(`${prefix}if-modified-since`));
  const ifUnmodifiedSince = parseHttpDate(header(`${prefix}if-unmodified-since`));
  if (ifMatch === undefined && ifNoneMatch === undefined && ifModifiedSince === undefined && ifUnmodifiedSince === undefined) return undefined;
  return {
    ...(ifMatch === undefined ? {} : {ifMatch}),
    ...(ifNoneMatch === undefined ? {} : {ifNoneMatch}),
    ...(ifModifiedSince === undefined ? {} : {ifModifiedSince}),
    ...(ifUnmodifiedSince === undefined ? {} : {ifUnmodifiedSince}),
  };
}

/** Whether a list of ETags (quoted or bare, weak or not, `*`) names this one. */
export function etagMatches(list: string, etag: string): boolean {
  return list.split(',').some((item) => {
    const text = item.trim().replace(/^W\//, '');
    return text === '*' || text === etag || text === `"${etag}"`;
  });
}

/** What a reader gets: If-Match beats If-Unmodified-Since, If-None-Match beats If-Modified-Since. `modifiedMs` in whole seconds. */
export function judge(conditions: Conditions, etag: string, modifiedMs: number): 'pass' | 'failed' | 'not-modified' {
  const {ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince} = conditions;
  if (ifMatch !== undefined) {
    if (!etagMatches(ifMatch, etag)) return 'failed';
  } else if (ifUnmodifiedSince !== undefined && modifiedMs > ifUnmodifiedSince) return 'failed';
  if (ifNoneMatch !== undefined) {
    if (etagMatches(ifNoneMatch, etag)) return 'not-modified';
  } else if (ifModifiedSince !== undefined && modifiedMs <= ifModifiedSince) return 'not-modified';
  return 'pass';
}

/** What a deletion demands of what is there: by headers, or by the elements of a list of deletions. ETag bare or quoted. InvalidArgument. */
export function deletePrecondition(etag: string | undefined, size: string | undefined, modified: string | undefined): Precondition | undefined {
  if (etag === undefined && size === undefined && modified === undefined) return undefined;
  const ms = modified === undefined ? undefined : Date.parse(modified);
  if (ms !== undefined && Number.isNaN(ms)) throw new S3Error('InvalidArgument', 'The last modified time is not a date', {ArgumentName: 'x-amz-if-match-last-modified-time', ArgumentValue: modified!.slice(0, 100)});
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw new S3Error('InvalidArgument', 'The size is not a number', {ArgumentName: 'x-amz-if-match-size', ArgumentValue: size.slice(0, 100)});
  return {
    ...(etag === undefined ? {} : {ifMatch: bare(etag)}),
    ...(size === undefined ? {} : {ifLength: Number(size)}),
    ...(ms === undefined ? {} : {ifModifiedAt: Math.floor(ms / 1000)}),
  };
}

const bare = (text: string): string => text.trim().replace(/^W\//, '').replace(/^"|"$/g, '');

/**
 * If-Match and If-None-Match of a write, for the transaction that publishes it. Bare ETags. NotImplemented, as in S3, for
 * If-None-Match with anything but `*`, and for both.
 */
export function writePrecondition(header: Header): Precondition | undefined {
  const ifMatch = header('if-match');
  const ifNoneMatch = header('if-none-match');
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  if (ifNoneMatch !== undefined && (ifMatch !== undefined || ifNoneMatch.trim() !== '*')) {
    throw new S3Error('NotImplemented', 'A header you provided implies functionality that is not implemented.', {Header: 'If-None-Match'});
  }
  return {...(ifMatch === undefined ? {} : {ifMatch: bare(ifMatch)}), ...(ifNoneMatch === undefined ? {} : {ifNoneMatch: bare(ifNoneMatch)})};
}
