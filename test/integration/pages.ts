/**
 * Objects whose every 4 KiB say which object, version and offset they are of, so that a read that mixes two versions, or holds zeros,
 * is seen whatever range it was.
 */
const pageBytes = 4096;
const magic = 0x57454952;
const headerBytes = 24;

/** Bytes of one version. The length may be any. */
export function versionBytes(object: number, version: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, fillOf(object, version));
  for (let offset = 0; offset < length; offset += pageBytes) header(object, version, offset).copy(bytes, offset);
  return bytes;
}

function fillOf(object: number, version: number): number {
  return 1 + ((object * 7 + version) % 255);
}

function header(object: number, version: number, offset: number): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(object, 4);
  bytes.writeDoubleLE(version, 8);
  bytes.writeDoubleLE(offset, 16);
  return bytes;
}

/**
 * The version that these bytes, read from `offset`, are of. Throws when they are not all of one version of `object`. Undefined when they
 * are too few to hold a header and `expected` is not given.
 */
export function versionOf(bytes: Buffer, object: number, offset: number, expected?: number): number | undefined {
  const first = Math.ceil(offset / pageBytes) * pageBytes - offset;
  let version = expected;
  if (version === undefined) {
    if (first + headerBytes > bytes.length) return undefined;
    if (bytes.readUInt32LE(first) !== magic) throw new Error(`object ${object} at ${offset + first}: no header but ${bytes.subarray(first, first + headerBytes).toString('hex')}`);
    version = bytes.readDoubleLE(first + 8);
  }
  // Built from the page before the range, so that pieces of pages at its ends are checked too.
  const start = Math.floor(offset / pageBytes) * pageBytes;
  const fill = Buffer.alloc(pageBytes, fillOf(object, version));
  for (let at = start; at < offset + bytes.length; at += pageBytes) {
    header(object, version, at).copy(fill);
    const from = Math.max(at, offset);
    const to = Math.min(at + pageBytes, offset + bytes.length);
    if (bytes.compare(fill, from - at, to - at, from - offset, to - offset) !== 0) {
      throw new Error(`object ${object} at ${from}: expected version ${version}, found ${bytes.subarray(from - offset, from - offset + 2 * headerBytes).toString('hex')} (read from ${offset}, ${bytes.length} bytes)`);
    }
  }
  return version;
}
