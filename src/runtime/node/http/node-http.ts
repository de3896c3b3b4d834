import {requestOverPool} from '#runtime/node/http/http-client.ts';
import {serveHttp} from '#runtime/node/http/http-server.ts';
import type {Http} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';

/** HTTP on this machine's network. `log` hears of handlers that fail, which is always a bug of theirs. */
export function createHttp(options: {readonly log?: Log} = {}): Http {
  return {serve: (serverOptions, handler) => serveHttp(serverOptions, handler, options.log), request: requestOverPool};
}
