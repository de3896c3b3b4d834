/**
 * HTTP as the front ends see it: narrow, raw, and replaceable. Nothing is decoded, merged or normalised, because S3
 * signatures cover what was really sent.
 */
import type {Body} from '#contracts/worker-api.ts';
import type {Address, Listener} from '#runtime/net.ts';

export interface HttpRequestBody extends AsyncIterable<Uint8Array> {
  /** Trailer lines in the order sent, [name, value, name, value …]; complete when the iteration has ended. */
  readonly trailers: readonly string[];
  /** All of it, where it has come already and nothing was read of it: then it is read. */
  whole?(): Uint8Array | undefined;
  /** Whoever reads it is done with each piece when it asks for the next: then their memory is used again. */
  lend?(): void;
}

/** One request and the chance to answer it once. */
export interface HttpExchange {
  readonly method: string;
  /** Request target exactly as sent (`/a%2Fb?x`), one latin-1 character per byte. */
  readonly target: string;
  /** [name, value, name, value …] exactly as sent, values as latin-1. */
  readonly rawHeaders: readonly string[];
  /** The value of a header by lower-case name; undefined when absent. Where it was sent more than once: the values joined by `, `. */
  header(name: string): string | undefined;
  readonly body: HttpRequestBody;
  /** Aborted when the connection ends before the client has its answer. Who only closes his half still waits for it. */
  readonly signal: AbortSignal;
  readonly remote: Address;
  readonly secure: boolean;
  /** Of TLS, `1.3`. */
  readonly tlsVersion?: string | undefined;
  /** True while the client still waits for `100 Continue`; the first read of the body sends it. */
  readonly expectsContinue: boolean;
  /**
   * Where this server is in a thread beside the main one: lets the main one answer, as if the request had come to it. False when that cannot be (TLS;
   * an answer has begun; the client has left): then it is to be answered here. After true there is nothing more to do with the exchange.
   */
  handOn?(): boolean;
  /**
   * Answers. `headers` is a flat list like rawHeaders, without Connection and Transfer-Encoding, which are the server's to say; Content-Length
   * is taken from the body, Date is added. A body is
   * taken over (a lease is disposed, a stream is ended) whatever happens, also for HEAD, 204 and 304, which send none but
   * announce its length. Resolves when the answer has left or the client is gone. Throws what the stream or lease throws: before
   * its first bytes nothing has been sent and another answer may be given; afterwards the connection is broken off, so that the
   * answer cannot look complete. Unread request body is drained up to a bound, then the connection closes.
   */
  respond(status: number, headers: readonly string[], body?: Body): Promise<void>;
  /** Answers with a body of unknown length, chunked (HTTP/1.1). */
  respondStream(status: number, headers: readonly string[], stream: AsyncIterable<Uint8Array>): Promise<void>;
}

/** Other threads of this process that serve connections of a server: of the machine that made them, which alone can look inside. */
export interface HttpThreads {
  readonly threads: unique symbol;
}

export interface HttpServerOptions {
  readonly address: Address;
  /** PEM. InvalidArgument when they do not belong together. */
  readonly tls?: {readonly key: string; readonly cert: string};
  /** Bytes of all request headers together. */
  readonly headerBytesMax?: number;
  /** A connection that has not sent a whole request head in this time is answered 408 and closed. */
  readonly headersTimeoutMs?: number;
  /** A connection without a request is closed after this time (75 s); a whole head it may take `headersTimeoutMs` to send (20 s). */
  readonly keepAliveMs?: number;
  /** A client that takes nothing of its answer for this time, or sends nothing of the body that is waited for, is cut off (60 s). */
  readonly stallMs?: number;
  /** With so many open, those without a request give way to new ones. By default half of the descriptors that the process may have, at most 16 384. */
  readonly connectionsMax?: number;
  /** They serve what they are given as the server's own handler would. One server's alone. */
  readonly threads?: HttpThreads;
}

/** Whom to believe on https, instead of the well-known authorities. One object for all requests that share it: each has connections of its own. */
export interface HttpTrust {
  /** PEM: certificates of authorities, or of the servers themselves. */
  readonly certificates: string;
  /** The certificate itself is the one that is known, so the names in it do not matter. */
  readonly anyName?: boolean;
}

export interface HttpClientRequest {
  readonly method: string;
  /** Absolute; the path and query are sent exactly as written here. */
  readonly url: string;
  readonly headers: readonly string[];
  /** Of a stream, pieces of 16 KiB or more may be changed once the next is asked for. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  readonly trust?: HttpTrust;
}

export interface HttpClientResponse {
  readonly status: number;
  readonly rawHeaders: readonly string[];
  header(name: string): string | undefined;
  /** Must be read to its end or destroyed. Throws Unavailable when it ends before its announced length. */
  readonly body: AsyncIterable<Uint8Array> & {destroy(): void};
  /** The receiver is done with a chunk of the body, once: its memory may be used for other bytes. Never needed. */
  readonly giveBack?: (chunk: Uint8Array) => void;
}

export interface Http {
  serve(options: HttpServerOptions, handler: (exchange: HttpExchange) => Promise<void>): Promise<Listener>;
  /** One request over a kept-alive pool. Unavailable when there is no answer; every status is an answer. */
  request(request: HttpClientRequest): Promise<HttpClientResponse>;
}
