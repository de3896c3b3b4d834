/**
 * Writing an object. What is known to be small enough goes through in one request as it comes, without being kept. What is
 * larger or of unknown length is cut into parts, several in flight, whose memory all writers of the store share; if the end
 * comes within the first part, that part is written as an object of its own in one request.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {GiB, MiB} from '#base/units.ts';
import {etagOfParts} from '#understore/parts/upload-parts.ts';
import type {StoreCallOptions, StoreObject, StorePart, StoreWrite, StoreWriteRequest} from '#understore/under-store.ts';
import type {ByteBudget} from '#connectors/s3/byte-budget.ts';
import type {S3Client} from '#connectors/s3/client.ts';
import {metadataHeaders} from '#connectors/s3/metadata.ts';
import {makeObject} from '#connectors/s3/objects.ts';
import {abortOwnUpload, asPrecondition, completeOwnUpload, openOwnUpload, requireEtag, uploadPart, writeCondition} from '#connectors/s3/upload.ts';

/** Up to this size a known length is written in one request: one connection carries it fast enough. */
export const streamedBytesMax = 64 * MiB;
export const partsMax = 10_000;
const partsInFlightMax = 4;
/** Parts of streams of unknown length grow by two every so many, which reaches 8 TiB. */
const partsPerSize = 1000;

export function startWrite(client: S3Client, budget: ByteBudget, request: StoreWriteRequest, options: StoreCallOptions): StoreWrite {
  writeCondition(client, request.condition);
  return request.length !== undefined && request.length <= streamedBytesMax
    ? new StreamedWrite(client, request, request.length, options)
    : new PartedWrite(client, budget, request, options);
}

function putObject(client: S3Client, request: StoreWriteRequest, body: Uint8Array | AsyncIterable<Uint8Array>, length: number, signal: AbortSignal): Promise<StoreObject> {
  const headers = {...metadataHeaders(request.metadata), ...writeCondition(client, request.condition)};
  return client.sendForHeaders({method: 'PUT', key: request.key, headers, body, bodyLength: length, signal}).then(
    response => makeObject(request.key, {etag: requireEtag(response.header('etag'), request.key), length, modified: response.header('date')}),
    (error: unknown) => {
      throw asPrecondition(error, request.condition, request.key);
    },
  );
}

/** The last bytes are held back until `finish`, so that nothing becomes visible before. */
class StreamedWrite implements StoreWrite {
  readonly copies = true;
  readonly #key: ByteString;
  readonly #length: number;
  readonly #stop = new AbortController();
  readonly #answer: Promise<StoreObject>;
  readonly #signal: AbortSignal;
  #taken = 0;
  #held: Uint8Array | undefined;
  #hand: PromiseWithResolvers<Uint8Array | undefined> = Promise.withResolvers();
  /** The chunk that was handed over, until the request asks for the next. */
  #passing: PromiseWithResolvers<void> | undefined;
  /** Why the request takes no more. */
  #over: Error | undefined;

  constructor(client: S3Client, request: StoreWriteRequest, length: number, options: StoreCallOptions) {
    this.#key = request.key;
    this.#length = length;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#answer = putObject(client, request, this.#body(), length, this.#signal);
    // Once, and not for each chunk: what waits on the answer stays in memory until it comes.
    this.#answer.then(
      () => this.#end(new WeirError('Unavailable', `the store answered the write of ${toText(this.#key)} before it had all of it`)),
      (error: unknown) => this.#end(error as Error),
    );
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    this.#taken += chunk.length;
    if (this.#taken > this.#length) throw this.#wrongLength();
    if (chunk.length === 0) return;
    if (this.#taken === this.#length) this.#held = chunk;
    else await this.#pass(chunk);
  }

  async finish(): Promise<StoreObject> {
    this.#signal.throwIfAborted();
    if (this.#taken !== this.#length) throw this.#wrongLength();
    if (this.#held) await this.#pass(this.#held);
    this.#held = undefined;
    this.#hand.resolve(undefined);
    return await this.#answer;
  }

  async abort(): Promise<void> {
    this.#stop.abort(new WeirError('Cancelled', `the write of ${toText(this.#key)} was given up`));
    this.#hand.resolve(undefined);
    await this.#answer.catch(() => {});
  }

  /** Hands a chunk to the request and waits until it asks for the next; fails when the store has answered before the end. */
  async #pass(chunk: Uint8Array): Promise<void> {
    if (this.#over) throw this.#over;
    this.#passing = Promise.withResolvers();
    this.#hand.resolve(chunk);
    await this.#passing.promise;
  }

  #end(error: Error): void {
    this.#over = error;
    this.#passing?.reject(error);
  }

  async *#body(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = await this.#hand.promise;
      if (this.#signal.aborted) throw this.#signal.reason;
      if (!chunk) return;
      this.#hand = Promise.withResolvers();
      // The request may take its time with this chunk; the next one is held back by the writer until it asks again.
      yield chunk;
      this.#passing?.resolve();
    }
  }

  #wrongLength(): WeirError {
    return new WeirError('IncompleteBody', `${toText(this.#key)}: ${this.#taken} of ${this.#length} announced bytes were written`);
  }
}

