/** What the audit log is told of requests: those that change something, and those that were denied. */
import {toText} from '#base/byte-string.ts';
import type {S3Error} from '#codec/s3/s3-error.ts';
import type {S3Target} from '#codec/s3/target.ts';
import type {Caller} from '#contracts/identity-api.ts';
import type {HttpExchange} from '#runtime/http.ts';

/** One line of the audit log; values are plain data without secrets. */
export type RecordAudit = (entry: Readonly<Record<string, unknown>>) => void;

export interface AuditedRequest {
  readonly exchange: HttpExchange;
  readonly target: S3Target | undefined;
  /** Undefined: nobody in particular, or somebody whose signature was wrong. */
  readonly caller: Caller | undefined;
  readonly requestId: string;
  readonly error?: S3Error | undefined;
}

const reading: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function audited({exchange, target, caller, requestId, error}: AuditedRequest, record: RecordAudit): void {
  const denied = error?.status === 403;
  if (reading.has(exchange.method) && !denied) return;
  const {bucket, key, query = []} = target ?? {};
  // Names of sub-resources and versions; never what a presigned URL is signed with.
  const asked = query.filter(([name]) => !/^(x-amz-|awsaccesskeyid|signature|expires)/i.test(name)).map(([name, value]) => (value === '' ? name : `${name}=${toText(value as Parameters<typeof toText>[0])}`));
  record({
    door: 's3', request: requestId, user: caller?.principal.name ?? 'anonymous', ...(caller ? {arn: caller.arn} : {}), ...(caller?.session ? {session: caller.session.name} : {}),
    from: exchange.remote.host, method: exchange.method, ...(bucket === undefined ? {} : {bucket: toText(bucket)}), ...(key === undefined ? {} : {key: toText(key)}),
    ...(asked.length > 0 ? {query: asked.join('&').slice(0, 1000)} : {}), result: denied ? 'denied' : error ? 'failed' : 'done', ...(error ? {code: error.code} : {}),
  });
}
