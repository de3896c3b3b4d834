/**
 * Makes new inputs of known ones: changes of bits, bytes and numbers that fit any format, and changes of whole pieces (a header, a chunk, a
 * tag, a parameter) where the grammar says what divides pieces and which words mean something. Inputs are text of one character per byte.
 */

export interface Grammar {
  /** Words that the format gives a meaning to. */
  readonly tokens: readonly string[];
  /** What stands between pieces that can change places. */
  readonly separators: readonly string[];
}

const bytes = ['\0', '\x01', '\x7f', '\x80', '\xff', '\xff\xff\xff\xff', '\xff\xff\xff\x7f', '\0\0\0\x80', '\xff\xff\xff\xff\xff\xff\x0f'];
const numbers = [
  '0', '1', '-1', '9', '10', '255', '256', '1000', '1001', '10000', '10001', '65536', '4294967295', '4294967296', '9007199254740992', '18446744073709551616', 'ff', 'ffffffffffffffff', '1e9', '',
];

export const binary: Grammar = {tokens: bytes, separators: []};
export const chunks: Grammar = {
  tokens: ['\r\n', '\n', '\r', ';', ':', '0\r\n', '0\r\n\r\n', ';chunk-signature=', `;chunk-signature=${'a'.repeat(64)}`,
    'x-amz-checksum-crc32:', 'x-amz-trailer-signature:', `x-amz-trailer-signature:${'a'.repeat(64)}\r\n`],
  separators: ['\r\n', '\n', ';', ':'],
};
export const xml: Grammar = {
  tokens: [
    '<', '>', '/>', '</', '&', ';', '"', '&amp;', '&#0;', '&#x10ffff;', '&lt;', '&nope;', '<![CDATA[', ']]>', '<!--', '-->', '<?xml version="1.0"?>', '<!DOCTYPE a [<!ENTITY b "c">]>', ' xmlns="a"', ' xmlns:a="b"', 'a:',
    '<Key>', '</Key>', '<Part>', '</Part>', '<PartNumber>', '<ETag>', '<constructor>', '<__proto__>', '\ufeff', '\xef\xbb\xbf', '\xed\xa0\x80', '\xf0\x9f\x98',
  ],
  separators: ['<', '>', '</', '&'],
};
export const query: Grammar = {
  tokens: [
    '&', '=', '?', '/', '//', '+', '%', '%2', '%zz', '%00', '%2F', '%ff', '%C3%A9', '..', 'prefix=', 'delimiter=/', 'max-keys=', 'list-type=2', 'continuation-token=', 'encoding-type=url', 'http://',
    'X-Amz-Algorithm=AWS4-HMAC-SHA256', 'X-Amz-Expires=',
    '__proto__', 'constructor',
  ],
  separators: ['&', '=', '/', '?'],
};
export const headers: Grammar = {
  tokens: [
    '\n', ': ', ',', ';', '=', '"', 'W/', '*', 'bytes=', '-', '/', 'AWS4-HMAC-SHA256 ', 'Credential=', 'SignedHeaders=', 'Signature=', '/aws4_request',
    'x-amz-trailer: ', 'x-amz-checksum-crc32: ', 'x-amz-checksum-', 'CRC32', 'SHA256', 'AAAAAA==',
    'if-match: ', 'range: ', 'constructor', '__proto__',
  ],
  separators: ['\n', ',', ';', '=', '/', '-'],
};

const inputCharsMax = 4096;
const changesMax = 6;

/** The same numbers for the same seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `limit` - 1; 0 when there is none. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

type Change = (input: string, random: Random, grammar: Grammar, other: string) => string;

const replaced = (input: string, at: number, length: number, by: string) => input.slice(0, at) + by + input.slice(at + length);
const place = (input: string, random: Random) => random.below(input.length + 1);
/** Mostly short. */
const span = (random: Random) => 1 + random.below(random.below(4) === 0 ? 200 : 8);
const byte = (code: number) => String.fromCharCode(code & 255);

const changes: readonly Change[] = [
  function flipBit(input, random) {
    const at = random.below(input.length);
    return input === '' ? input : replaced(input, at, 1, byte(input.charCodeAt(at) ^ (1 << random.below(8))));
  },
  function setByte(input, random) {
    return replaced(input, place(input, random), 1, byte(random.below(256)));
  },
  function setInteger(input, random) {
    return replaced(input, place(input, random), 4, random.of(bytes));
  },
  function remove(input, random) {
    return replaced(input, place(input, random), span(random), '');
  },
  function repeat(input, random) {
    const at = place(input, random);
    const piece = input.slice(at, at + span(random));
    return replaced(input, place(input, random), 0, piece.repeat(1 + random.below(random.below(8) === 0 ? 64 : 3)));
  },
  function truncate(input, random) {
    return input.slice(0, place(input, random));
  },
  function insertToken(input, random, {tokens}) {
    return replaced(input, place(input, random), 0, random.of(tokens));
  },
  function overwriteByToken(input, random, {tokens}) {
    const token = random.of(tokens);
    return replaced(input, place(input, random), token.length, token);
  },
  function changeNumber(input, random) {
    const runs = [...input.matchAll(/[0-9a-fA-F]+/g)];
    if (runs.length === 0) return input;
    const run = random.of(runs);
    const value = Number.parseInt(run[0], random.below(2) === 0 ? 10 : 16);
    return replaced(input, run.index, run[0].length, random.below(2) === 0 || Number.isNaN(value) ? random.of(numbers) : (value + random.below(3) - 1).toString(random.below(2) === 0 ? 10 : 16));
  },
  function splice(input, random, _, other) {
    return input.slice(0, place(input, random)) + other.slice(place(other, random));
  },
  function movePieces(input, random, {separators}, other) {
    if (separators.length === 0) return input;
    const separator = random.of(separators);
    const pieces = input.split(separator);
    const [from, to] = [random.below(pieces.length), random.below(pieces.length)];
    const kind = random.below(4);
    if (kind === 0) [pieces[from], pieces[to]] = [pieces[to]!, pieces[from]!];
    else if (kind === 1) pieces.splice(from, 1);
    else if (kind === 2) pieces.splice(to, 0, pieces[from]!);
    else pieces.splice(to, 1, random.of(other.split(separator)));
    return pieces.join(separator);
  },
];

/** A new input, made of one or two of `corpus`. */
export function mutate(corpus: readonly Buffer[], random: Random, grammar: Grammar): Buffer {
  let input = random.of(corpus).toString('latin1');
  const other = random.of(corpus).toString('latin1');
  for (let left = 1 + random.below(changesMax); left > 0; left--) input = random.of(changes)(input, random, grammar, other);
  return Buffer.from(input.slice(0, inputCharsMax), 'latin1');
}
