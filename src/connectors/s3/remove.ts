/** Removal in batches, and one by one where a store has no batches or a key no place in XML. */
import {hash} from 'node:crypto';
import {type ByteString, fromText, isUtf8, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {StoreCallOptions} from '#understore/under-store.ts';
import type {S3Client} from '#connectors/s3/client.ts';
import {errorOf} from '#connectors/s3/errors.ts';
import {childText, escapeXml} from '#connectors/s3/xml.ts';

const batchKeysMax = 1000;
const singlesInFlightMax = 16;

export type Failure = {key: ByteString; error: Error};

export class Remover {
  readonly #client: S3Client;
  #batches = true;

  constructor(client: S3Client) {
    this.#client = client;
  }

  async remove(keys: readonly ByteString[], options: StoreCallOptions): Promise<Failure[]> {
    if (keys.length === 1 || !this.#batches) return await this.#singly(keys, options);
    const inXml = keys.filter(fitsXml);
    const failed = await this.#singly(keys.filter(key => !fitsXml(key)), options);
    for (let at = 0; at < inXml.length; at += batchKeysMax) failed.push(...(await this.#batch(inXml.slice(at, at + batchKeysMax), options)));
    return failed;
  }

  async #batch(keys: readonly ByteString[], options: StoreCallOptions): Promise<Failure[]> {
    const objects = keys.map(key => `<Object><Key>${escapeXml(toText(this.#client.fullKey(key)))}</Key></Object>`);
    const body = Buffer.from(`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects.join('')}</Delete>`);
    const headers = {'content-type': 'application/xml', 'content-md5': hash('md5', body, 'base64')};
    try {
      const {document} = await this.#client.sendForXml({method: 'POST', query: [['delete', fromText('')]], headers, body, signal: options.signal}, 'DeleteResult');
      return document.children.filter(element => element.name === 'Error').flatMap(element => this.#failure(keys, element));
    } catch (error) {
      if (!isKind(error, 'Unsupported')) throw error;
      this.#batches = false;
      return await this.#singly(keys, options);
    }
  }

  #failure(keys: readonly ByteString[], element: Parameters<typeof childText>[0]): Failure[] {
    const code = childText(element, 'Code') ?? 'InternalError';
    if (code === 'NoSuchKey') return [];
    const fullKey = fromText(childText(element, 'Key') ?? '');
    const key = keys.find(candidate => this.#client.fullKey(candidate) === fullKey);
    if (key === undefined) throw new WeirError('Unavailable', `the store could not remove ${toText(fullKey)}, which was not asked for`);
    const body = `<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(childText(element, 'Message') ?? '')}</Message></Error>`;
    return [{key, error: errorOf({status: 500, body, header: () => undefined, what: this.#client.describe({method: 'DELETE', key}), bucket: this.#client.config.bucket})}];
  }

  async #singly(keys: readonly ByteString[], options: StoreCallOptions): Promise<Failure[]> {
    const failed: Failure[] = [];
    const queue = keys.values();
    await Promise.all(
      Array.from({length: Math.min(singlesInFlightMax, keys.length)}, async () => {
        for (const key of queue) {
          try {
            await this.#client.sendForHeaders({method: 'DELETE', key, signal: options.signal});
          } catch (error) {
            if (!isKind(error, 'NotFound')) failed.push({key, error: error instanceof Error ? error : new WeirError('Cancelled', String(error))});
          }
        }
      }),
    );
    return failed;
  }
}

/** XML 1.0 has no place for most control characters, nor for what is no text. */
function fitsXml(key: ByteString): boolean {
  return isUtf8(key) && !/[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]/.test(key);
}