class PartedWrite implements StoreWrite {
  readonly copies = true;
  readonly #client: S3Client;
  readonly #budget: ByteBudget;
  readonly #request: StoreWriteRequest;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #parts: Promise<StorePart>[] = [];
  readonly #inFlight = new Set<Promise<unknown>>();
  #uploadId: string | undefined;
  #buffer: Buffer | undefined;
  #release: (() => void) | undefined;
  #filled = 0;
  #taken = 0;
  #done = false;
  #etag: string | undefined;

  constructor(client: S3Client, budget: ByteBudget, request: StoreWriteRequest, options: StoreCallOptions) {
    this.#client = client;
    this.#budget = budget;
    this.#request = request;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    this.#taken += chunk.length;
    for (let at = 0; at < chunk.length; ) {
      // A full buffer is sent only when more follows: the last part is the one that finish sends.
      if (this.#buffer && this.#filled === this.#buffer.length) await this.#sendPart();
      if (!this.#buffer) {
        const bytes = this.#partBytes(this.#parts.length);
        this.#release = await this.#budget.take(bytes, this.#signal);
        this.#buffer = Buffer.allocUnsafeSlow(bytes);
        this.#filled = 0;
      }
      const piece = chunk.subarray(at, at + this.#buffer.length - this.#filled);
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
    }
  }

  get etag(): string | undefined {
    return this.#etag;
  }

  async finish(): Promise<StoreObject> {
    this.#signal.throwIfAborted();
    const {key, length, condition} = this.#request;
    if (length !== undefined && this.#taken !== length) throw new WeirError('IncompleteBody', `${toText(key)}: ${this.#taken} of ${length} announced bytes were written`);
    if (this.#uploadId === undefined) {
      const bytes = this.#buffer?.subarray(0, this.#filled) ?? Buffer.alloc(0);
      try {
        const object = await putObject(this.#client, this.#request, bytes, bytes.length, this.#signal);
        this.#done = true;
        return object;
      } finally {
        this.#letGo();
      }
    }
    if (this.#buffer) await this.#sendPart();
    const parts = await Promise.all(this.#parts);
    this.#etag = etagOfParts(parts);
    const object = await completeOwnUpload(this.#client, key, this.#uploadId, parts, condition, {signal: this.#signal});
    this.#done = true;
    return object;
  }

  async abort(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    this.#stop.abort(new WeirError('Cancelled', `the write of ${toText(this.#request.key)} was given up`));
    this.#letGo();
    await Promise.allSettled(this.#parts);
    if (this.#uploadId !== undefined) await abortOwnUpload(this.#client, this.#request.key, this.#uploadId);
  }

  async #sendPart(): Promise<void> {
    this.#uploadId ??= await openOwnUpload(this.#client, this.#request, {signal: this.#signal});
    // One that has failed ends the whole write here.
    while (this.#inFlight.size >= partsInFlightMax) await Promise.race(this.#inFlight);
    const bytes = this.#buffer!.subarray(0, this.#filled);
    const release = this.#release!;
    this.#buffer = undefined;
    this.#release = undefined;
    const sending = uploadPart(this.#client, this.#request.key, this.#uploadId, this.#parts.length + 1, bytes, bytes.length, {signal: this.#signal}).finally(release);
    this.#parts.push(sending);
    const settled = sending.finally(() => this.#inFlight.delete(settled));
    settled.catch(() => {});
    this.#inFlight.add(settled);
  }

  #partBytes(index: number): number {
    const {length} = this.#request;
    const base = this.#client.config.partBytes;
    if (length === undefined) return Math.min(5 * GiB, base * 2 ** Math.floor(index / partsPerSize));
    return Math.max(base, Math.ceil(length / partsMax / MiB) * MiB);
  }

  #letGo(): void {
    this.#release?.();
    this.#release = undefined;
    this.#buffer = undefined;
  }
}
