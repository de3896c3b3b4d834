/** A route of the REST interface as data: what the router serves and what the OpenAPI document says come from the same place. */
import type {GenericSchema} from 'valibot';
import type {ByteString} from '#base/byte-string.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {IdentityApi} from '#contracts/identity-api.ts';
import type {HttpExchange} from '#runtime/http.ts';

export interface RouteCall {
  readonly files: FileSystem;
  readonly identity: IdentityApi;
  readonly context: CallContext;
  readonly exchange: HttpExchange;
  /** The query, decoded to bytes. */
  readonly query: ReadonlyMap<string, ByteString>;
  /** The checked JSON body; undefined for routes without one. */
  readonly body: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly description: string;
  readonly required?: boolean;
  readonly type?: 'string' | 'integer' | 'boolean';
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  /** JSON, checked before `answer` runs. */
  readonly body?: GenericSchema;
  /** The request's body is the file's bytes. */
  readonly takesBytes?: boolean;
  /** What a successful answer holds: a JSON value, nothing (204), bytes, or one JSON value a line. */
  readonly result: GenericSchema | 'nothing' | 'bytes' | 'lines';
  /** Returns the JSON value; routes of bytes and lines answer on the exchange themselves. */
  answer(call: RouteCall): Promise<unknown>;
}

export const pathParameter: Parameter = {name: 'path', description: 'a path of the namespace, percent-encoded bytes; a trailing slash means the directory', required: true};
