/** Counts what a store is asked and what it answers, by scheme of the store: never by key, bucket or user. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Counter, Histogram, Metrics} from '#runtime/metrics.ts';
import {StoreLayer, type StoreCall} from '#understore/layers/layer.ts';
import {tapBody} from '#understore/layers/tap-body.ts';
import type {StoreCallOptions, StorePart, UnderStore} from '#understore/under-store.ts';

/** Seconds. */
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

class MetricsLayer extends StoreLayer {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #scheme: string;
  readonly #read: Counter;
  readonly #written: Counter;
  readonly #calls = new Map<StoreCall['name'], {requests: Counter; seconds: Histogram}>();

  constructor(inner: UnderStore, clock: Clock, metrics: Metrics, scheme: string) {
    super(inner);
    this.#clock = clock;
    this.#metrics = metrics;
    this.#scheme = scheme;
    const help = 'Bytes of bodies read from and written to under stores.';
    this.#read = metrics.counter('weir_understore_bytes_total', help, {scheme, direction: 'read'});
    this.#written = metrics.counter('weir_understore_bytes_total', help, {scheme, direction: 'write'});
  }

  protected override async around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    if (call.name === 'writeChunk') {
      this.#written.add(call.length);
      return await run(options);
    }
    if (call.name === 'writeTogether') this.#written.add(call.length);
    const {requests, seconds} = this.#of(call.name);
    const start = this.#clock.monotonicMs();
    requests.add();
    try {
      return await run(options);
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      seconds.observe((this.#clock.monotonicMs() - start) / 1000);
    }
  }

  protected override body(body: AsyncIterable<Uint8Array>, _options: StoreCallOptions): AsyncIterable<Uint8Array> {
    return tapBody(body, {chunk: chunk => this.#read.add(chunk.length), done: error => error !== undefined && this.#failed(error)});
  }

  override uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart> {
    return super.uploadPart(key, uploadId, partNumber, tapBody(body, {chunk: chunk => this.#written.add(chunk.length)}), length, options);
  }

  #of(call: StoreCall['name']): {requests: Counter; seconds: Histogram} {
    let found = this.#calls.get(call);
    if (!found) {
      const labels = {scheme: this.#scheme, call};
      found = {
        requests: this.#metrics.counter('weir_understore_requests_total', 'Calls to under stores, each attempt counted.', labels),
        seconds: this.#metrics.histogram('weir_understore_seconds', 'Time until an under store answered; for reads, until the body began.', latencyBuckets, labels),
      };
      this.#calls.set(call, found);
    }
    return found;
  }

  #failed(error: unknown): void {
    const kind = error instanceof WeirError ? error.kind : 'Cancelled';
    this.#metrics.counter('weir_understore_errors_total', 'Failed calls and broken bodies of under stores.', {scheme: this.#scheme, kind}).add();
  }
}

export function withMetrics(inner: UnderStore, clock: Clock, metrics: Metrics, scheme: string): UnderStore {
  return new MetricsLayer(inner, clock, metrics, scheme);
}
