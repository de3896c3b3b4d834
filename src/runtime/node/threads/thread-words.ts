/** What a serving thread and the main one say to each other, beside what is said of leases (leases.ts). */
import type {LogFields} from '#runtime/log.ts';
import type {LineEnd} from '#runtime/node/threads/thread-line.ts';
import type {CounterBegun} from '#runtime/node/threads/shared-counters.ts';

/**
 * Kinds of records: bytes of calls; a question about a read, and its answer; a connection (its descriptor is the id; payload: nothing of a new one,
 * one byte of one that has had answers, and back to the main thread the request that it is to answer), and that it was taken; a wish for so many connections.
 */
export const recordKinds = {calls: 1, question: 2, answer: 3, connection: 4, taken: 5, wanted: 6} as const;

/** With what a thread begins. */
export interface ThreadBeginning {
  readonly line: LineEnd;
  readonly counters: SharedArrayBuffer;
  readonly duplicates: SharedArrayBuffer;
  /** Of whoever wrote what the thread runs. */
  readonly data: unknown;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Messages of a thread. `said`: of what it runs. */
export type FromThread =
  | {readonly ready: true}
  | {readonly log: LogLevel; readonly message: string; readonly fields: LogFields}
  | {readonly counter: CounterBegun}
  | {readonly connections: number; readonly cpuMs: number}
  | {readonly said: unknown};

/** Messages to a thread: answer what is under way and end. `retire`: other connections go back to the main thread. */
export type ToThread = {readonly end: 'stop' | 'retire'};
