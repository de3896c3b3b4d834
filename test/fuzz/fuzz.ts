/**
 * Feeds a decoder what it may get from the world: mutations of its corpus, guided by coverage (inputs that reach a new block join the
 * corpus). A decoder may return or refuse; whatever else it does is a finding. The same seed and corpus give the same inputs.
 */
import {isDeepStrictEqual} from 'node:util';
import {WeirError} from '#base/errors.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {Coverage} from './coverage.ts';
import {type Grammar, mutate, Random} from './mutate.ts';

export interface Target {
  readonly grammar: Grammar;
  readonly seeds: readonly Buffer[];
  /** Decodes, and states what must hold of the outcome. */
  run(input: Buffer): void;
}

export interface Finding {
  /** Shrunk while it failed. */
  readonly input: Buffer;
  readonly error: unknown;
}

export interface FuzzOptions {
  readonly executions: number;
  readonly seed: number;
  /** Beside the target's seeds. */
  readonly corpus?: readonly Buffer[];
  readonly coverage?: Coverage;
  readonly progress?: (executions: number, corpus: number) => void;
}

export interface FuzzResult {
  readonly executions: number;
  /** With the inputs that reached something new. */
  readonly corpus: readonly Buffer[];
  readonly finding?: Finding;
}

/** Inputs between two looks at the coverage, which costs as much as some dozen of them. */
const batchSize = 250;
const slowMs = 5000;
const shrinkTries = 2000;

/** What a decoder says when it does not like its input. Internal is for bugs. */
export function isRefusal(error: unknown): boolean {
  return error instanceof S3Error || (error instanceof WeirError && error.kind !== 'Internal');
}

/** The value, or that it was refused: for comparing two ways of decoding the same. */
export function outcome<T>(decode: () => T): {value: T} | 'refused' {
  try {
    return {value: decode()};
  } catch (error) {
    if (isRefusal(error)) return 'refused';
    throw error;
  }
}

export function mustEqual(actual: unknown, expected: unknown, what: string): void {
  if (!isDeepStrictEqual(actual, expected)) throw new Error(what);
}

/** What is wrong with how `target` takes `input`, if anything. */
function failure(target: Target, input: Buffer): unknown {
  const started = performance.now();
  try {
    target.run(Buffer.from(input));
  } catch (error) {
    if (!isRefusal(error)) return error;
  }
  const ms = performance.now() - started;
  return ms > slowMs ? new Error(`took ${Math.round(ms)} ms`) : undefined;
}

export function fuzz(target: Target, {executions, seed, corpus: extra = [], coverage, progress}: FuzzOptions): FuzzResult {
  const random = new Random(seed);
  const corpus = [...target.seeds, ...extra];
  let done = 0;
  const failing = (input: Buffer): Finding | undefined => {
    done++;
    const error = failure(target, input);
    return error === undefined ? undefined : {input: shrink(target, input), error};
  };
  for (const input of corpus) {
    const finding = failing(input);
    if (finding) return {executions: done, corpus, finding};
  }
  coverage?.take(true);
  while (done < executions) {
    const batch: Buffer[] = [];
    while (batch.length < batchSize && done < executions) {
      const input = mutate(corpus, random, target.grammar);
      batch.push(input);
      const finding = failing(input);
      if (finding) return {executions: done, corpus, finding};
    }
    if (coverage?.take(false)) {
      for (const input of batch) {
        failure(target, input);
        if (coverage.take(true)) corpus.push(input);
      }
    }
    progress?.(done, corpus.length);
  }
  return {executions: done, corpus};
}

/** Takes pieces away, and makes bytes plain, for as long as it still fails. */
function shrink(target: Target, input: Buffer): Buffer {
  let smallest = input;
  let tries = 0;
  for (let length = input.length; length >= 1; length >>= 1) {
    for (let at = 0; at < smallest.length && tries++ < shrinkTries; ) {
      const without = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + length)]);
      if (failure(target, without) === undefined) at += length;
      else smallest = without;
    }
  }
  return smallest;
}
