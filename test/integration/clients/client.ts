/**
 * What a stock client is to the suite: something that, one way or another, puts a file under a key and does the other things that people do
 * with S3. One file beside this for each client. An operation that a client does not offer is absent from it.
 */

/** Where Weir answers, as a client is told. */
export interface Access {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** There already; one for each client. */
  readonly bucket: string;
  /** A folder of its own, which exists. */
  readonly scratch: string;
}

/** A client at work on one bucket. Files are named by their paths, keys are exact. */
export interface Session extends AsyncDisposable {
  readonly put: (key: string, file: string) => Promise<unknown>;
  readonly get: (bucket: string, key: string, file: string) => Promise<unknown>;
  /** All keys of a bucket, in any order. */
  readonly list: (bucket: string) => Promise<readonly string[]>;
  /** In parts; the file has over 16 MiB. */
  readonly putLarge: (key: string, file: string) => Promise<unknown>;
  /** On the server. */
  readonly copy?: (from: string, to: string) => Promise<unknown>;
  readonly presignGet?: (key: string) => Promise<string>;
  readonly presignPut?: (key: string) => Promise<string>;
  readonly remove?: (key: string) => Promise<unknown>;
  readonly removeMany?: (keys: readonly string[]) => Promise<unknown>;
  /** By a committer for S3: 100 000 rows `id` below a prefix, in folders by `id % 7`. */
  readonly putTable?: (prefix: string) => Promise<unknown>;
  /** Rows of a table in one such folder. */
  readonly countTable?: (prefix: string) => Promise<number>;
}

/** What of a session a client cannot do for some names. */
export type Doing = 'put' | 'get' | 'list' | 'copy' | 'presignGet' | 'presignPut' | 'remove' | 'removeMany';

/**
 * Names (of names.ts) that the client itself cannot say. The suite proves each: it asks for the name and sees that no request of the client's
 * says it. A client that has learnt it fails there, and the exception goes.
 */
export interface Exception {
  readonly names: readonly string[];
  /** Everything, unless named. */
  readonly doing?: readonly Doing[];
  readonly why: string;
}

export interface Client {
  /** Also the name of its bucket. */
  readonly name: string;
  readonly version: string;
  readonly cannot?: readonly Exception[];
  /** Undefined where it cannot be had (see `need`). */
  readonly start: (access: Access) => Promise<Session | undefined>;
}
