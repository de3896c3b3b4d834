/**
 * A directory of a web server as an under store that can only be read. What there is comes from index pages, read a directory at
 * a time, or from a list of files. Index pages do not say sizes that can be trusted, so each file listed costs a HEAD.
 */
import {LRUCache} from 'lru-cache';
import {type ByteString, fromBytes, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {HttpClientResponse} from '#runtime/http.ts';
import {listKeys} from '#understore/memory/list-keys.ts';
import type {Capabilities, StoreCallOptions, StoreListPage, StoreListRequest, StoreObject, StoreRead, StoreReadRequest, UnderStore} from '#understore/under-store.ts';
import {type HttpConfig, urlOfKey} from '#connectors/http/config.ts';
import {readFileList} from '#connectors/http/file-list.ts';
import {namesInIndex} from '#connectors/http/index-page.ts';
import {lengthOf, objectFrom, readBody} from '#connectors/http/answers.ts';
import type {WebClient} from '#connectors/http/web-client.ts';

const pageBytesMax = 64 * MiB;
const headsInFlightMax = 16;
/** Names of directories whose listing goes on over several pages. */
const listingsKeptMax = 32;

export class WebStore implements UnderStore {
  readonly capabilities: Capabilities;
  readonly #client: WebClient;
  readonly #config: HttpConfig;
  readonly #listings = new LRUCache<string, readonly ByteString[]>({max: listingsKeptMax});
  #listingNumber = 0;

  constructor(client: WebClient, config: HttpConfig) {
    this.#client = client;
    this.#config = config;
    this.capabilities = {
      write: false, localFile: false, directories: false, listAfter: true, orderedList: true, recursiveList: config.files !== undefined, conditionalRead: true, conditionalWrite: false,
      rename: 'none', copy: false, multipart: false, copyParts: false, metadata: true, permissions: false, partBytesMin: 0, partBytesMax: 0, singleWriteBytesMax: 0,
    };
  }

  async stat(key: ByteString, options: StoreCallOptions): Promise<StoreObject | undefined> {
    if (key === '' || key.endsWith('/')) return undefined;
    const {response} = await this.#client.send({method: 'HEAD', url: urlOfKey(this.#config.base, key), signal: options.signal});
    response.body.destroy();
    if (response.status >= 300) return undefined;
    const length = lengthOf(response);
    if (length !== undefined) return objectFrom(key, response, length);
    // Without a length in HEAD, the answer to a GET of one byte may tell it.
    const {object, body} = await this.read(key, {offset: 0, length: 1}, options);
    await body[Symbol.asyncIterator]().return?.();
    return object;
  }

  async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    if (key === '' || key.endsWith('/')) throw new WeirError('NotFound', `${toText(key)} is a directory`);
    const url = urlOfKey(this.#config.base, key);
    const offset = request.offset ?? 0;
    const end = request.length === undefined ? '' : String(offset + Math.max(1, request.length) - 1);
    const range = offset < 0 ? ['range', `bytes=${offset}`] : offset === 0 && end === '' ? [] : ['range', `bytes=${offset}-${end}`];
    const condition = request.ifFingerprint?.startsWith('"') ? ['if-match', request.ifFingerprint] : [];
    const {response} = await this.#client.send({method: 'GET', url, headers: [...range, ...condition], signal: options.signal});
    try {
      return readBody(key, request, response);
    } catch (error) {
      response.body.destroy();
      // Some servers answer 416 to any range of an empty file.
      if (error instanceof WeirError && error.kind === 'RangeNotSatisfiable' && offset <= 0 && error.details['length'] === 0 && range.length > 0) {
        return await this.read(key, request.ifFingerprint === undefined ? {} : {ifFingerprint: request.ifFingerprint}, options);
      }
      throw error;
    }
  }

  async list(request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage> {
    options.signal.throwIfAborted();
    const [name, keys] = await this.#keysFor(request, options);
    const last = request.continuation?.slice(request.continuation.indexOf(':') + 1);
    const {continuation: _, ...rest} = request;
    const page = listKeys(keys, last === undefined ? rest : {...rest, continuation: last}, 'ascending');
    const objects = await this.#describe(page.keys, options);
    return {objects, prefixes: page.prefixes, ...(page.continuation === undefined ? {} : {continuation: `${name}:${page.continuation}`})};
  }

  async close(): Promise<void> {
    this.#listings.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly write = readOnly;
  readonly remove = readOnly;
  readonly copy = readOnly;
  readonly rename = readOnly;
  readonly makeDirectory = readOnly;
  readonly createUpload = readOnly;
  readonly uploadPart = readOnly;
  readonly copyPart = readOnly;
  readonly completeUpload = readOnly;
  readonly abortUpload = readOnly;

  async openLocal(): Promise<never> {
    throw new WeirError('Unsupported', 'files of a web server are no local files');
  }

  /** All keys that a listing is cut from, and the name under which they are kept for its next page. */
  async #keysFor(request: StoreListRequest, options: StoreCallOptions): Promise<[name: string, keys: readonly ByteString[]]> {
    const name = request.continuation?.slice(0, request.continuation.indexOf(':')) ?? String(++this.#listingNumber);
    const kept = request.continuation === undefined ? undefined : this.#listings.get(name);
    if (kept) return [name, kept];
    const keys = this.#config.files ? await this.#listed(options) : await this.#indexOf(request, options);
    this.#listings.set(name, keys);
    return [name, keys];
  }

  async #indexOf({prefix, delimiter}: StoreListRequest, options: StoreCallOptions): Promise<readonly ByteString[]> {
    if (!delimiter) throw new WeirError('Unsupported', 'a web server is listed one directory at a time');
    if (prefix !== '' && !prefix.endsWith('/')) throw new WeirError('InvalidArgument', `with a delimiter a prefix ends in "/": ${toText(prefix)}`);
    const {response, url} = await this.#client.send({method: 'GET', url: urlOfKey(this.#config.base, prefix), signal: options.signal});
    if (response.status === 404 || response.status === 410) {
      response.body.destroy();
      if (prefix === '') throw new WeirError('NotFound', `the web server has no ${this.#config.base.href}`);
      return [];
    }
    const type = response.header('content-type') ?? '';
    if (!/^(text\/html|application\/xhtml\+xml)/i.test(type)) {
      response.body.destroy();
      throw new WeirError('Unsupported', `${url.href} is no index page but ${JSON.stringify(type.slice(0, 50))}; the option files can say what there is`);
    }
    return namesInIndex(fromBytes(await readAll(response)), url).map(found => (prefix + found) as ByteString);
  }

  async #listed(options: StoreCallOptions): Promise<readonly ByteString[]> {
    const {files} = this.#config;
    if (files && 'list' in files) return readFileList(files.list);
    const {response} = await this.#client.send({method: 'GET', url: files!.url.href, signal: options.signal});
    if (response.status >= 300) {
      response.body.destroy();
      throw new WeirError('NotFound', `there is no list of files at ${files!.url.href}`);
    }
    return readFileList((await readAll(response)).toString().split('\n'));
  }

  async #describe(keys: readonly ByteString[], options: StoreCallOptions): Promise<StoreObject[]> {
    const objects: (StoreObject | undefined)[] = new Array(keys.length);
    const indexes = keys.keys();
    await Promise.all(
      Array.from({length: Math.min(headsInFlightMax, keys.length)}, async () => {
        for (const i of indexes) objects[i] = await this.stat(keys[i]!, options);
      }),
    );
    return objects.filter(object => object !== undefined).map(({metadata: _, ...listed}) => listed);
  }
}

async function readOnly(): Promise<never> {
  throw new WeirError('ReadOnly', 'a web server can only be read');
}

async function readAll(response: HttpClientResponse): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > pageBytesMax) throw new WeirError('Unsupported', `an index page or list of over ${pageBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

