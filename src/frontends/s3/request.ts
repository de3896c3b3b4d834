/** One S3 request, understood and authenticated, and the answers that operations give. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {S3Target} from '#codec/s3/target.ts';
import type {FileSystem, FoundAhead} from '#client/file-system.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Access} from '#frontends/s3/access/access.ts';
import type {Identity} from '#frontends/s3/authenticate.ts';
import type {HttpExchange} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface S3Request {
  readonly exchange: HttpExchange;
  readonly target: S3Target;
  readonly identity: Identity;
  readonly principal: Principal;
  readonly files: FileSystem;
  readonly context: CallContext;
  readonly access: Access;
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'digestsElsewhere'>;
  /** What was found of the read before it was admitted; undefined: nothing was looked for. */
  ahead: FoundAhead | undefined;
  readonly requestId: string;
  /** Wall ms at which the request was understood. */
  readonly nowMs: number;
  /** What an answer to another origin carries beside its own headers. */
  readonly cors: readonly string[];
  /** A query parameter, decoded bytes; undefined when it was not sent. */
  query(name: string): string | undefined;
  /** The value of a header by lower-case name, also where it was hoisted into the query. */
  header(name: string): string | undefined;
}

type Understood = Pick<S3Request, 'exchange' | 'target' | 'identity' | 'principal' | 'access' | 'files' | 'runtime' | 'requestId' | 'nowMs' | 'cors'>;

export class UnderstoodRequest implements S3Request {
  readonly exchange: HttpExchange;
  readonly target: S3Target;
  readonly identity: Identity;
  readonly principal: Principal;
  readonly access: Access;
  readonly files: FileSystem;
  readonly runtime: S3Request['runtime'];
  readonly requestId: string;
  readonly nowMs: number;
  readonly cors: readonly string[];
  ahead: FoundAhead | undefined;
  #context: CallContext | undefined;

  constructor({exchange, target, identity, principal, access, files, runtime, requestId, nowMs, cors}: Understood) {
    this.exchange = exchange;
    this.target = target;
    this.identity = identity;
    this.principal = principal;
    this.access = access;
    this.files = files;
    this.runtime = runtime;
    this.requestId = requestId;
    this.nowMs = nowMs;
    this.cors = cors;
  }

  /** Made when it is first needed: what is answered on the spot cannot be aborted. */
  get context(): CallContext {
    return (this.#context ??= {principal: this.principal, signal: this.exchange.signal, trace: this.requestId, remote: this.exchange.remote.host});
  }

  query(name: string): string | undefined {
    return this.target.query.find(([candidate]) => candidate === name)?.[1];
  }

  header(name: string): string | undefined {
    return headerOf(this, name);
  }
}

const hoistable = /^x-amz-(?!server-side-encryption-customer-|copy-source-server-side-encryption-)/;

/**
 * What a header says. Who presigns a URL puts those of S3 into its query ("hoists" them), where they mean the same; but for keys of clients, which
 * are never part of a URL.
 */
export function headerOf({exchange, target: {query}}: Pick<S3Request, 'exchange' | 'target'>, name: string): string | undefined {
  const value = exchange.header(name);
  if (value !== undefined || query.length === 0 || !hoistable.test(name)) return value;
  return query.find(([candidate]) => candidate === name)?.[1];
}

/** An operation answers on the exchange through `answer`, `xml` or the exchange itself. */
export type Operation = (request: S3Request) => Promise<void>;

export const serverHeaders = (requestId: string): string[] => ['x-amz-request-id', requestId, 'x-amz-id-2', requestId, 'Server', 'Weir'];

export function answer(request: S3Request, status: number, headers: readonly string[] = [], body?: Parameters<HttpExchange['respond']>[2]): Promise<void> {
  return request.exchange.respond(status, [...serverHeaders(request.requestId), ...request.cors, ...headers], body);
}

export function xml(request: S3Request, document: string | Uint8Array, headers: readonly string[] = []): Promise<void> {
  const bytes = typeof document === 'string' ? Buffer.from(document, 'utf8') : document;
  return answer(request, 200, ['Content-Type', 'application/xml', ...headers], {kind: 'bytes', length: bytes.length, bytes});
}

export function bucketOf(request: S3Request): ByteString {
  const {bucket} = request.target;
  if (bucket === undefined) throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.');
  return bucket;
}

export function keyOf(request: S3Request): ByteString {
  const {key} = request.target;
  if (key === undefined) throw new S3Error('InvalidRequest', 'A key must be specified.');
  return key;
}

/** `/bucket/key` of the namespace. A key that ends in `/` is the marker of that directory. */
export function objectPath(bucket: ByteString, key: ByteString): ByteString {
  return `/${bucket}/${key}` as ByteString;
}

export function bucketPath(bucket: ByteString): ByteString {
  return `/${bucket}/` as ByteString;
}

export function noSuchBucket(bucket: ByteString): S3Error {
  return new S3Error('NoSuchBucket', 'The specified bucket does not exist.', {BucketName: toText(bucket)});
}

/** Of an object that S3 shows; what was never given an ETag has one that cannot be taken for an MD5. */
export function etagOf(info: FileInfo): string {
  return info.inode.content?.etag || `${info.inode.id.toString(16)}-${info.inode.mtime.toString(16)}`;
}

/** When this version became visible, in ns. */
export function modifiedOf(info: FileInfo): bigint {
  return info.inode.content?.committedAt ?? info.inode.mtime;
}

/** S3 shows a directory as an object only where it has a marker, or was made by somebody and is empty. */
export function isShown(info: FileInfo): boolean {
  return info.inode.kind !== 'directory' || info.inode.content !== undefined || info.inode.implied !== true;
}
