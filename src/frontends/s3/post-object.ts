/**
 * POST Object: an upload from a browser's form, signed by its policy. The fields before the file say what headers say elsewhere, so
 * what follows is PutObject of a request made of them.
 */
import {fromText, toText} from '#base/byte-string.ts';
import {boundaryOf, FormDecoder, type FormEvent} from '#codec/s3/form-data.ts';
import {encodeKey} from '#codec/s3/listing.ts';
import {checkPostPolicy, lengthRangeOf, parsePostPolicy} from '#codec/s3/post-policy.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {encodeTags, parseTagging} from '#codec/s3/tagging.ts';
import {keyBytesMax, type S3Target} from '#codec/s3/target.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {Access} from '#frontends/s3/access/access.ts';
import {expirationHeaders} from '#frontends/s3/expiration.ts';
import {encryptionHeaders} from '#frontends/s3/encryption.ts';
import {storeObject} from '#frontends/s3/put-object.ts';
import {objectChecksumPairs} from '#frontends/s3/object-headers.ts';
import {answer, bucketOf, etagOf, type S3Request, UnderstoodRequest} from '#frontends/s3/request.ts';
import {versionHeaders} from '#frontends/s3/versions.ts';
import type {HttpExchange} from '#runtime/http.ts';

export interface PostedForm {
  /** By lower-case names. `key` with the file's name in the place of `${filename}`. */
  readonly fields: ReadonlyMap<string, string>;
  /** The file; to be read once, to its end. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Whether a request is a form of a browser: those carry their signature in the form. */
export function isPostedForm(exchange: HttpExchange, {bucket, key, query}: S3Target): boolean {
  return exchange.method === 'POST' && bucket !== undefined && key === undefined && query.length === 0;
}

/** Reads up to the file. MalformedPOSTRequest, InvalidArgument (no key, no file), MaxPostPreDataLengthExceeded. */
export async function readForm(exchange: HttpExchange): Promise<PostedForm> {
  const decoder = new FormDecoder(boundaryOf(exchange.header('content-type')));
  const fields = new Map<string, string>();
  const body = exchange.body[Symbol.asyncIterator]();
  const events = (async function* (): AsyncGenerator<FormEvent> {
    for (let next = await body.next(); !next.done; next = await body.next()) yield* decoder.push(next.value);
    decoder.finish();
  })();
  for (let next = await events.next(); !next.done; next = await events.next()) {
    const event = next.value;
    if ('field' in event) fields.set(event.field.toLowerCase(), event.value.toString('utf8'));
    if (!('file' in event)) continue;
    const key = fields.get('key');
    if (!key) throw new S3Error('InvalidArgument', "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.", {ArgumentName: 'key', ArgumentValue: ''});
    // Some browsers send the whole path.
    fields.set('key', key.replaceAll('${filename}', event.file.replace(/^.*[/\\]/, '')));
    return {fields, bytes: {[Symbol.asyncIterator]: () => fileBytes(events)}};
  }
  throw new S3Error('MalformedPOSTRequest', 'The body of your POST request is not well-formed multipart/form-data.');
}

async function* fileBytes(events: AsyncGenerator<FormEvent>): AsyncGenerator<Uint8Array> {
  for await (const event of events) if ('data' in event) yield Buffer.from(event.data);
}

/** A field's name may be anything, a header's not. */
const headerFields = /^(content-(type|disposition|encoding|language|md5)|cache-control|expires|x-amz-[!#$%&'*+.^_`|~0-9a-z-]+)$/;

/** Headers that the form's fields stand for. */
function headersOf(fields: ReadonlyMap<string, string>): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of fields) {
    // Header values are bytes, as they come from the wire.
    const bytes = Buffer.from(value, 'utf8').toString('latin1');
    if (name === 'acl') headers.set('x-amz-acl', bytes);
    else if (name === 'tagging') headers.set('x-amz-tagging', encodeTags(parseTagging(Buffer.from(value, 'utf8'), 'object')));
    else if (headerFields.test(name)) headers.set(name, bytes);
  }
  headers.set('transfer-encoding', 'chunked');
  return headers;
}

/** What a PUT of the file would have been. */
class FormExchange implements HttpExchange {
  readonly method = 'PUT';
  readonly rawHeaders: readonly string[];
  readonly body: HttpExchange['body'];
  readonly expectsContinue = false;
  readonly #form: HttpExchange;
  readonly #headers: ReadonlyMap<string, string>;

