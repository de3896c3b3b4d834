/** The S3 front end: takes an exchange, understands it, checks who asks, lets one operation answer, and says what went wrong as S3 does. */
import {toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {accessDenied, S3Error, toS3Error} from '#codec/s3/s3-error.ts';
import {parseTarget, type S3Target} from '#codec/s3/target.ts';
import {element, escapeXml, xmlDocument} from '#codec/s3/xml-write.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {IdentityDirectory} from '#contracts/identity-api.ts';
import {BucketRulesCache} from '#frontends/s3/access/bucket-rules.ts';
import {refuseAnonymous} from '#frontends/s3/access/anonymous.ts';
import {type AccessServices, RequestAccess} from '#frontends/s3/access/request-access.ts';
import {audited, type AuditedRequest, type RecordAudit} from '#frontends/s3/audit.ts';
import {Authenticator} from '#frontends/s3/authenticate.ts';
import {findBucket} from '#frontends/s3/bucket.ts';
import {Cors} from '#frontends/s3/bucket-cors.ts';
import {copyObject} from '#frontends/s3/copy-object.ts';
import {checkHeaderBytes, hostReader, principalOf, requestCounter, requestIds} from '#frontends/s3/entry.ts';
import {isPostedForm, type PostedForm, postObject, putOfForm, readForm} from '#frontends/s3/post-object.ts';
import {noSuchBucket, type S3Request, serverHeaders, UnderstoodRequest} from '#frontends/s3/request.ts';
import {operationOf, subResourceOf} from '#frontends/s3/routes.ts';
import {answerSts, isStsRequest} from '#frontends/s3/sts.ts';
import {missingKey} from '#frontends/s3/versions.ts';
import type {HttpExchange} from '#runtime/http.ts';
import type {Metrics} from '#runtime/metrics.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface S3Options {
  readonly files: FileSystem;
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'log' | 'digestsElsewhere'> & {readonly metrics: Pick<Metrics, 'counter'>};
  /** Host names below which buckets are sub-domains (`bucket.localhost`). Hosts that are none of these are path style. */
  readonly baseDomains: readonly string[];
  readonly identity: IdentityDirectory;
  /** Told of requests that change something or were denied. */
  readonly audit?: RecordAudit;
}

const missing: ReadonlySet<string | undefined> = new Set(['NoSuchKey', 'NoSuchVersion']);
const none: readonly string[] = [];

