/**
 * Buckets as websites, on a listener of their own. Nobody signs here: a page is shown when everybody may read its object. GET and HEAD,
 * with ranges and conditions, are GetObject's; what is here is which object that is, where requests go instead, and how errors look.
 */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {encodeKey} from '#codec/s3/listing.ts';
import {S3Error, toS3Error} from '#codec/s3/s3-error.ts';
import type {S3Target} from '#codec/s3/target.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {Principal} from '#contracts/context.ts';
import type {IdentityDirectory} from '#contracts/identity-api.ts';
import {BucketRulesCache} from '#frontends/s3/access/bucket-rules.ts';
import {type AccessServices, RequestAccess} from '#frontends/s3/access/request-access.ts';
import {Cors} from '#frontends/s3/bucket-cors.ts';
import {getObject, headObject} from '#frontends/s3/get-object.ts';
import {objectPath, type S3Request, serverHeaders, UnderstoodRequest} from '#frontends/s3/request.ts';
import {errorPage} from '#frontends/s3/website/error-page.ts';
import {PageExchange} from '#frontends/s3/website/page-exchange.ts';
import {type SiteRequest, Sites} from '#frontends/s3/website/sites.ts';
import {type Elsewhere, routed, type Website} from '#model/website.ts';
import type {HttpExchange} from '#runtime/http.ts';
import type {Counter} from '#runtime/metrics.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface WebsiteOptions {
  readonly files: FileSystem;
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'log' | 'metrics'>;
  readonly identity: IdentityDirectory;
}

const everybody: Principal = {name: 'anonymous', uid: 65_534, gids: [], authorized: true};

/** The handler to serve. Never throws for what a client can cause. */
export function websiteHandler(options: WebsiteOptions): (exchange: HttpExchange) => Promise<void> {
  const server = new WebsiteServer(options);
  return (exchange) => server.answer(exchange);
}

/** One request of somebody. */
interface Visit {
  readonly exchange: HttpExchange;
  readonly requestId: string;
}

class WebsiteServer {
  readonly #files: FileSystem;
  readonly #runtime: WebsiteOptions['runtime'];
  readonly #access: AccessServices;
  readonly #sites: Sites;
  readonly #cors: Cors;
  readonly #requests: Counter;
  readonly #failures: Counter;
  readonly #instance: string;
  #counter = 0;

  constructor({files, runtime, identity: directory}: WebsiteOptions) {
    this.#files = files;
    this.#runtime = runtime;
    this.#access = {directory, buckets: new BucketRulesCache(directory), files, nowMs: () => runtime.clock.nowMs()};
    this.#sites = new Sites(files);
    this.#cors = new Cors(files);
    this.#requests = runtime.metrics.counter('weir_website_requests_total', 'Requests to websites.');
    this.#failures = runtime.metrics.counter('weir_website_errors_total', 'Requests to websites that were answered with an error.');
    this.#instance = runtime.random.id().slice(0, 8).toUpperCase();
  }

  async answer(exchange: HttpExchange): Promise<void> {
    this.#requests.add();
    const visit = {exchange, requestId: `${this.#instance}W${(this.#counter++).toString(16).toUpperCase().padStart(7, '0')}`};
    try {
      await this.#visit(visit);
    } catch (error) {
      await this.#refuse(visit, this.#understood(error, visit));
    }
  }

