/**
 * Duplicates of sockets' descriptors that this thread has open. A thread that ends in the middle leaves them behind, and the peer sees no end of its
 * connection while one is open: so a thread that another watches writes them down where the other can see them.
 */
import {libc} from '#runtime/node/native/libc.ts';

const placesMax = 4096;
let places: Int32Array | undefined;
let next = 0;

export function makeDuplicatePlaces(): SharedArrayBuffer {
  return new SharedArrayBuffer(placesMax * Int32Array.BYTES_PER_ELEMENT);
}

/** From now on this thread writes its duplicates there. */
export function watchDuplicates(memory: SharedArrayBuffer): void {
  places = new Int32Array(memory);
}

/** A new descriptor of the same connection; negative where there is no way to. To be closed by what is returned with it. */
export function openDuplicate(fd: number): {readonly fd: number; readonly close: () => void} | undefined {
  const native = libc();
  const duplicate = native?.duplicate(fd) ?? -1;
  if (!native || duplicate < 0) return undefined;
  const place = note(duplicate);
  return {
    fd: duplicate,
    close: () => {
      // In this order: a number that is still written down is closed by nobody else yet.
      if (places && place >= 0) places[place] = 0;
      native.close(duplicate);
    },
  };
}

/** Closes what a thread that has ended left open. */
export function closeDuplicates(memory: SharedArrayBuffer): void {
  for (const fd of new Int32Array(memory)) if (fd > 0) libc()?.close(fd);
}

function note(fd: number): number {
  if (!places) return -1;
  for (let tried = 0; tried < placesMax; tried++, next = (next + 1) % placesMax) {
    if (places[next] !== 0) continue;
    places[next] = fd;
    return next;
  }
  return -1;
}