/** The handler to serve. Never throws for what a client can cause. */
export function s3Handler(options: S3Options): (exchange: HttpExchange) => Promise<void> {
  const {runtime, files, baseDomains} = options;
  const cors = new Cors(files);
  const authenticator = new Authenticator(options.identity);
  const access: AccessServices = {directory: options.identity, buckets: new BucketRulesCache(options.identity), files, nowMs: () => runtime.clock.nowMs()};
  const sts = {authenticator, directory: options.identity, nowMs: access.nowMs};
  const {audit: record} = options;
  const audit = record && ((request: AuditedRequest) => audited(request, record));
  const accessOf = (asked: Pick<S3Request, 'exchange' | 'target' | 'identity'>) => new RequestAccess(access, asked);
  const requests = requestCounter(runtime.metrics);
  const failures = runtime.metrics.counter('weir_s3_errors_total', 'Requests to the S3 front end that were answered with an error.');
  const nextId = requestIds(runtime.random);
  const bucketOf = hostReader(baseDomains);

  return async (exchange) => {
    requests.add();
    const requestId = nextId();
    let request: S3Request | undefined;
    let target: S3Target | undefined;
    let crossOrigin = none;
    try {
      checkHeaderBytes(exchange.rawHeaders);
      target = parseTarget(exchange.target, bucketOf(exchange.header('host')));
      if (exchange.method === 'OPTIONS') {
        await exchange.respond(200, [...serverHeaders(requestId), ...(await cors.preflight(exchange, target))]);
        return;
      }
      // Where rules cannot be had, no rule allows anything: the operation itself says what is wrong.
      if (exchange.header('origin') !== undefined) crossOrigin = await cors.headersFor(exchange, target).catch(() => none);
      if (isStsRequest(exchange, target)) {
        audit?.({exchange, target, requestId, caller: undefined, ...(await answerSts(exchange, target, requestId, sts))});
        return;
      }
      const form = isPostedForm(exchange, target) ? await readForm(exchange) : undefined;
      request = understand(exchange, target, requestId, crossOrigin, form);
      if (form) {
        request = putOfForm(request, form, accessOf);
        await request.access.admit('');
        await postObject(request, form);
        audit?.({exchange, target: request.target, caller: request.identity.caller, requestId});
        return;
      }
      const subResource = subResourceOf(target, exchange.method);
      const operation = operationOf(request, subResource);
      if (!request.identity.caller && target.bucket !== undefined) {
        refuseAnonymous(target.key === undefined ? 'bucket' : 'object', exchange.method, subResource, operation === copyObject);
      }
      if (!request.access.admitNow(subResource)) await request.access.admit(subResource);
      await operation(request);
      audit?.({exchange, target, caller: request.identity.caller, requestId});
    } catch (error) {
      failures.add();
      const explained = await explainMissing(error, request);
      audit?.({exchange, target: request?.target ?? target, caller: request?.identity.caller, requestId, error: toS3Error(explained)});
      await refuse(exchange, explained, target, requestId, crossOrigin);
    }
  };

  function understand(exchange: HttpExchange, target: S3Target, requestId: string, crossOrigin: readonly string[], form: PostedForm | undefined): S3Request {
    const nowMs = runtime.clock.nowMs();
    const identity = form ? authenticator.authenticateForm((name) => form.fields.get(name), nowMs) : authenticator.authenticate(exchange, target, nowMs);
    const requestAccess = accessOf({exchange, target, identity});
    return new UnderstoodRequest({exchange, target, identity, principal: principalOf(identity.caller), access: requestAccess, files, runtime, requestId, nowMs, cors: crossOrigin});
  }

  /** A key that is not found may be so because its bucket is not there. What is said instead of an error of ours has that as its cause, and leaves it in the log. */
  async function explainMissing(error: unknown, request: S3Request | undefined): Promise<unknown> {
    if (!request || !(isKind(error, 'NotADirectory') || missing.has(toS3Error(error)?.code))) return error;
    const {requestId, exchange: {method}} = request;
    const {bucket, key} = request.target;
    if (bucket === undefined) return error;
    const there = await findBucket(request, bucket).catch((failure: unknown) => {
      runtime.log.debug('s3: whether the bucket is there could not be found out', {error: failure, requestId});
      return true;
    });
    if (!(error instanceof S3Error)) {
      // Readers ask for what is not there all day long; that a change finds something missing is worth a line.
      if (method === 'GET' || method === 'HEAD') runtime.log.debug('s3: not found', {error, method, requestId});
      else runtime.log.info('s3: not found', {error, method, requestId});
    }
    if (!there) return noSuchBucket(bucket);
    if (key !== undefined && !request.access.mayKnowOf(key)) return accessDenied();
    if (error instanceof S3Error) return error;
    return missingKey(error, request, key === undefined ? undefined : toText(key));
  }

  async function refuse(exchange: HttpExchange, error: unknown, target: S3Target | undefined, requestId: string, crossOrigin: readonly string[]): Promise<void> {
    let known = toS3Error(error);
    if (!known) {
      runtime.log.error('s3: a request failed by a bug', {error, method: exchange.method, requestId});
      known = new S3Error('InternalError', 'We encountered an internal error. Please try again.');
    } else if (known.status >= 500 && known.code !== 'NotImplemented') runtime.log.warn('s3: a request failed', {error, method: exchange.method, requestId});
    const fields = Object.entries(known.fields).map(([name, value]) => element(name, value)).join('');
    const resource = target ? escapeXml(toText(target.rawPath as Parameters<typeof toText>[0])) : '';
    const inner = `${element('Code', known.code)}${element('Message', known.message)}${fields}<Resource>${resource}</Resource>${element('RequestId', requestId)}${element('HostId', requestId)}`;
    const document = xmlDocument('Error', inner);
    const headers = [...serverHeaders(requestId), ...crossOrigin, 'Content-Type', 'application/xml', ...known.headers];
    if (known.code === 'InvalidRange' && known.fields['ActualObjectSize'] !== undefined) headers.push('Content-Range', `bytes */${known.fields['ActualObjectSize']}`);
    const bytes = Buffer.from(document, 'utf8');
    try {
      await exchange.respond(known.status, headers, {kind: 'bytes', length: bytes.length, bytes});
    } catch (failure) {
      // The answer had begun: the connection is broken off already, and nothing more can be said on it.
      runtime.log.debug('s3: an answer broke off', {error: failure, requestId});
    }
  }
}