  async #visit(visit: Visit): Promise<void> {
    const {exchange, requestId} = visit;
    const {method} = exchange;
    const site = await this.#sites.find(exchange);
    if (method === 'OPTIONS') return await exchange.respond(200, [...serverHeaders(requestId), ...(await this.#cors.preflight(exchange, targetOf(exchange, site, site.key)))]);
    if (method !== 'GET' && method !== 'HEAD') throw methodNotAllowed(method);
    const {website, key} = site;
    if (!website) throw new S3Error('NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration', {BucketName: toText(site.bucket)});
    if ('redirectAll' in website) return await redirect(visit, site, {status: 301, key: toText(key), ...website.redirectAll});
    const elsewhere = routed(website.rules, toText(key));
    if (elsewhere) return await redirect(visit, site, elsewhere);
    // The site's root without its slash, where sites are told apart by paths.
    if (key === '' && site.base !== '' && !exchange.target.replace(/\?[^]*$/, '').endsWith('/')) return await found(visit, `${site.base}/`);
    const page = key === '' || key.endsWith('/') ? ((key + fromText(website.index)) as ByteString) : key;
    try {
      await this.#show(visit, site, page);
    } catch (error) {
      const failure = this.#explain(error, visit, page);
      if (failure.status < 400 || failure.status >= 500) throw failure;
      await this.#fail(visit, site, page, failure, website);
    }
  }

  async #fail(visit: Visit, site: SiteRequest, page: ByteString, failure: S3Error, {index, error: document, rules}: Pages): Promise<void> {
    const below = `${page}/${fromText(index)}` as ByteString;
    if (page === site.key && missing.has(failure.code) && (await this.#isThere(visit, site, below))) return await found(visit, `${site.base}/${encodeKey(page)}/`);
    const elsewhere = routed(rules, toText(site.key), failure.status);
    if (elsewhere) return await redirect(visit, site, elsewhere);
    if (document === undefined) throw failure;
    const key = fromText(document);
    try {
      await this.#show(visit, site, key, failure.status);
      this.#failures.add();
    } catch (error) {
      await this.#refuse(visit, failure, this.#explain(error, visit, key));
    }
  }

  async #show(visit: Visit, site: SiteRequest, key: ByteString, errorStatus?: number): Promise<void> {
    const {exchange} = visit;
    const crossOrigin = exchange.header('origin') === undefined ? [] : await this.#cors.headersFor(exchange, targetOf(exchange, site, key)).catch(() => []);
    const request = this.#request(visit, site, key, new PageExchange(exchange, site.base, errorStatus), crossOrigin);
    if (!request.access.admitNow('')) await request.access.admit('');
    try {
      await (exchange.method === 'HEAD' ? headObject(request) : getObject(request));
    } catch (error) {
      // Who may not list is not told what is not there.
      throw isMissing(error) && !request.access.mayKnowOf(key) ? new S3Error('AccessDenied', 'Access Denied') : error;
    }
  }

  async #isThere(visit: Visit, site: SiteRequest, key: ByteString): Promise<boolean> {
    const request = this.#request(visit, site, key, visit.exchange, []);
    try {
      await request.access.admit('');
      const {inode} = await this.#files.stat(objectPath(site.bucket, key), {kind: 'file'}, request.context);
      return inode.kind === 'file';
    } catch (error) {
      if (toS3Error(error)) return false;
      throw error;
    }
  }

  #request({requestId}: Visit, site: SiteRequest, key: ByteString, exchange: HttpExchange, crossOrigin: readonly string[]): S3Request {
    const asked = {exchange, target: targetOf(exchange, site, key), identity: {payload: 'unsigned' as const}};
    return new UnderstoodRequest({
      ...asked, principal: everybody, access: new RequestAccess(this.#access, asked), files: this.#files, runtime: this.#runtime, requestId, nowMs: this.#access.nowMs(), cors: crossOrigin,
    });
  }

  /** What is said of a page that cannot be shown. */
  #explain(error: unknown, visit: Visit, key: ByteString): S3Error {
    return isMissing(error) ? new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: toText(key)}) : this.#understood(error, visit);
  }

  #understood(error: unknown, {exchange: {method}, requestId}: Visit): S3Error {
    const known = toS3Error(error);
    if (known) return known;
    this.#runtime.log.error('website: a request failed by a bug', {error, method, requestId});
    return new S3Error('InternalError', 'We encountered an internal error. Please try again.');
  }

  async #refuse({exchange, requestId}: Visit, error: S3Error, custom?: S3Error): Promise<void> {
    this.#failures.add();
    const bytes = Buffer.from(errorPage(error, requestId, custom), 'utf8');
    const told = ['x-amz-error-code', error.code, 'x-amz-error-message', error.message.replaceAll(/[^\x20-\x7e]/g, '?')];
    try {
      await exchange.respond(error.status, [...serverHeaders(requestId), ...told, ...error.headers, 'Content-Type', 'text/html; charset=utf-8'], {kind: 'bytes', length: bytes.length, bytes});
    } catch (failure) {
      // The answer had begun: the connection is broken off already.
      this.#runtime.log.debug('website: an answer broke off', {error: failure, requestId});
    }
  }
}

const methodNotAllowed = (method: string): S3Error =>
  new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {Method: method, ResourceType: 'OBJECT'}, {headers: ['Allow', 'GET, HEAD, OPTIONS']});

type Pages = Extract<Website, {readonly index: string}>;

function targetOf({target}: HttpExchange, {bucket}: SiteRequest, key: ByteString): S3Target {
  return {rawPath: target, query: [], bucket, ...(key === '' ? {} : {key})};
}

async function found({exchange, requestId}: Visit, location: string): Promise<void> {
  await exchange.respond(302, [...serverHeaders(requestId), 'Location', location]);
}

/** To another host: without the prefix that told the site here. */
async function redirect({exchange, requestId}: Visit, {base}: SiteRequest, {status, protocol, hostName, key}: Elsewhere): Promise<void> {
  const path = `${hostName === undefined ? base : ''}/${encodeLocation(key)}`;
  const query = path.includes('?') ? '' : (/\?[\x21-\x7e]*/.exec(exchange.target)?.[0] ?? '');
  const host = hostName ?? exchange.header('host') ?? '';
  const location = `${protocol ?? (exchange.secure ? 'https' : 'http')}://${host}${path}${query}`;
  await exchange.respond(status, [...serverHeaders(requestId), 'Location', location]);
}

const missing: ReadonlySet<string> = new Set(['NoSuchKey', 'AccessDenied']);
const isMissing = (error: unknown): boolean => isKind(error, 'NotFound', 'NotADirectory', 'IsADirectory') || (error instanceof S3Error && error.code === 'NoSuchKey');

/** A replaced key may have a query and a fragment; nothing in it may end the header. */
function encodeLocation(key: string): string {
  return encodeURI(key).replaceAll(/%(25|5B|5D)/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
