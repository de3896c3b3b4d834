/** Conditional requests (RFC 9110, 13) as S3 evaluates them. */
import type {Precondition} from '#contracts/master-api.ts';
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

/**
 * If-Match and If-None-Match of a write, for the transaction that publishes it. Bare ETags. NotImplemented, as in S3, for
 * If-None-Match with anything but `*`, and for both.
 */
export function writePrecondition(header: Header): Precondition | undefined {
  const bare = (text: string) => text.trim().replace(/^W\//, '').replace(/^"|"$/g, '');
  const ifMatch = header('if-match');
  const ifNoneMatch = header('if-none-match');
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  if (ifNoneMatch !== undefined && (ifMatch !== undefined || ifNoneMatch.trim() !== '*')) {
    throw new S3Error('NotImplemented', 'A header you provided implies functionality that is not implemented.', {Header: 'If-None-Match'});
  }
  return {...(ifMatch === undefined ? {} : {ifMatch: bare(ifMatch)}), ...(ifNoneMatch === undefined ? {} : {ifNoneMatch: bare(ifNoneMatch)})};
}
