/** The inside of an opaque Descriptor: an open file descriptor of this process. */
import {assert} from '#base/assert.ts';
import type {Descriptor} from '#model/file-lease.ts';

const numbers = new WeakMap<Descriptor, number>();

export function makeDescriptor(fd: number): Descriptor {
  const descriptor = Object.freeze({}) as Descriptor;
  numbers.set(descriptor, fd);
  return descriptor;
}

/** Only for handing to the kernel at once; never kept. */
export function descriptorNumber(descriptor: Descriptor): number {
  const fd = numbers.get(descriptor);
  assert(fd !== undefined, 'the descriptor is of this machine and still open');
  return fd;
}

/** After this the descriptor cannot be used by mistake for whatever file gets its number next. */
export function forgetDescriptor(descriptor: Descriptor): void {
  numbers.delete(descriptor);
}
