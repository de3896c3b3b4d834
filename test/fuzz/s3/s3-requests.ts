/**
 * Fuzzes the S3 front end with requests: recordings of stock clients and one of each operation, changed where their parts are, mostly signed
 * anew. A request whose answer is of a kind that was not seen before joins the corpus. The same seed sends the same requests.
 */
import type {Coverage} from '../coverage.ts';
import {Random} from '../mutate.ts';
import {type MachineOptions, nowMs, S3Machine} from './machine.ts';
import {change, enliven} from './mutations.ts';
import {type Answer, examine} from './oracles.ts';
import {copyOf, type FuzzRequest, isFrames, parseRecorded} from './request.ts';
import {seeds} from './seeds.ts';
import {encode, type Key, type SignPlan} from './sign.ts';

export interface RequestFuzzOptions extends MachineOptions {
  readonly executions: number;
  readonly seed: number;
  /** Raw requests that were findings once. */
  readonly corpus?: readonly Buffer[];
  readonly coverage?: Coverage;
  readonly progress?: (executions: number, corpus: number, kinds: ReadonlyMap<string, number>) => void;
}

export interface RequestFinding {
  /** As it was sent; with parts taken away for as long as it failed on a new machine. */
  readonly wire: Buffer;
  readonly error: Error;
  /** It fails on a machine that has not seen the requests before it. */
  readonly alone: boolean;
}

export interface RequestFuzzResult {
  readonly executions: number;
  /** Distinct kinds of answers: operation, status, code. */
  readonly kinds: ReadonlyMap<string, number>;
  readonly finding?: RequestFinding;
}

/** Then a new machine: what requests leave behind is bounded, and a finding is not too far from its beginning. */
const requestsAMachine = 2000;
const corpusMax = 4000;
/** Blocks are told from what did not run between two looks: so the first come soon. */
const coverageLooks: ReadonlySet<number> = new Set([1, 5, 20, 60, 150, 400, 1000]);
const shrinkTriesMax = 150;

function planOf(request: FuzzRequest, random: Random, keys: readonly Key[]): SignPlan {
  const form = request.headers.some(([name, value]) => name.toLowerCase() === 'content-type' && value.startsWith('multipart/form-data'));
  const query = request.query.some(([name]) => /^(X-Amz-Signature|Signature)$/.test(name));
  const how = random.below(20) === 0 ? random.of(['header', 'query', 'none', 'as it was'] as const) : form ? 'form' : query ? 'query' : 'header';
  const plan: SignPlan = {how, key: random.below(8) === 0 ? random.of(keys) : keys[0]!, nowMs};
  switch (random.below(30)) {
    case 0: return {...plan, broken: how === 'header' || how === 'query'};
    case 1: return {...plan, scope: random.of([{region: 'eu-west-1'}, {service: 'iam'}, {date: '20261120'}, {service: 'sts'}, {region: ''}])};
    case 2: return {...plan, nowMs: nowMs + random.of([-16 * 60_000, 16 * 60_000, -86_400_000, -800_000, 3_600_000])};
    case 3: case 5: case 6: return {...plan, keepHash: true};
    case 4: return {...plan, expires: random.of(['1', '0', '-1', '604800', '604801', 'x', '', '99999999999999999999'])};
    default: return plan;
  }
}

function kindOf(request: FuzzRequest, answer: Answer | undefined): string {
  if (!answer) return 'http';
  const code = /<Code>(\w+)<\/Code><Message>([^<]{0,40})/.exec(answer.body.toString('latin1', 0, 400));
  const [, , key] = request.path.split('/');
  const asked = request.query.map(([name]) => name).filter((name) => !name.startsWith('X-Amz-')).slice(0, 2).sort().join('&').slice(0, 40);
  return `${request.method} ${key === undefined ? 'bucket' : 'key'} ${asked} ${answer.status} ${code?.[1] ?? ''} ${code?.[2]?.replace(/[^a-zA-Z ]/g, '') ?? ''}`;
}

export async function fuzzRequests({executions, seed, corpus: extra = [], coverage, progress, ...options}: RequestFuzzOptions): Promise<RequestFuzzResult> {
  // Timers of the machine do not keep a process alive.
  const alive = setInterval(() => {}, 60_000);
  const random = new Random(seed);
  const corpus = [...seeds(), ...extra.map(parseRecorded)];
  const first = corpus.length;
  const kinds = new Map<string, number>();
  let machine = await S3Machine.start(options);
  try {
    for (let done = 0; done < executions; done++) {
      if (done > 0 && done % requestsAMachine === 0) {
        await machine[Symbol.asyncDispose]();
        machine = await S3Machine.start(options);
        progress?.(done, corpus.length, kinds);
      }
      if (done % requestsAMachine === 0 || coverageLooks.has(done)) coverage?.take(true);
      // Every seed once as it is.
      const request = copyOf(corpus[done < first ? done : random.below(random.below(2) === 0 ? first : corpus.length)]!);
      if (done >= first) change(request, random, random.of(corpus));
      const before = copyOf(request);
      enliven(request, machine.live);
      const plan = planOf(request, random, machine.keys);
      const wire = encode(request, plan);
      let answer: Answer | undefined;
      try {
        answer = await examine(machine, wire, plan);
      } catch (error) {
        return {executions: done + 1, kinds, finding: await shrunk(before, plan, wire, error as Error, options)};
      }
      const kind = kindOf(before, answer);
      const seen = kinds.get(kind) ?? 0;
      kinds.set(kind, seen + 1);
      if (seen === 0 && corpus.length < first + corpusMax) corpus.push(before);
    }
    return {executions, kinds};
  } finally {
    clearInterval(alive);
    await machine[Symbol.asyncDispose]();
  }
}

/** Takes headers, parameters and halves of the body away for as long as a new machine still fails. */
async function shrunk(request: FuzzRequest, plan: SignPlan, wire: Buffer, error: Error, options: MachineOptions): Promise<RequestFinding> {
  const failing = async (candidate: FuzzRequest): Promise<{wire: Buffer; error: Error} | undefined> => {
    await using machine = await S3Machine.start(options);
    const request = copyOf(candidate);
    enliven(request, machine.live);
    const encoded = encode(request, plan);
    try {
      await examine(machine, encoded, plan);
      return undefined;
    } catch (failure) {
      return {wire: encoded, error: failure as Error};
    }
  };
  let found = await failing(request);
  if (!found) return {wire, error, alone: false};
  let smallest = request;
  let tries = 0;
  for (let again = true; again && tries < shrinkTriesMax; ) {
    again = false;
    for (const candidate of smaller(smallest)) {
      if (tries++ >= shrinkTriesMax) break;
      const failure = await failing(candidate);
      if (!failure) continue;
      [smallest, found, again] = [candidate, failure, true];
      break;
    }
  }
  return {...found, alone: true};
}

function* smaller(request: FuzzRequest): Generator<FuzzRequest> {
  for (let i = 0; i < request.headers.length; i++) yield {...copyOf(request), headers: request.headers.toSpliced(i, 1)};
  for (let i = 0; i < request.query.length; i++) yield {...copyOf(request), query: request.query.toSpliced(i, 1)};
  const {body} = request;
  if (isFrames(body)) for (let i = 0; i < body.frames.length; i++) yield {...copyOf(request), body: {...body, frames: body.frames.toSpliced(i, 1)}};
  else if (body.length > 0) yield* [Buffer.alloc(0), body.subarray(0, body.length >> 1), body.subarray(body.length >> 1)].map((half) => ({...copyOf(request), body: half}));
}
