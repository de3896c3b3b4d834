/** A serving thread, from inside: what it begins with, what it can say, and the connections that it is given. */
import {parentPort, workerData} from 'node:worker_threads';
import {assert} from '#base/assert.ts';
import {watchDuplicates} from '#runtime/node/http/duplicates.ts';
import type {ServedSockets} from '#runtime/node/http/served-sockets.ts';
import type {RingRecord} from '#runtime/node/threads/byte-ring.ts';
import {countersIn} from '#runtime/node/threads/shared-counters.ts';
import {ThreadLine} from '#runtime/node/threads/thread-line.ts';
import {threadCpuMs} from '#runtime/node/threads/thread-cpu.ts';
import {type FromThread, type LogLevel, recordKinds, type ThreadBeginning, type ToThread} from '#runtime/node/threads/thread-words.ts';
import type {Log, LogFields} from '#runtime/log.ts';
import type {Metrics} from '#runtime/metrics.ts';

/** How often a thread says how many connections it has, and what it used. */
const reportMs = 500;
/** A connection that is asked to leave does so after its answer; those that have no more requests are closed after this time. */
const retireMs = 30_000;
const kept = Buffer.from([1]);
const empty = new Uint8Array(0);

export interface ThreadSide {
  readonly data: unknown;
  readonly line: ThreadLine;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'counter'>;
  /** To whoever wrote what the thread runs, in the main thread. */
  say(said: unknown): void;
  /** Serves what the thread is given, until it is told to end. */
  serve(served: ServedSockets): void;
}

/** Call once, in the thread. `receive`: records that are not about connections. */
export function threadSide(receive: (record: RingRecord) => void): ThreadSide {
  const port = parentPort;
  assert(port !== null, 'this is the inside of a thread');
  const {line: end, counters, duplicates, data} = workerData as ThreadBeginning;
  watchDuplicates(duplicates);
  const say = (message: FromThread): void => port.postMessage(message);
  let served: ServedSockets | undefined;

  const line = new ThreadLine(end, (record) => {
    const {kind, id, payload} = record;
    if (kind === recordKinds.connection) {
      // First of all: from here on this thread closes it.
      line.send(recordKinds.taken, id, empty);
      assert(served !== undefined, 'connections come to a thread that is ready');
      served.adopt(id, payload.length > 0);
    } else if (kind === recordKinds.wanted) give(id);
    else receive(record);
  });

  /** Hands so many connections back, each when it has had an answer. */
  function give(count: number): void {
    if (!served) return;
    const {shared} = served;
    let left = count;
    shared.handAway = (connection) => {
      const fd = connection.leave();
      if (fd < 0) return false;
      line.send(recordKinds.connection, fd, kept);
      if (--left === 0) shared.handAway = undefined;
      return true;
    };
  }

  async function finish(how: ToThread['end']): Promise<void> {
    if (served && how === 'retire') {
      give(Infinity);
      const {shared} = served;
      for (const connection of shared.connections) shared.handAway?.(connection);
      const deadline = performance.now() + retireMs;
      while (served.count > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await served?.stop();
    // What was said last is read by the main thread from the shared memory, also after this.
    await line.room();
    process.exit(0);
  }

  port.on('message', ({end: how}: ToThread) => void finish(how));
  return {
    data,
    line,
    log: threadLog(say, {}),
    metrics: countersIn(counters, (counter) => say({counter})),
    say: (said) => say({said}),
    serve: (sockets) => {
      served = sockets;
      sockets.shared.handOn = (fd, input) => line.send(recordKinds.connection, fd, input);
      setInterval(() => say({connections: sockets.count, cpuMs: threadCpuMs()}), reportMs).unref();
      say({ready: true});
    },
  };
}

function threadLog(say: (message: FromThread) => void, more: LogFields): Log {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => say({log: level, message, fields: plain({...more, ...fields})});
  return {debug: () => {}, info: at('info'), warn: at('warn'), error: at('error'), child: (fields) => threadLog(say, {...more, ...fields})};
}

/** What can be copied to another thread. */
function plain(fields: LogFields): LogFields {
  try {
    return structuredClone(fields);
  } catch {
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? `${value.name}: ${value.message}` : String(value)]));
  }
}
