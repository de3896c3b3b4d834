/** What every request passes on its way in. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {bucketOfHost} from '#codec/s3/target.ts';
import type {Principal} from '#contracts/context.ts';
import type {Caller} from '#contracts/identity-api.ts';
import type {Counter, Metrics} from '#runtime/metrics.ts';
import type {Random} from '#runtime/random.ts';

const headerBytesMax = 8 * 1024;

/** RequestHeaderSectionTooLarge. The same limit as S3's; of the connection there is a higher one. */
export function checkHeaderBytes(rawHeaders: readonly string[]): void {
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  if (bytes > headerBytesMax) throw new S3Error('RequestHeaderSectionTooLarge', 'Your request header section exceeds the maximum allowed size.', {MaxSizeAllowed: String(headerBytesMax)});
}

export function requestCounter(metrics: Pick<Metrics, 'counter'>): Counter {
  return metrics.counter('weir_s3_requests_total', 'Requests to the S3 front end.');
}

/** The bucket that a host names, remembered from one request to the next: clients stay with the host that they have. */
export function hostReader(baseDomains: readonly string[]): (host: string | undefined) => string | undefined {
  let lastHost: string | undefined;
  let lastBucket: string | undefined;
  return (host) => {
    if (host !== lastHost) [lastHost, lastBucket] = [host, bucketOfHost(host, baseDomains)];
    return lastBucket;
  };
}

const twoDigits = Array.from({length: 256}, (_, number) => number.toString(16).toUpperCase().padStart(2, '0'));

/** Unique within the process's life and across instances, without a random number a request. */
export function requestIds(random: Random): () => string {
  const instance = random.id().slice(0, 8).toUpperCase();
  let before = '';
  let hundreds = 0;
  let next = twoDigits.length;
  return () => {
    if (next === twoDigits.length) {
      before = `${instance}${(hundreds++).toString(16).toUpperCase().padStart(6, '0')}`;
      next = 0;
    }
    return before + twoDigits[next++]!;
  };
}

const anonymous: Principal = {name: 'anonymous', uid: 65_534, gids: [], authorized: true};
const principals = new WeakMap<Caller, Principal>();

/** What the request may was decided by policies: modes are not asked again. */
export function principalOf(caller: Caller | undefined): Principal {
  if (!caller) return anonymous;
  let principal = principals.get(caller);
  if (!principal) principals.set(caller, (principal = {...caller.principal, authorized: true}));
  return principal;
}
