/**
 * Names and paths are bytes, not text: POSIX and S3 allow any bytes but NUL (and `/` within a component). A ByteString is
 * a JavaScript string with one character (0–255) per byte. So `<` is byte order, which is S3's key order (JavaScript's
 * own order of text is not: surrogates sort before U+E000), it works as a map key, and it turns into bytes without an
 * encoder. Plain ASCII text is its own ByteString; everything else must pass through the functions below at the edges.
 */
export type ByteString = string & {readonly __bytes: never};

const ascii = /^[\0-\x7f]*$/;

/** UTF-8 bytes of `text`. Lone surrogates become U+FFFD, as everywhere in Node. */
export function fromText(text: string): ByteString {
  return (ascii.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')) as ByteString;
}

/** The text that the bytes spell in UTF-8; invalid sequences become U+FFFD, so this is for showing, not for going back. */
export function toText(bytes: ByteString): string {
  return ascii.test(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

/** True when the bytes are well-formed UTF-8, that is, when `fromText(toText(bytes)) === bytes`. */
export function isUtf8(bytes: ByteString): boolean {
  return ascii.test(bytes) || fromText(toText(bytes)) === bytes;
}

/** 8 bytes, big-endian: so byte order is the order of numbers, which are safe integers from 0. */
export function fromNumber(number: number): ByteString {
  const high = Math.floor(number / 0x1_0000_0000);
  return String.fromCharCode(
    (high >>> 24) & 255, (high >>> 16) & 255, (high >>> 8) & 255, high & 255,
    (number >>> 24) & 255, (number >>> 16) & 255, (number >>> 8) & 255, number & 255,
  ) as ByteString;
}

export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as ByteString;
}

export function toBytes(bytes: ByteString): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** A literal that is known to be ASCII. */
export function asciiBytes(literal: string): ByteString {
  return literal as ByteString;
}

/** The smallest ByteString greater than every string that starts with `prefix`; undefined when there is none (all 0xff). */
export function prefixEnd(prefix: ByteString): ByteString | undefined {
  let end = prefix.length;
  while (end > 0 && prefix.charCodeAt(end - 1) === 0xff) end--;
  if (end === 0) return undefined;
  return (prefix.slice(0, end - 1) + String.fromCharCode(prefix.charCodeAt(end - 1) + 1)) as ByteString;
}
