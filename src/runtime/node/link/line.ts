/**
 * One direction of a long link: all flows share its rate in turns, each is held to its own rate too, and what has departed arrives after
 * the delay. One timer serves everything; it runs only while something is under way.
 *
 * Rates are kept as credit in bytes that grows with time. Credit that nobody uses is lost but for a short burst, as on a wire.
 */
import type {Socket} from 'node:net';

/** Read ahead of its departure, for each flow: so many ms of the rate, but not less than this. Then its sender is held back. */
const queuedMs = 10;
const queuedBytesMin = 256 * 1024;
/** A flow's turn. */
const quantumBytes = 64 * 1024;
const tickMs = 1;
/** Credit that may be saved up, ms of the rate: while nobody sends, and while somebody waits for a timer that is late. */
const idleBurstMs = 2;
const lateBurstMs = 50;
/** Timers have millisecond steps; rounding to the nearest keeps the mean delay right. */
const earlyMs = 0.5;

interface UnderWay {
  readonly flow: Flow;
  readonly dueMs: number;
  /** Undefined is the end of the flow. */
  readonly bytes: Uint8Array | undefined;
}

class Credit {
  bytes = 0;
  readonly #perMs: number;
  #lastMs = -Infinity;

  constructor(bytesPerSecond: number) {
    this.#perMs = bytesPerSecond / 1000;
  }

  /** `waiting`: somebody has waited for credit since the last time. */
  grow(nowMs: number, waiting: boolean): void {
    const most = Math.max(this.#perMs * (waiting ? lateBurstMs : idleBurstMs), 1);
    this.bytes = Math.min(most, this.bytes + (nowMs - this.#lastMs) * this.#perMs);
    this.#lastMs = nowMs;
  }
}

export class Line {
  bytes = 0;
  readonly #delayMs: number;
  readonly #credit: Credit;
  #short = false;
  /** What a flow may have queued. */
  readonly queuedBytesMax: number;
  /** Flows with something to send, in the order of their turns. */
  readonly #ready = new Set<Flow>();
  /** In the order of arrival, which is the order of departure. */
  #underWay: UnderWay[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(delayMs: number, bytesPerSecond: number) {
    this.#delayMs = delayMs;
    this.#credit = new Credit(bytesPerSecond);
    this.queuedBytesMax = Math.max(queuedBytesMin, (bytesPerSecond / 1000) * queuedMs);
  }

  /** A flow that has something to send now. */
  wake(flow: Flow): void {
    // With nobody ready the timer rests until the next arrival, which may be a whole delay away.
    const resting = this.#ready.size === 0;
    this.#ready.add(flow);
    if (resting) this.#tick();
  }

  forget(flow: Flow): void {
    this.#ready.delete(flow);
  }

  readonly #tick = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = performance.now();
    this.#arrive(now);
    this.#depart(now);
    if (this.#ready.size > 0) this.#timer = setTimeout(this.#tick, tickMs);
    else if (this.#underWay.length > 0) this.#timer = setTimeout(this.#tick, Math.max(tickMs, Math.round(this.#underWay[0]!.dueMs - now)));
  };

  #depart(now: number): void {
    const credit = this.#credit;
    credit.grow(now, this.#short);
    let idle = 0;
    while (credit.bytes >= 1 && idle < this.#ready.size) {
      const [flow] = this.#ready as Iterable<Flow> as [Flow];
      this.#ready.delete(flow);
      const bytes = flow.take(Math.min(quantumBytes, Math.floor(credit.bytes)), now);
      if (bytes === 'later') {
        this.#ready.add(flow);
        idle++;
        continue;
      }
      if (bytes === 'nothing') continue;
      idle = 0;
      const length = bytes?.length ?? 0;
      credit.bytes -= length;
      this.bytes += length;
      this.#underWay.push({flow, dueMs: now + this.#delayMs, bytes});
      if (flow.hasMore) this.#ready.add(flow);
    }
    this.#short = credit.bytes < 1;
  }

  #arrive(now: number): void {
    let count = 0;
    const corked = new Set<Socket>();
    for (const {flow, dueMs, bytes} of this.#underWay) {
      if (dueMs > now + earlyMs) break;
      count++;
      if (!corked.has(flow.to)) {
        flow.to.cork();
        corked.add(flow.to);
      }
      flow.deliver(bytes);
    }
    if (count > 0) this.#underWay = this.#underWay.slice(count);
    for (const socket of corked) socket.uncork();
  }
}

/** One direction of one connection. */
export class Flow {
  readonly to: Socket;
  readonly #from: Socket;
  readonly #line: Line;
  readonly #credit: Credit | undefined;
  #short = false;
  #queue: Uint8Array[] = [];
  #queued = 0;
  /** Bytes of the first buffer that have departed. */
  #offset = 0;
  #ending = false;
  #ended = false;
  #blocked = false;

  /** `see` is shown all bytes as they come. */
  constructor(line: Line, from: Socket, to: Socket, bytesPerSecond: number | undefined, see: (bytes: Uint8Array) => void) {
    this.#line = line;
    this.#from = from;
    this.to = to;
    this.#credit = bytesPerSecond === undefined ? undefined : new Credit(bytesPerSecond);
    from.on('data', (bytes: Buffer) => {
      see(bytes);
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      if (this.#queued >= line.queuedBytesMax) from.pause();
      if (!this.#blocked) line.wake(this);
    });
    from.on('end', () => {
      this.#ending = true;
      if (!this.#blocked) line.wake(this);
    });
    to.on('drain', () => {
      this.#blocked = false;
      if (this.hasMore) line.wake(this);
    });
    to.on('close', () => {
      this.#ended = true;
      this.#queue = [];
      line.forget(this);
    });
  }

  get hasMore(): boolean {
    return !this.#ended && !this.#blocked && (this.#queued > 0 || this.#ending);
  }

  /** Up to `max` bytes that depart; undefined for the end. 'later' when its own rate holds it back. */
  take(max: number, now: number): Uint8Array | undefined | 'later' | 'nothing' {
    if (!this.hasMore) return 'nothing';
    const first = this.#queue[0];
    if (!first) {
      this.#ended = true;
      return undefined;
    }
    this.#credit?.grow(now, this.#short);
    const count = Math.min(max, first.length - this.#offset, Math.floor(this.#credit?.bytes ?? max));
    this.#short = count < 1;
    if (this.#short) return 'later';
    const bytes = first.subarray(this.#offset, this.#offset + count);
    this.#offset += count;
    if (this.#offset === first.length) {
      this.#queue.shift();
      this.#offset = 0;
    }
    if (this.#credit) this.#credit.bytes -= count;
    this.#queued -= count;
    if (this.#queued < this.#line.queuedBytesMax / 2 && this.#from.isPaused()) this.#from.resume();
    return bytes;
  }

  deliver(bytes: Uint8Array | undefined): void {
    if (this.to.destroyed) return;
    if (bytes === undefined) {
      if (this.#from.destroyed) this.to.destroySoon();
      else this.to.end();
    } else if (!this.to.write(bytes)) {
      this.#blocked = true;
      this.#line.forget(this);
    }
  }
}
