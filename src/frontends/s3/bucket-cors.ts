/** CORS of a bucket: its configuration, preflight requests, and the headers that answers to other origins carry. */
import type {ByteString} from '#base/byte-string.ts';
import {LRUCache} from 'lru-cache';
import {isKind} from '#base/errors.ts';
import {corsHeaders, corsXml, type CorsRule, parseCors, requestedHeaders, requestedMethod} from '#codec/s3/cors.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {S3Target} from '#codec/s3/target.ts';
import type {FileSystem} from '#client/file-system.ts';
import {type CallContext, rootPrincipal} from '#contracts/context.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, noSuchBucket, type Operation, xml} from '#frontends/s3/request.ts';
import type {HttpExchange} from '#runtime/http.ts';

const setting = 'cors';
/** Buckets whose rules are kept read. */
const bucketsKeptMax = 1000;

export const putBucketCors: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const rules = parseCors(await documentOf(request));
  await request.files.setSetting(bucketPath(bucket), setting, JSON.stringify(rules), request.context);
  await answer(request, 200);
};

export const getBucketCors: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const {settings} = await request.files.getSettings(bucketPath(bucket), request.context);
  const text = settings[setting];
  if (text === undefined) throw new S3Error('NoSuchCORSConfiguration', 'The CORS configuration does not exist');
  await xml(request, corsXml(JSON.parse(text) as CorsRule[]));
};

export const deleteBucketCors: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  await request.files.setSetting(bucketPath(bucket), setting, null, request.context);
  await answer(request, 204);
};

export class Cors {
  readonly #files: FileSystem;
  readonly #kept = new LRUCache<number, {readonly revision: number; readonly rules: readonly CorsRule[] | undefined}>({max: bucketsKeptMax});

  constructor(files: FileSystem) {
    this.#files = files;
  }

  /** What an answer to a request from another origin carries beside its own headers; nothing where no rule allows it. */
  async headersFor(exchange: HttpExchange, target: S3Target): Promise<readonly string[]> {
    const origin = exchange.header('origin');
    if (origin === undefined || target.bucket === undefined) return [];
    const rules = await this.#rulesOf(target.bucket, exchange.signal);
    if (!rules) return [];
    const method = exchange.header('access-control-request-method') ?? exchange.method;
    return corsHeaders(rules, origin, method, requestedHeaders(exchange.header('access-control-request-headers'))) ?? [];
  }

  /** Headers of the answer to an OPTIONS request, which nobody signs. NoSuchBucket, BadRequest, AccessForbidden. */
  async preflight(exchange: HttpExchange, target: S3Target): Promise<readonly string[]> {
    const origin = exchange.header('origin');
    if (!origin) throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.');
    const method = requestedMethod(exchange.header('access-control-request-method'));
    const headers = requestedHeaders(exchange.header('access-control-request-headers'));
    const rules = target.bucket === undefined ? undefined : await this.#rulesOf(target.bucket, exchange.signal);
    if (!rules) throw new S3Error('AccessForbidden', 'CORSResponse: CORS is not enabled for this bucket.', {Method: method, ResourceType: 'BUCKET'});
    const allowed = corsHeaders(rules, origin, method, headers);
    if (allowed) return allowed;
    const message =
      'CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / ' +
      "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
    throw new S3Error('AccessForbidden', message, {Method: method, ResourceType: target.key === undefined ? 'BUCKET' : 'OBJECT'});
  }

  async #rulesOf(bucket: ByteString, signal: AbortSignal): Promise<readonly CorsRule[] | undefined> {
    // The rules protect who asks, not the bucket: they are read for everybody.
    const context: CallContext = {principal: rootPrincipal, signal};
    let info;
    try {
      info = await this.#files.stat(bucketPath(bucket), {kind: 'directory'}, context);
    } catch (error) {
      throw isKind(error, 'NotFound', 'NotADirectory') ? noSuchBucket(bucket) : error;
    }
    const {id, settings: revision} = info.inode;
    if (revision === undefined) return undefined;
    const kept = this.#kept.get(id);
    if (kept?.revision === revision) return kept.rules;
    const read = await this.#files.getSettings(info.path, context);
    const text = read.settings[setting];
    const rules = text === undefined ? undefined : (JSON.parse(text) as CorsRule[]);
    this.#kept.set(id, {revision: read.revision, rules});
    return rules;
  }
}
