/** The REST front end: one table of routes, basic authentication with access keys, errors as JSON; beside it metrics and health. */
import {timingSafeEqual, hash} from 'node:crypto';
import * as v from 'valibot';
import {errorCatalogue, WeirError} from '#base/errors.ts';
import {parseQuery} from '#codec/rest/values.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {Principal} from '#contracts/context.ts';
import type {IdentityApi} from '#contracts/identity-api.ts';
import {contentRoutes} from '#frontends/rest/content-routes.ts';
import {fileRoutes} from '#frontends/rest/file-routes.ts';
import {identityRoutes} from '#frontends/rest/identity-routes.ts';
import {instanceRoutes} from '#frontends/rest/instance-routes.ts';
import {openApiDocument} from '#frontends/rest/openapi.ts';
import {webhookRoutes} from '#frontends/rest/webhook-routes.ts';
import type {Route} from '#frontends/rest/route.ts';
import type {HttpExchange} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';

const jsonBodyBytesMax = 1024 * 1024;

export const restRoutes: readonly Route[] = [...fileRoutes, ...contentRoutes, ...instanceRoutes, ...identityRoutes, ...webhookRoutes];

export interface RestOptions {
  readonly files: FileSystem;
  readonly identity: IdentityApi;
  readonly runtime: Pick<Runtime, 'log' | 'metrics'>;
  readonly version: string;
  readonly lookup: (accessKeyId: string) => {readonly secret: string; readonly principal: Principal} | undefined;
  /** Metrics without credentials: only where nobody but this machine can ask. */
  readonly openMetrics: boolean;
}

/** The handler to serve. Never throws for what a client can cause. */
export function restHandler(options: RestOptions): (exchange: HttpExchange) => Promise<void> {
  const {runtime, files, identity, version} = options;
  const document = Buffer.from(JSON.stringify(openApiDocument(restRoutes, version)));
  const byPath = Map.groupBy(restRoutes, (route) => route.path);

  const json = (exchange: HttpExchange, status: number, value: unknown, headers: readonly string[] = []) => {
    const bytes = Buffer.from(`${JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? String(item) : item))}\n`);
    return exchange.respond(status, ['Content-Type', 'application/json', ...headers], {kind: 'bytes', length: bytes.length, bytes});
  };
  const plain = (exchange: HttpExchange, type: string, text: string | Buffer) => {
    const bytes = Buffer.from(text as string);
    return exchange.respond(200, ['Content-Type', type], {kind: 'bytes', length: bytes.length, bytes});
  };

  async function serve(exchange: HttpExchange): Promise<void> {
    const at = exchange.target.indexOf('?');
    const path = at < 0 ? exchange.target : exchange.target.slice(0, at);
    if (path === '/healthz') return plain(exchange, 'text/plain', 'ok\n');
    if (path === '/metrics' && options.openMetrics) return plain(exchange, 'text/plain; version=0.0.4; charset=utf-8', await runtime.metrics.render());
    const principal = authenticate(exchange.header('authorization'), options.lookup);
    if (path === '/metrics') return plain(exchange, 'text/plain; version=0.0.4; charset=utf-8', await runtime.metrics.render());
    if (path === '/api/v1/openapi.json') return plain(exchange, 'application/json', document);
    const routes = byPath.get(path);
    if (!routes) throw new WeirError('NotFound', `there is nothing at ${path.slice(0, 200)}; /api/v1/openapi.json says what there is`);
    const route = routes.find(({method}) => method === exchange.method);
    if (!route) return exchange.respond(405, ['Allow', routes.map(({method}) => method).join(', ')]);
    const body = route.body ? await readJson(exchange, route.body) : undefined;
    const result = await route.answer({files, identity, context: {principal, signal: exchange.signal}, exchange, query: parseQuery(exchange.target), body});
    if (route.result === 'nothing') return exchange.respond(204, []);
    if (typeof route.result !== 'string') return json(exchange, 200, result);
  }

  return async (exchange) => {
    try {
      await serve(exchange);
    } catch (error) {
      const known = error instanceof WeirError;
      if (!known) runtime.log.error('rest: a request failed by a bug', {error, method: exchange.method});
      const kind = known ? error.kind : 'Internal';
      const value = {error: {code: kind, message: known ? error.message : 'an internal error; see the log', ...(known ? {details: error.details} : {})}};
      await json(exchange, errorCatalogue[kind].http, value, kind === 'Unauthenticated' ? ['WWW-Authenticate', 'Basic realm="weir"'] : []);
    }
  };
}

/** Basic authentication (RFC 7617) with an access key. Secrets are compared as digests, in constant time. */
function authenticate(header: string | undefined, lookup: RestOptions['lookup']): Principal {
  const match = /^Basic ([A-Za-z0-9+/=]{1,1024})$/i.exec(header ?? '');
  if (!match) throw new WeirError('Unauthenticated', 'credentials are needed: basic authentication with access key id and secret access key');
  const text = Buffer.from(match[1]!, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const known = lookup(colon < 0 ? text : text.slice(0, colon));
  const given = hash('sha256', text.slice(colon + 1), 'buffer');
  const expected = hash('sha256', known?.secret ?? '', 'buffer');
  if (!timingSafeEqual(given, expected) || !known || colon < 0) throw new WeirError('Unauthenticated', 'the access key or its secret is wrong');
  return known.principal;
}

async function readJson(exchange: HttpExchange, schema: v.GenericSchema): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of exchange.body) {
    bytes += chunk.length;
    if (bytes > jsonBodyBytesMax) throw new WeirError('TooLarge', `a JSON body has at most ${jsonBodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new WeirError('InvalidArgument', 'the body is not JSON');
  }
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new WeirError('InvalidArgument', `${v.getDotPath(issue) ?? 'the body'}: ${issue.message}`);
}
