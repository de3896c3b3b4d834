/** The HTTP server, on node:http: its parser is the one that the world has tested. What a handler sees of it: http-exchange.ts. */
import {once} from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import {NodeExchange} from '#runtime/node/http/http-exchange.ts';
import {systemError} from '#runtime/node/system-errors.ts';
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';
import type {Listener} from '#runtime/net.ts';

const headerBytesMax = 64 * 1024;
const headersTimeoutMs = 20_000;
/** Longer than the 60 s that load balancers and pools of clients keep an idle connection, so that they close it and not we. */
const keepAliveMs = 75_000;
const connectionsMax = 10_000;
const backlogMax = 1024;
/** How long answers under way may take after the listener was disposed. */
const stopMs = 2_000;
/** How often connections are looked at for the timeout of their headers. */
const checkIntervalMs = 2_000;

export async function serveHttp(options: HttpServerOptions, handler: (exchange: HttpExchange) => Promise<void>, log?: Log): Promise<Listener> {
  const settings: http.ServerOptions = {
    maxHeaderSize: options.headerBytesMax ?? headerBytesMax,
    headersTimeout: options.headersTimeoutMs ?? headersTimeoutMs,
    // A large upload may take its time; a slow one is the front end's to judge.
    requestTimeout: 0,
    keepAliveTimeout: options.keepAliveMs ?? keepAliveMs,
    connectionsCheckingInterval: Math.min(checkIntervalMs, options.headersTimeoutMs ?? headersTimeoutMs),
    noDelay: true,
    insecureHTTPParser: false,
  };
  const server = options.tls ? https.createServer({...settings, ...options.tls}) : http.createServer(settings);
  server.maxConnections = options.connectionsMax ?? connectionsMax;
  server.timeout = 0;
  let closing = false;

  const serve = (expectsContinue: boolean) => (request: http.IncomingMessage, response: http.ServerResponse) => {
    if (closing) response.shouldKeepAlive = false;
    const exchange = new NodeExchange(request, response, expectsContinue, options.tls !== undefined);
    handler(exchange).then(
      () => exchange.finish(),
      (error: unknown) => {
        log?.error('a request handler failed', {error});
        exchange.finish();
      },
    );
  };
  server.on('request', serve(false));
  server.on('checkContinue', serve(true));

  try {
    server.listen({host: options.address.host, port: options.address.port, backlog: backlogMax});
    await once(server, 'listening');
  } catch (error) {
    throw systemError(error, `listening on ${options.address.host}:${options.address.port}`);
  }
  const bound = server.address() as {address: string; port: number};
  return {
    address: {host: bound.address, port: bound.port},
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        closing = true;
        const cut = setTimeout(() => server.closeAllConnections(), stopMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}