  constructor(form: HttpExchange, headers: ReadonlyMap<string, string>, bytes: AsyncIterable<Uint8Array>) {
    this.#form = form;
    this.#headers = headers;
    this.rawHeaders = [...headers].flat();
    this.body = {trailers: [], [Symbol.asyncIterator]: () => bytes[Symbol.asyncIterator]()};
  }

  get target(): string {
    return this.#form.target;
  }
  get signal(): AbortSignal {
    return this.#form.signal;
  }
  get remote(): HttpExchange['remote'] {
    return this.#form.remote;
  }
  get secure(): boolean {
    return this.#form.secure;
  }
  get tlsVersion(): string | undefined {
    return this.#form.tlsVersion;
  }

  header(name: string): string | undefined {
    return name === 'host' ? this.#form.header(name) : this.#headers.get(name);
  }
  respond(...answer: Parameters<HttpExchange['respond']>): Promise<void> {
    return this.#form.respond(...answer);
  }
  respondStream(...answer: Parameters<HttpExchange['respondStream']>): Promise<void> {
    return this.#form.respondStream(...answer);
  }
}

/** Every byte counted: fewer or more than the policy allows are refused before the object is made. */
async function* limited(bytes: AsyncIterable<Uint8Array>, {min, max}: {readonly min: number; readonly max: number}): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of bytes) {
    length += chunk.length;
    if (length > max) throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.', {ProposedSize: String(length), MaxSizeAllowed: String(max)});
    yield chunk;
  }
  if (length < min) throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {ProposedSize: String(length), MinSizeAllowed: String(min)});
}

/**
 * Checks the form against its policy (what signs it was checked before) and gives the PutObject that it stands for. InvalidPolicyDocument,
 * AccessDenied, KeyTooLongError.
 */
export function putOfForm(request: S3Request, form: PostedForm, accessOf: (asked: Pick<S3Request, 'exchange' | 'target' | 'identity'>) => Access): S3Request {
  const bucket = bucketOf(request);
  const {fields} = form;
  const policy = fields.has('policy') ? parsePostPolicy(fields.get('policy')!) : undefined;
  if (policy) checkPostPolicy(policy, new Map([...fields, ['bucket', toText(bucket)]]), request.nowMs);
  const key = fromText(fields.get('key')!);
  if (key.length > keyBytesMax) throw new S3Error('KeyTooLongError', 'Your key is too long', {Size: String(key.length), MaxSizeAllowed: String(keyBytesMax)});
  if (key.includes('\0')) throw new S3Error('InvalidURI', "Couldn't parse the specified URI.");
  const bytes = policy ? limited(form.bytes, lengthRangeOf(policy)) : form.bytes;
  const exchange = new FormExchange(request.exchange, headersOf(fields), bytes);
  const {identity, principal, files, runtime, requestId, nowMs, cors} = request;
  const asked = {exchange, target: {...request.target, key}, identity};
  return new UnderstoodRequest({...asked, principal, access: accessOf(asked), files, runtime, requestId, nowMs, cors});
}

/** Stores the file and answers as the form asks. */
export async function postObject(request: S3Request, form: PostedForm): Promise<void> {
  const {info, encryption} = await storeObject(request, 'post');
  const {fields} = form;
  const [bucket, key, etag] = [bucketOf(request), request.target.key!, `"${etagOf(info)}"`];
  const location = `${request.exchange.secure ? 'https' : 'http'}://${request.header('host') ?? ''}/${encodeKey(bucket)}/${encodeKey(key)}`;
  const headers = ['ETag', etag, ...versionHeaders(info), ...expirationHeaders(request, info), ...encryptionHeaders(encryption), ...objectChecksumPairs(info.inode.content?.checksums ?? {})];
  const redirect = fields.get('success_action_redirect') ?? fields.get('redirect');
  if (redirect && URL.canParse(redirect)) {
    const asked = `bucket=${encodeURIComponent(toText(bucket))}&key=${encodeURIComponent(toText(key))}&etag=${encodeURIComponent(etag)}`;
    return answer(request, 303, ['Location', `${new URL(redirect).href}${redirect.includes('?') ? '&' : '?'}${asked}`.replaceAll(/[\r\n]/g, ''), ...headers]);
  }
  const status = fields.get('success_action_status');
  if (status !== '201') return answer(request, status === '200' ? 200 : 204, ['Location', location, ...headers]);
  const document = xmlDocument('PostResponse', `${element('Location', location)}${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('ETag', etag)}`).replace(/ xmlns="[^"]*"/, '');
  const bytes = Buffer.from(document, 'utf8');
  return answer(request, 201, ['Location', location, 'Content-Type', 'application/xml', ...headers], {kind: 'bytes', length: bytes.length, bytes});
}
