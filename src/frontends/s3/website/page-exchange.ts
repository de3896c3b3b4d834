/**
 * The exchange of one page: what GetObject answers is let through, but an object that says it is elsewhere becomes a redirect, and an error
 * document carries the status of the error. Nobody signs requests to a website, and it has no parts of objects.
 */
import {discard} from '#client/opened-file.ts';
import type {HttpExchange} from '#runtime/http.ts';

/** What a page is asked for by; an error document is always shown whole. */
const asking = /^(range|if-(match|none-match|modified-since|unmodified-since|range))$/;
const hidden = /^(authorization|x-amz-)/;
const redirectHeader = 'x-amz-website-redirect-location';

export class PageExchange implements HttpExchange {
  readonly rawHeaders: readonly string[] = [];
  readonly expectsContinue = false;
  readonly #outer: HttpExchange;
  readonly #errorStatus: number | undefined;
  readonly #base: string;

  constructor(outer: HttpExchange, base: string, errorStatus?: number) {
    this.#outer = outer;
    this.#base = base;
    this.#errorStatus = errorStatus;
  }

  get method(): string {
    return this.#outer.method;
  }
  get target(): string {
    return this.#outer.target;
  }
  get body(): HttpExchange['body'] {
    return this.#outer.body;
  }
  get signal(): AbortSignal {
    return this.#outer.signal;
  }
  get remote(): HttpExchange['remote'] {
    return this.#outer.remote;
  }
  get secure(): boolean {
    return this.#outer.secure;
  }

  header(name: string): string | undefined {
    return hidden.test(name) || (this.#errorStatus !== undefined && asking.test(name)) ? undefined : this.#outer.header(name);
  }

  async respond(...[status, headers, body]: Parameters<HttpExchange['respond']>): Promise<void> {
    if (this.#errorStatus !== undefined) return await this.#outer.respond(this.#errorStatus, headers, body);
    const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === redirectHeader);
    const location = at < 0 ? undefined : headers[at + 1]!;
    if (location === undefined) return await this.#outer.respond(status, headers, body);
    if (body) discard(body);
    const kept = headers.filter((_, i) => /^(x-amz-request-id|x-amz-id-2|server)$/i.test(headers[i - (i % 2)]!));
    await this.#outer.respond(301, [...kept, 'Location', location.startsWith('/') ? this.#base + location : location]);
  }

  async respondStream(...answer: Parameters<HttpExchange['respondStream']>): Promise<void> {
    await this.#outer.respondStream(...answer);
  }
}
