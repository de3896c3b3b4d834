/**
 * A line between two threads of this process: records both ways, each way a ring in shared memory (byte-ring.ts), and a port that wakes whoever
 * has gone to sleep. What is said in one turn of the event loop costs one wake-up together, and none while the other side is awake.
 *
 * Invariants: records arrive in the order in which they were sent; what the ring has no room for is kept here and goes first; a side sleeps only
 * after it has said so and looked once more, so no record waits for the one behind it.
 */
import {MessageChannel, type MessagePort} from 'node:worker_threads';
import {makeRing, RingReader, type RingRecord, RingWriter} from '#runtime/node/threads/byte-ring.ts';

/** Records that are taken in one turn, so that connections get theirs. */
const turnRecords = 256;

/** One end, to be handed to its thread with the port in the transfer list. */
export interface LineEnd {
  readonly port: MessagePort;
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
}

export function makeLine(): readonly [LineEnd, LineEnd] {
  const {port1, port2} = new MessageChannel();
  const [one, other] = [makeRing(), makeRing()];
  return [{port: port1, outgoing: one, incoming: other}, {port: port2, outgoing: other, incoming: one}];
}

export class ThreadLine {
  readonly #port: MessagePort;
  readonly #writer: RingWriter;
  readonly #reader: RingReader;
  readonly #receive: (record: RingRecord) => void;
  /** What waits for room in the ring. Its bound is that of what may be unanswered: connections, and windows of streams. */
  #waiting: {readonly kind: number; readonly id: number; readonly payload: Uint8Array}[] = [];
  #roomWanted: PromiseWithResolvers<void> | undefined;
  #wakeDue = false;
  #lookDue = false;
  #closed = false;

  /** `receive` is called in turns of the line's own; its record's payload is good for that call only. */
  constructor({port, outgoing, incoming}: LineEnd, receive: (record: RingRecord) => void) {
    this.#port = port;
    this.#writer = new RingWriter(outgoing);
    this.#reader = new RingReader(incoming);
    this.#receive = receive;
    port.on('message', () => this.#woken());
    this.#lookSoon();
  }

  /** Does not keep its thread alive from now on. */
  unref(): void {
    this.#port.unref();
  }

  /** The payload, up to `recordBytesMax`, may be used again at once. Nothing happens on a closed line. */
  send(kind: number, id: number, payload: Uint8Array): void {
    if (this.#closed) return;
    if (this.#waiting.length > 0 || !this.#writer.write(kind, id, payload)) {
      this.#waiting.push({kind, id, payload: Uint8Array.prototype.slice.call(payload)});
      this.#writeWaiting();
    }
    this.#wakeSoon();
  }

  /** Resolves when nothing waits for room, or when the line is closed; undefined when that is so already. */
  room(): Promise<void> | undefined {
    if (this.#waiting.length === 0) return undefined;
    return (this.#roomWanted ??= Promise.withResolvers<void>()).promise;
  }

  /** Takes what the other side has sent, now: it will send nothing more. */
  drain(): void {
    for (let record = this.#reader.take(); record; record = this.#reader.take()) this.#receive(record);
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#roomWanted?.resolve();
    this.#port.close();
  }

  #wakeSoon(): void {
    if (this.#wakeDue) return;
    this.#wakeDue = true;
    setImmediate(this.#wake);
  }

  readonly #wake = (): void => {
    this.#wakeDue = false;
    if (!this.#closed && this.#writer.wakes()) this.#port.postMessage(0);
  };

  #woken(): void {
    this.#writeWaiting();
    this.#look();
  }

  #writeWaiting(): void {
    let done = 0;
    for (const {kind, id, payload} of this.#waiting) {
      if (!this.#writer.write(kind, id, payload)) {
        if (this.#writer.awaitRoom() || !this.#writer.write(kind, id, payload)) break;
      }
      done++;
    }
    if (done > 0) {
      this.#waiting.splice(0, done);
      this.#wakeSoon();
    }
    if (this.#waiting.length > 0) return;
    this.#roomWanted?.resolve();
    this.#roomWanted = undefined;
  }

  readonly #look = (): void => {
    this.#lookDue = false;
    for (let left = turnRecords; !this.#closed; left--) {
      const record = left > 0 ? this.#reader.take() : undefined;
      if (record) this.#receive(record);
      else if (left === 0) this.#lookSoon();
      if (left === 0 || (!record && this.#reader.sleeps())) break;
    }
    if (!this.#closed && this.#reader.madeRoom()) this.#port.postMessage(0);
  };

  #lookSoon(): void {
    if (this.#lookDue) return;
    this.#lookDue = true;
    setImmediate(this.#look);
  }
}
