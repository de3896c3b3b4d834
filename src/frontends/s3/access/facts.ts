/** What a request says, by the names that conditions and policy variables use. Looked up only when a policy asks. */
import type {RequestFacts} from '#codec/s3/policy/condition-block.ts';
import {parseQuery} from '#codec/s3/target.ts';
import {uriDecode} from '#codec/s3/sigv4.ts';
import {toText} from '#base/byte-string.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {ExtraFacts} from '#frontends/s3/access/access.ts';
import type {Identity} from '#frontends/s3/authenticate.ts';
import type {HttpExchange} from '#runtime/http.ts';

/** Thrown when a policy asks for the tags of an object that nobody has looked at. */
export const needsObject = new Error('a policy asks for the object');

/** Thrown when a policy asks for what a document says that nobody has read. */
export const needsDocument = new Error('a policy asks for the document');

interface Asking {
  readonly exchange: HttpExchange;
  readonly identity: Identity;
  query(name: string): string | undefined;
  header(name: string): string | undefined;
}

type Fact = (request: Asking, nowMs: number, extra: ExtraFacts) => string | undefined;

const header = (name: string): Fact => (request) => request.header(name);
const always = (value: string): Fact => () => value;

const facts: Readonly<Record<string, Fact>> = {
  'aws:sourceip': ({exchange}) => exchange.remote.host.replace(/^::ffff:/i, ''),
  'aws:securetransport': ({exchange}) => String(exchange.secure),
  'aws:currenttime': (_, nowMs) => new Date(nowMs).toISOString(),
  'aws:epochtime': (_, nowMs) => String(Math.floor(nowMs / 1000)),
  'aws:useragent': header('user-agent'),
  'aws:referer': header('referer'),
  'aws:username': ({identity: {caller}}) => (caller && caller.kind !== 'root' ? caller.principal.name : undefined),
  'aws:userid': ({identity: {caller}}) => caller?.owner.id,
  'aws:principalarn': ({identity: {caller}}) => caller?.arn,
  'aws:principalaccount': ({identity: {caller}}) => caller?.accountId,
  'aws:principaltype': ({identity: {caller}}) => (caller ? (caller.kind === 'root' ? 'Account' : 'User') : 'Anonymous'),
  'aws:principalisawsservice': always('false'),
  'aws:viaawsservice': always('false'),
  'aws:resourceaccount': (_, __, {resourceAccount}) => resourceAccount,
  's3:resourceaccount': (_, __, {resourceAccount}) => resourceAccount,
  's3:authtype': ({identity}) => identity.authType,
  's3:signatureversion': ({identity}) => identity.signatureVersion,
  's3:signatureage': ({identity: {signedAtMs}}, nowMs) => (signedAtMs === undefined ? undefined : String(Math.max(0, nowMs - signedAtMs))),
  's3:tlsversion': ({exchange}) => exchange.tlsVersion,
  's3:objectcreationoperation': (request) => String(createsObject(request)),
  's3:prefix': (request, _, {prefix}) => prefix ?? textOf(request.query('prefix')),
  's3:delimiter': (request) => textOf(request.query('delimiter')),
  's3:max-keys': (request) => request.query('max-keys'),
  's3:versionid': (request) => request.query('versionId'),
  's3:if-match': header('if-match'),
  's3:if-none-match': header('if-none-match'),
  's3:object-lock-mode': header('x-amz-object-lock-mode'),
  's3:object-lock-legal-hold': header('x-amz-object-lock-legal-hold'),
  's3:object-lock-retain-until-date': header('x-amz-object-lock-retain-until-date'),
  's3:object-lock-remaining-retention-days': (request, nowMs) => remainingDays(request.header('x-amz-object-lock-retain-until-date'), nowMs),
  's3:x-amz-copy-source': (request) => copySource(request.header('x-amz-copy-source')),
};

const requestTag = 's3:requestobjecttag/';
const existingTag = 's3:existingobjecttag/';

export class FactsOfRequest implements RequestFacts {
  readonly #request: Asking;
  readonly #nowMs: number;
  readonly #extra: ExtraFacts;

  constructor(request: Asking, nowMs: number, extra: ExtraFacts) {
    this.#request = request;
    this.#nowMs = nowMs;
    this.#extra = extra;
  }

  values(key: string): readonly string[] | undefined {
    if (key === 's3:requestobjecttagkeys') {
      const names = Object.keys(this.#requestTags());
      return names.length > 0 ? names : undefined;
    }
    const value = this.#value(key);
    return value === undefined ? undefined : [value];
  }

  #value(key: string): string | undefined {
    if (this.#extra.unread && key.startsWith('s3:object-lock-')) throw needsDocument;
    const stated = this.#extra.stated?.[key];
    if (stated !== undefined) return stated;
    if (Object.hasOwn(facts, key)) return facts[key]!(this.#request, this.#nowMs, this.#extra);
    if (key.startsWith(requestTag)) return this.#requestTags()[key.slice(requestTag.length)];
    if (key.startsWith(existingTag)) {
      if (!this.#extra.existingTags) throw needsObject;
      return this.#extra.existingTags[key.slice(existingTag.length)];
    }
    return key.startsWith('s3:x-amz-') ? textOf(this.#request.header(key.slice(3))) : undefined;
  }

  #requestTags(): Readonly<Record<string, string>> {
    if (this.#extra.unread) throw needsDocument;
    return this.#extra.requestTags ?? Object.fromEntries(parseQuery(this.#request.header('x-amz-tagging') ?? '').map(([name, value]) => [text(name), text(value)]));
  }
}

const text = (bytes: string): string => toText(bytes as ByteString);
const textOf = (bytes: string | undefined): string | undefined => (bytes === undefined ? undefined : text(bytes));

/** Of the requests that need PutObject: those after which the object is there. "Enforce conditional writes", S3 User Guide. */
function createsObject(request: Asking): boolean {
  const {method} = request.exchange;
  return method === 'POST' ? request.query('uploadId') !== undefined : method === 'PUT' && partsOfObject.every((name) => request.query(name) === undefined);
}

const partsOfObject = ['uploadId', 'acl', 'tagging', 'retention', 'legal-hold'];
const dayMs = 86_400_000;

/** Days begun from now until then. */
export function remainingDays(until: string | undefined, nowMs: number): string | undefined {
  const untilMs = Date.parse(until ?? '');
  return Number.isNaN(untilMs) ? undefined : String(Math.ceil((untilMs - nowMs) / dayMs));
}

/** `bucket/key`, decoded, without a leading slash. */
function copySource(header: string | undefined): string | undefined {
  return header === undefined ? undefined : text(uriDecode(header.replace(/\?versionId=.*$/, ''))).replace(/^\//, '');
}
