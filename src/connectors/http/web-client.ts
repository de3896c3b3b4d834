/** Requests to a web server: redirects followed a few times, credentials only to the server that they are for. */
import {WeirError} from '#base/errors.ts';
import type {Http, HttpClientResponse} from '#runtime/http.ts';

const redirectsMax = 5;

export interface WebRequest {
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  /** Name, value, name, value … */
  readonly headers?: readonly string[];
  readonly signal: AbortSignal;
}

export class WebClient {
  readonly #http: Pick<Http, 'request'>;
  readonly #origin: string;
  readonly #authorization: string | undefined;

  constructor(http: Pick<Http, 'request'>, origin: string, authorization: string | undefined) {
    this.#http = http;
    this.#origin = origin;
    this.#authorization = authorization;
  }

  /** The answer and the URL that gave it. Statuses of 2xx, 404, 410, 412 and 416 are answers, all others WeirErrors. The body must be read or destroyed. */
  async send(request: WebRequest): Promise<{response: HttpClientResponse; url: URL}> {
    let {url} = request;
    for (let followed = 0; ; followed++) {
      const target = new URL(url);
      // Compressed answers have other lengths and ranges than the file.
      const headers = ['host', target.host, 'accept-encoding', 'identity', ...(request.headers ?? [])];
      if (this.#authorization !== undefined && target.origin === this.#origin) headers.push('authorization', this.#authorization);
      const response = await this.#http.request({method: request.method, url, headers, signal: request.signal});
      const {status} = response;
      if ((status >= 200 && status < 300) || [404, 410, 412, 416].includes(status)) return {response, url: target};
      response.body.destroy();
      const location = response.header('location');
      if (![301, 302, 303, 307, 308].includes(status) || location === undefined) throw refusal(status, request, target);
      if (followed === redirectsMax) throw new WeirError('Unavailable', `${request.url} was redirected more than ${redirectsMax} times`);
      const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
      if (!next || !/^https?:$/.test(next.protocol)) throw new WeirError('Unavailable', `${request.url} was redirected to something that is no web address`);
      if (target.protocol === 'https:' && next.protocol === 'http:') throw new WeirError('PermissionDenied', `${request.url} was redirected from https to http`);
      next.username = '';
      next.password = '';
      next.hash = '';
      url = next.href;
    }
  }
}

function refusal(status: number, {method, url}: WebRequest, target: URL): WeirError {
  const what = `${method} of ${url}${target.href === url ? '' : ` (redirected to ${target.host})`} failed with ${status}`;
  const details = {status};
  if (status === 401) return new WeirError('Unauthenticated', `${what}: the server wants other credentials (options user and password)`, {details});
  if (status === 403) return new WeirError('PermissionDenied', what, {details});
  if (status === 405 || status === 501) return new WeirError('Unsupported', what, {details});
  if (status === 429 || status === 503) return new WeirError('Overloaded', what, {details});
  if (status >= 500 || status === 408) return new WeirError('Unavailable', what, {details});
  return new WeirError('InvalidArgument', what, {details});
}
