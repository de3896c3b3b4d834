/**
 * The CRC of two pieces together from the CRCs of each, without looking at the bytes again: appending n bytes to a piece
 * multiplies its CRC, as a polynomial over GF(2), by x^(8n) modulo the CRC's polynomial. (zlib's crc32_combine; Mark Adler.)
 * Holds for reflected CRCs whose register starts and ends inverted, as the three below do.
 */
export interface CrcPolynomial {
  readonly bits: 32 | 64;
  /** Reflected, without the leading term. */
  readonly polynomial: bigint;
}

export const crcPolynomials = {
  crc32: {bits: 32, polynomial: 0xedb88320n},
  crc32c: {bits: 32, polynomial: 0x82f63b78n},
  crc64nvme: {bits: 64, polynomial: 0x9a6c9329ac4bc9b5n},
} as const satisfies Record<string, CrcPolynomial>;

/** CRC of A followed by B, where B has `lengthB` bytes. */
export function combineCrc(crc: CrcPolynomial, crcA: bigint, crcB: bigint, lengthB: number): bigint {
  return multiply(crc, powerOfX(crc, 8n * BigInt(lengthB)), crcA) ^ crcB;
}

/** a × b modulo the polynomial; the highest bit is the coefficient of x^0. */
function multiply({bits, polynomial}: CrcPolynomial, a: bigint, b: bigint): bigint {
  let product = 0n;
  let shifted = b;
  for (let bit = 1n << BigInt(bits - 1); bit !== 0n; bit >>= 1n) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ polynomial : shifted >> 1n;
  }
  return product;
}

function powerOfX(crc: CrcPolynomial, exponent: bigint): bigint {
  let result = 1n << BigInt(crc.bits - 1);
  let square = result >> 1n;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = multiply(crc, square, result);
    square = multiply(crc, square, square);
  }
  return result;
}
