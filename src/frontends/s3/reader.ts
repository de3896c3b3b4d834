/**
 * The S3 front end of a thread that has neither master nor worker: answers plain GETs and HEADs of objects that are known and cached, by callers who
 * sign and may, from one question to the thread that has them. Whatever else is asked, or goes wrong, it leaves untouched for the whole front end
 * (server.ts), so there is one place where anything is refused, explained, changed or written down.
 */
import {parseTarget} from '#codec/s3/target.ts';
import {discard} from '#client/opened-file.ts';
import {BucketRulesCache} from '#frontends/s3/access/bucket-rules.ts';
import {type AccessServices, RequestAccess} from '#frontends/s3/access/request-access.ts';
import {Authenticator} from '#frontends/s3/authenticate.ts';
import {checkHeaderBytes, hostReader, principalOf, requestCounter, requestIds} from '#frontends/s3/entry.ts';
import {findAhead, getObject, headObject} from '#frontends/s3/get-object.ts';
import {type S3Request, UnderstoodRequest} from '#frontends/s3/request.ts';
import type {S3Options} from '#frontends/s3/server.ts';
import type {HttpExchange} from '#runtime/http.ts';

const none: readonly string[] = [];

/** False: nothing was answered, and the exchange is as it was. */
export function s3Reader({files, runtime, baseDomains, identity: directory}: Omit<S3Options, 'audit'>): (exchange: HttpExchange) => Promise<boolean> {
  const authenticator = new Authenticator(directory);
  const access: AccessServices = {directory, buckets: new BucketRulesCache(directory), files, nowMs: () => runtime.clock.nowMs()};
  const requests = requestCounter(runtime.metrics);
  const nextId = requestIds(runtime.random);
  const bucketOf = hostReader(baseDomains);

  return async (exchange) => {
    const {method} = exchange;
    if ((method !== 'GET' && method !== 'HEAD') || exchange.header('origin') !== undefined) return false;
    let request: S3Request | undefined;
    try {
      request = understand(exchange);
      const looking = request.identity.caller && findAhead(request);
      if (!looking) return false;
      const found = (request.ahead = await looking);
      if (!(found.opened ?? found.info) || !found.bucket) return false;
      if (!request.access.admitNow('', found.bucket)) await request.access.admit('');
      await (method === 'GET' ? getObject : headObject)(request);
      requests.add();
      return true;
    } catch {
      // Before its first bytes an answer may be given again; afterwards the connection is broken off, and nobody is left to answer.
      return false;
    } finally {
      if (request?.ahead?.opened) discard(request.ahead.opened.body);
    }
  };

  function understand(exchange: HttpExchange): S3Request {
    checkHeaderBytes(exchange.rawHeaders);
    const target = parseTarget(exchange.target, bucketOf(exchange.header('host')));
    const nowMs = runtime.clock.nowMs();
    const identity = authenticator.authenticate(exchange, target, nowMs);
    const asked = {exchange, target, identity};
    return new UnderstoodRequest({...asked, principal: principalOf(identity.caller), access: new RequestAccess(access, asked), files, runtime, requestId: nextId(), nowMs, cors: none});
  }
}
