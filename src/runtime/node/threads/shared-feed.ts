/**
 * What one thread has decided and another must not miss, not even for a moment: values that are published here are taken by the follower before it
 * answers its next question, without asking and without waiting.
 *
 * Invariant: a value is in the follower's port before the shared count says so; who sees the count finds the value by a read that does not wait.
 */
import {MessageChannel, type MessagePort, receiveMessageOnPort} from 'node:worker_threads';
import {assert} from '#base/assert.ts';

/** To be handed to the follower's thread, with the port in the transfer list. */
export interface FeedEnd {
  readonly port: MessagePort;
  readonly count: SharedArrayBuffer;
}

export class FeedPublisher<T> implements Disposable {
  readonly end: FeedEnd;
  readonly #port: MessagePort;
  readonly #count: Int32Array;

  constructor() {
    const {port1, port2} = new MessageChannel();
    const count = new SharedArrayBuffer(4);
    this.#port = port1;
    this.#count = new Int32Array(count);
    this.end = {port: port2, count};
    port1.unref();
  }

  publish(value: T): void {
    this.#port.postMessage(value);
    Atomics.add(this.#count, 0, 1);
  }

  [Symbol.dispose](): void {
    this.#port.close();
  }
}

const none: readonly never[] = [];

export class FeedFollower<T> {
  readonly #port: MessagePort;
  readonly #count: Int32Array;
  #taken = 0;

  constructor({port, count}: FeedEnd) {
    this.#port = port;
    this.#count = new Int32Array(count);
  }

  /** What was published since, in order: all that was published before the call. */
  take(): readonly T[] {
    if (Atomics.load(this.#count, 0) === this.#taken) return none;
    const values: T[] = [];
    for (const published = Atomics.load(this.#count, 0); this.#taken !== published; this.#taken = (this.#taken + 1) | 0) {
      const received = receiveMessageOnPort(this.#port) as {readonly message: T} | undefined;
      assert(received !== undefined, 'what was counted was sent before');
      values.push(received.message);
    }
    return values;
  }
}
