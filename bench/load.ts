/**
 * The load generator, a process of its own: HTTP/1.1 on bare sockets, kept-alive connections with one request at a time on each. All requests are
 * built and signed before the clock starts, and what comes back is only counted, so that the server stays the bottleneck as long as
 * it can. Reads its LoadPlan as JSON from stdin up to a newline, prints `ready`, waits for a second line, runs, prints a LoadResult.
 */
import {connect, type Socket} from 'node:net';
import {createInterface} from 'node:readline';
import {Signer} from '#connectors/s3/sign.ts';

export interface LoadPlan {
  readonly host: string;
  readonly port: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly method: 'GET' | 'HEAD' | 'PUT';
  /** Requests in order, each sent once. */
  readonly requests: readonly LoadRequest[];
  /** The first so many requests do not count; the clock starts when all of them are answered. */
  readonly warmUps?: number;
  readonly connections: number;
  /** Of every PUT. */
  readonly bodyBytes?: number;
}

export interface LoadRequest {
  /** Encoded as sent. */
  readonly path: string;
  /** First and last byte. */
  readonly range?: readonly [number, number];
  /** Where it is another than the plan's. */
  readonly method?: LoadPlan['method'];
  /** Of unreserved characters. */
  readonly query?: readonly (readonly [name: string, value: string])[];
}

