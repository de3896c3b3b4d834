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

/**
 * The CRC of many pieces, one after the other, from the CRC of each. Appending n bytes is linear in the CRC: a matrix over GF(2) of 64
 * columns, made once for a length (pieces are mostly of one) and applied in a microsecond.
 */
export class CrcAppender {
  readonly #crc: CrcPolynomial;
  /** Two halves of 32 bits; a CRC of 32 bits is in the low one. */
  #high = 0;
  #low = 0;
  #length = -1;
  /** For each bit, from the lowest: what appending `#length` bytes makes of it. */
  readonly #columnsHigh = new Int32Array(64);
  readonly #columnsLow = new Int32Array(64);

  constructor(crc: CrcPolynomial) {
    this.#crc = crc;
  }

  /** `digest` is the piece's CRC, big-endian. */
  append(digest: Uint8Array, bytes: number): void {
    const {bits} = this.#crc;
    if (bytes !== this.#length) this.#prepare(bytes);
    const word = (at: number) => (digest[at]! << 24) | (digest[at + 1]! << 16) | (digest[at + 2]! << 8) | digest[at + 3]!;
    let high = bits === 64 ? word(0) : 0;
    let low = word(bits / 8 - 4);
    for (let bit = 0; bit < 32; bit++) {
      const isLow = -((this.#low >>> bit) & 1);
      const isHigh = -((this.#high >>> bit) & 1);
      low ^= (this.#columnsLow[bit]! & isLow) ^ (this.#columnsLow[bit + 32]! & isHigh);
      high ^= (this.#columnsHigh[bit]! & isLow) ^ (this.#columnsHigh[bit + 32]! & isHigh);
    }
    this.#low = low;
    this.#high = high;
  }

  /** Big-endian. */
  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(this.#high, 0);
    bytes.writeInt32BE(this.#low, 4);
    return bytes.subarray(8 - this.#crc.bits / 8);
  }

  #prepare(bytes: number): void {
    this.#length = bytes;
    const power = powerOfX(this.#crc, 8n * BigInt(bytes));
    for (let bit = 0; bit < this.#crc.bits; bit++) {
      const column = multiply(this.#crc, power, 1n << BigInt(bit));
      this.#columnsHigh[bit] = Number(BigInt.asIntN(32, column >> 32n));
      this.#columnsLow[bit] = Number(BigInt.asIntN(32, column));
    }
  }
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
