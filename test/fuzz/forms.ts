/** The forms that targets have: a decoder of whole inputs, a record that must come back as it was, a stream that may be cut anywhere. */
import {mustEqual, outcome, type Target} from './fuzz.ts';
import {binary, type Grammar} from './mutate.ts';

type Seed = string | Uint8Array;

export function decoder(grammar: Grammar, seeds: readonly Seed[], run: (input: Buffer) => void): Target {
  return {grammar, seeds: seeds.map((seed) => (typeof seed === 'string' ? Buffer.from(seed, 'latin1') : Buffer.from(seed))), run};
}

/** What was read may be an odd way of saying it; what our own encoder makes of that must stay as it is. */
export function record<T>(values: readonly T[], encode: (value: T) => Uint8Array, decode: (bytes: Buffer) => T): Target {
  return decoder(binary, values.map((value) => encode(value)), (input) => {
    const written = Buffer.from(encode(decode(input)));
    mustEqual(Buffer.from(encode(decode(Buffer.from(written)))), written, 'a record comes back changed');
  });
}

interface StreamOptions {
  /** Bytes before the stream that tell `decode` what to expect. */
  readonly headerBytes?: number;
  /** Makes checksums right, so that mutations reach what lies behind them. */
  readonly prepare?: (stream: Buffer) => Buffer;
}

/** A stream must give the same, however it is cut. `decode` joins what came; a prefix that was given before a refusal does not count. */
export function stream<T>(grammar: Grammar, seeds: readonly Seed[], decode: (pieces: readonly Buffer[], input: Buffer) => T, {headerBytes = 0, prepare}: StreamOptions = {}): Target {
  return decoder(grammar, seeds, (input) => {
    const sent = input.subarray(headerBytes);
    const body = prepare ? prepare(sent) : sent;
    const whole = outcome(() => decode([body], input));
    for (const size of [1, 7]) {
      const pieces = Array.from({length: Math.ceil(body.length / size)}, (_, i) => body.subarray(i * size, (i + 1) * size));
      mustEqual(outcome(() => decode(pieces, input)), whole, `the stream says something else in pieces of ${size}`);
    }
  });
}