export interface LoadResult {
  readonly seconds: number;
  readonly requests: number;
  /** Of bodies received, or sent for PUT. */
  readonly bytes: number;
  /** From sending a request to the first and to the last byte of its answer. */
  readonly firstByteMs: Percentiles;
  readonly wholeMs: Percentiles;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

const receiveBytes = 512 * 1024;
const headEnd = Buffer.from('\r\n\r\n');

function build(plan: LoadPlan): Buffer[] {
  const signer = new Signer('us-east-1');
  const host = `${plan.host}:${plan.port}`;
  const now = Date.now();
  return plan.requests.map(({path, range, method = plan.method, query = []}) => {
    const given: Record<string, string> = {host};
    if (range) given['range'] = `bytes=${range[0]}-${range[1]}`;
    const headers = signer.sign({method, path, query, headers: given}, 'UNSIGNED-PAYLOAD', plan, now);
    if (method === 'PUT') headers['content-length'] = String(plan.bodyBytes ?? 0);
    const target = query.length === 0 ? path : `${path}?${query.map(([name, value]) => `${name}=${value}`).join('&')}`;
    return Buffer.from(`${method} ${target} HTTP/1.1\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1');
  });
}

function percentiles(values: Float64Array): Percentiles {
  const sorted = values.toSorted();
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return {p50: at(0.5), p99: at(0.99)};
}

class Run {
  readonly #plan: LoadPlan;
  readonly #heads: readonly Buffer[];
  readonly #body: Buffer;
  readonly #firstByte: Float64Array;
  readonly #whole: Float64Array;
  #next = 0;
  #done = 0;
  #bytes = 0;
  #limit = 0;
  #finished: (() => void) | undefined;
  readonly #sockets: Lane[] = [];

  constructor(plan: LoadPlan) {
    this.#plan = plan;
    this.#heads = build(plan);
    this.#body = Buffer.alloc(plan.bodyBytes ?? 0, 'weir ');
    this.#firstByte = new Float64Array(this.#heads.length);
    this.#whole = new Float64Array(this.#heads.length);
  }

  async open(): Promise<void> {
    for (let i = 0; i < this.#plan.connections; i++) this.#sockets.push(await openLane(this.#plan, this));
  }

  /** Sends requests up to number `limit`; resolves when all are answered. */
  async until(limit: number): Promise<void> {
    if (limit === this.#done) return;
    this.#limit = limit;
    await new Promise<void>(resolve => {
      this.#finished = resolve;
      for (const lane of this.#sockets) this.send(lane);
    });
  }

  send(lane: Lane): void {
    if (this.#next >= this.#limit) {
      lane.request = -1;
      return;
    }
    lane.request = this.#next++;
    lane.sentAt = performance.now();
    lane.socket.write(this.#heads[lane.request]!);
    if (this.#body.length > 0 && this.methodOf(lane) === 'PUT') lane.socket.write(this.#body);
  }

  firstByte(lane: Lane): void {
    this.#firstByte[lane.request] = performance.now() - lane.sentAt;
  }

  answered(lane: Lane, length: number): void {
    this.#whole[lane.request] = performance.now() - lane.sentAt;
    this.#done++;
    if (this.#done > (this.#plan.warmUps ?? 0)) this.#bytes += this.methodOf(lane) === 'PUT' ? this.#body.length : length;
    if (this.#done === this.#limit) this.#finished?.();
    else this.send(lane);
  }

  methodOf(lane: Lane): LoadPlan['method'] {
    return this.#plan.requests[lane.request]?.method ?? this.#plan.method;
  }

  describe(lane: Lane): string {
    return `${this.methodOf(lane)} ${this.#plan.requests[lane.request]?.path ?? 'nothing'}`;
  }

  async measure(): Promise<LoadResult> {
    const started = performance.now();
    await this.until(this.#heads.length);
    const seconds = (performance.now() - started) / 1000;
    const from = this.#plan.warmUps ?? 0;
    for (const {socket} of this.#sockets) socket.destroy();
    return {seconds, requests: this.#heads.length - from, bytes: this.#bytes, firstByteMs: percentiles(this.#firstByte.subarray(from)), wholeMs: percentiles(this.#whole.subarray(from))};
  }
}

interface Lane {
  readonly socket: Socket;
  request: number;
  sentAt: number;
}

async function openLane(plan: LoadPlan, run: Run): Promise<Lane> {
  /** Of the current answer: bytes of the body that are still to come; undefined before the end of its head. */
  let left: number | undefined;
  let length = 0;
  let started = false;
  let head = '';
  const receive = (count: number, buffer: Uint8Array): boolean => {
    if (!started) {
      started = true;
      run.firstByte(lane);
    }
    if (left !== undefined) left -= count;
    else {
      const bytes = buffer as Buffer;
      const end = head === '' ? bytes.subarray(0, count).indexOf(headEnd) : -1;
      if (head === '' && end >= 0) {
        length = bodyLength(bytes.toString('latin1', 0, end), lane);
        left = bodyIn(length) - (count - end - 4);
      } else {
        head += bytes.toString('latin1', 0, count);
        const at = head.indexOf('\r\n\r\n');
        if (at < 0) return true;
        length = bodyLength(head.slice(0, at), lane);
        left = bodyIn(length) - (head.length - at - 4);
        head = '';
      }
    }
    if (left > 0) return true;
    if (left < 0) throw new Error(`more bytes than promised to ${run.describe(lane)}`);
    left = undefined;
    started = false;
    run.answered(lane, length);
    return true;
  };
  const bodyIn = (promised: number): number => (run.methodOf(lane) === 'HEAD' ? 0 : promised);
  const bodyLength = (text: string, of: Lane): number => {
    const status = text.slice(9, 12);
    if (status !== '200' && status !== '206') throw new Error(`${status} to ${run.describe(of)}: ${text}`);
    const at = text.toLowerCase().indexOf('\r\ncontent-length:');
    if (at < 0) throw new Error(`no Content-Length to ${run.describe(of)}: ${text}`);
    return Number.parseInt(text.slice(at + 17), 10);
  };
  const buffer = Buffer.allocUnsafeSlow(Math.max(64 * 1024, Math.floor(receiveBytes / plan.connections)));
  const socket = connect({host: plan.host, port: plan.port, noDelay: true, onread: {buffer, callback: receive}});
  const lane: Lane = {socket, request: -1, sentAt: 0};
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.on('error', error => {
    throw error;
  });
  socket.on('end', () => {
    // Whoever is done long before the others may be closed as idle.
    if (lane.request >= 0) throw new Error(`the server closed the connection in ${run.describe(lane)}`);
  });
  return lane;
}

const lines = createInterface({input: process.stdin})[Symbol.asyncIterator]();
const nextLine = async (): Promise<string> => ((await lines.next()) as {value: string}).value;
const plan = JSON.parse(await nextLine()) as LoadPlan;
const run = new Run(plan);
await run.open();
await run.until(plan.warmUps ?? 0);
process.stdout.write('ready\n');
await nextLine();
process.stdout.write(`${JSON.stringify(await run.measure())}\n`);
process.exit(0);
