/**
 * Frames of the connections between Weir's own processes (design 4.7).
 *
 *   length u32 · kind u8 · stream u32 · payload (length bytes)          all little-endian
 *
 * Control payloads are msgpack; `data` payloads are raw bytes. A stream is one call: its id is chosen by the caller, and both
 * sides may send on it until it ends.
 */
import {WeirError} from '#base/errors.ts';

export const frameHeaderBytes = 9;
/** Data is cut into pieces of at most this; a message may carry so many bytes, too: what the kernel reads or writes on a mount at once. */
export const dataBytesMax = 1024 * 1024;
/** What stands around them. */
const envelopeBytesMax = 64 * 1024;
/** A longer frame is an attack or a bug, never a reason to allocate. */
export const framePayloadBytesMax = dataBytesMax + envelopeBytesMax;

export const FrameKind = {
  /** First frame of each side: version, and what the handshake needs. */
  hello: 1,
  /** Opens a stream: [method, arguments, deadline in ms]. */
  call: 2,
  /** A message on a stream. */
  message: 3,
  /** Raw bytes on a stream. Counts against the receiver's window. */
  data: 4,
  /** The last message of this side, with its value. The stream is over when the server has sent it. */
  end: 5,
  /** The stream failed: an error. Over. */
  fail: 6,
  /** The caller has gone away: u8 of nothing. */
  cancel: 7,
  /** The receiver has room for so many more bytes: u32. */
  window: 8,
} as const;

export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];
const kindMax = FrameKind.window;

export interface Frame {
  readonly kind: FrameKind;
  readonly stream: number;
  /** A view into what was received; copy what must live longer than the handling of the frame. */
  readonly payload: Uint8Array;
}

/** The nine bytes before a payload. */
export function frameHeader(kind: FrameKind, stream: number, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  writeFrameHeader(header, 0, kind, stream, payloadBytes);
  return header;
}

/** The same into a buffer that has room for it at `at`. */
export function writeFrameHeader(into: Buffer, at: number, kind: FrameKind, stream: number, payloadBytes: number): void {
  into.writeUInt32LE(payloadBytes, at);
  into[at + 4] = kind;
  into.writeUInt32LE(stream, at + 5);
}

const none: readonly Frame[] = [];

/** Cuts received chunks, split anywhere, into frames. InvalidArgument for what cannot be a frame; the connection is then unusable. */
export class FrameParser {
  /** What has come of a frame that is not whole; joined once, when it is. */
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  /** Bytes that the frame at the front needs to be whole, as far as is known. */
  #needed = frameHeaderBytes;

  /** The frames that are whole by now. */
  push(chunk: Uint8Array): readonly Frame[] {
    this.#pieces.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#pieceBytes += chunk.length;
    if (this.#pieceBytes < this.#needed) return none;
    const frames: Frame[] = [];
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    let at = 0;
    this.#needed = frameHeaderBytes;
    while (bytes.length - at >= frameHeaderBytes) {
      const length = bytes.readUInt32LE(at);
      const kind = bytes[at + 4]!;
      if (length > framePayloadBytesMax || kind < 1 || kind > kindMax) {
        throw new WeirError('InvalidArgument', `not a frame: kind ${kind}, ${length} bytes`);
      }
      if (bytes.length - at - frameHeaderBytes < length) {
        this.#needed = frameHeaderBytes + length;
        break;
      }
      const start = at + frameHeaderBytes;
      at = start + length;
      frames.push({kind: kind as FrameKind, stream: bytes.readUInt32LE(start - 4), payload: bytes.subarray(start, at)});
    }
    this.#pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#pieceBytes = bytes.length - at;
    return frames;
  }

  /** Bytes of a frame that has not come whole yet. */
  get pendingBytes(): number {
    return this.#pieceBytes;
  }
}
