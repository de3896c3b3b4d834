/**
 * Memory for the bodies of large answers, used again and again. A buffer made for each read costs more than the bytes in it: memory outside
 * of the JavaScript heap drives the collector into a full mark every few MiB, which took 4 of 6 CPU-seconds a GB.
 *
 * A slab is filled from its beginning and handed out in views. Who is done with a view may give it back; when all of a slab came back it is
 * filled anew. A view that nobody gives back keeps its slab from that, and the collector takes both: forgetting is safe, giving back twice
 * or too early is not.
 */
import {assert} from '#base/assert.ts';
import {KiB} from '#base/units.ts';

export const slabBytes = 256 * KiB;
/** Slabs kept for later; more than that goes to the collector. */
const freeSlabsMax = 64;

class Slab {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(slabBytes);
  /** Up to here it is filled, and up to here handed out. */
  filled = 0;
  taken = 0;
  /** Bytes handed out that did not come back. */
  away = 0;
  /** Nothing more will be put into it or taken out. */
  closed = false;
}

const free: Slab[] = [];
const slabOf = new WeakMap<ArrayBufferLike, Slab>();

/** A view of a slab came back: nobody will look at it, or at any part of it, again. Views of other memory are ignored. */
export function giveBack(view: Uint8Array): void {
  const slab = slabOf.get(view.buffer);
  if (!slab) return;
  slab.away -= view.length;
  assert(slab.away >= 0, 'a view is given back once');
  reuse(slab);
}

function reuse(slab: Slab): void {
  if (slab.away > 0 || !slab.closed || free.length >= freeSlabsMax) return;
  slab.filled = slab.taken = 0;
  slab.closed = false;
  free.push(slab);
}

function newSlab(): Slab {
  const again = free.pop();
  if (again) return again;
  const slab = new Slab();
  slabOf.set(slab.bytes.buffer, slab);
  return slab;
}

/** Bytes on their way from a socket to a reader, in order. */
export class ReceiveQueue {
  readonly #slabs: Slab[] = [];
  #ended = false;

  /** Where the next bytes go: never empty, and good until the next call. */
  room(): Uint8Array {
    let slab = this.#slabs.at(-1);
    if (!slab || slab.filled === slabBytes) this.#slabs.push((slab = newSlab()));
    return slab.bytes.subarray(slab.filled);
  }

  /** So many bytes were put into what `room` said last. */
  filled(count: number): void {
    const slab = this.#slabs.at(-1)!;
    slab.filled += count;
    assert(slab.filled <= slabBytes, 'a slab holds what it can');
  }

  /** Copies. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const room = this.room();
      const count = Math.min(bytes.length - at, room.length);
      room.set(count === bytes.length ? bytes : bytes.subarray(at, at + count));
      this.filled(count);
      at += count;
    }
  }

  /** As many bytes as lie together; undefined when none wait. */
  take(): Uint8Array | undefined {
    const slab = this.#slabs[0];
    if (!slab || slab.taken === slab.filled) return undefined;
    const view = slab.bytes.subarray(slab.taken, slab.filled);
    slab.taken = slab.filled;
    slab.away += view.length;
    if (slab.taken === slabBytes || this.#ended) this.#close(slab);
    return view;
  }

  /** Nothing more will be added, nor put into what `room` said. */
  end(): void {
    this.#ended = true;
    const last = this.#slabs.at(-1);
    if (last && last.taken === last.filled) this.#close(last);
  }

  #close(slab: Slab): void {
    slab.closed = true;
    this.#slabs.splice(this.#slabs.indexOf(slab), 1);
    reuse(slab);
  }
}
