import type {Http} from '#runtime/http.ts';
import {httpRequest} from '#runtime/node/http-client.ts';
import {serveHttp} from '#runtime/node/http-server.ts';

/** HTTP of the real machine. */
export const nodeHttp: Http = {serve: serveHttp, request: httpRequest};
