/**
 * Says what is open where the next daemon finds it (codec/fuse/kept-state.ts), should this one die. Always before the kernel hears of it:
 * what was answered is known there. A write is one system call into memory. Where nobody keeps the mount, nothing is said.
 */
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {
  decodeHeader, decodePosition, decodeSlot, directoryPosition, encodeHeader, encodePosition, encodeSlot, headerBytes, type KeptHeader, type KeptPosition, type KeptSlot, positionBytes, slotBytes,
  slotPosition, slotsMax,
} from '#codec/fuse/kept-state.ts';
import type {KeptMemory} from '#runtime/fuse.ts';

/** Handles and slots are set aside in steps, so that most need no write of the header. */
const handlesAtOnce = 1_048_576;
const slotsAtOnce = 1024;
/** Directories that are read at a time and have a page of their own; further ones go on by their cookies alone. */
const positionsMax = 16_384;

export interface FoundSlot {
  readonly slot: number;
  readonly what: KeptSlot;
}

export class KeptState {
  readonly #memory: KeptMemory | undefined;
  readonly #scratch = Buffer.alloc(slotBytes);
  #header: KeptHeader;
  #next: number;
  #free: number[] = [];
  #used: number;

  private constructor(memory: KeptMemory | undefined, header: KeptHeader, used: number) {
    this.#memory = memory;
    this.#header = header;
    this.#next = header.nextHandle;
    this.#used = used;
  }

  /** Of a mount that begins. */
  static begin(memory: KeptMemory | undefined, origin: string, root: InodeId): KeptState {
    return new KeptState(memory, {flags: [0, 0], minor: 0, slots: 0, nextHandle: 1, origin, root}, 0);
  }

  /** Of a mount that is taken over; undefined when INIT was never answered. Corrupt, Unsupported. */
  static left(memory: KeptMemory): KeptState | undefined {
    const bytes = Buffer.alloc(headerBytes);
    memory.read(bytes, 0);
    const header = decodeHeader(bytes);
    return header && new KeptState(memory, header, header.slots);
  }

  /** Names the mount to the master, from its first daemon to its last. */
  get origin(): string {
    return this.#header.origin;
  }

  /** What the kernel calls 1, from the mount's beginning to its end. */
  get root(): InodeId {
    return this.#header.root as InodeId;
  }

  /** What was agreed on at INIT. From now on the mount can be taken over. */
  get flags(): readonly [low: number, high: number] {
    return this.#header.flags;
  }

  get minor(): number {
    return this.#header.minor;
  }

  agreed(flags: readonly [low: number, high: number], minor: number): void {
    this.#change({flags, minor});
  }

  /** All slots that hold something; those that do not are free from now on. */
  found(): readonly FoundSlot[] {
    const found: FoundSlot[] = [];
    const bytes = Buffer.alloc(this.#header.slots * slotBytes);
    this.#memory?.read(bytes, slotPosition(0));
    this.#free = [];
    for (let slot = this.#header.slots - 1; slot >= 0; slot--) {
      const what = decodeSlot(bytes.subarray(slot * slotBytes, (slot + 1) * slotBytes));
      if (what) found.push({slot, what});
      else this.#free.push(slot);
    }
    return found;
  }

  /** A number that no handle of this mount ever had. */
  nextHandle(): number {
    if (this.#next >= this.#header.nextHandle) this.#change({nextHandle: this.#next + handlesAtOnce});
    return this.#next++;
  }

  /** Overloaded. */
  add(what: KeptSlot): number {
    if (!this.#memory) return 0;
    const slot = this.#free.pop() ?? this.#used++;
    if (slot >= slotsMax) {
      this.#used--;
      throw new WeirError('Overloaded', `${slotsMax} files and directories are open`);
    }
    if (slot >= this.#header.slots) this.#change({slots: Math.min(slotsMax, slot + slotsAtOnce)});
    this.set(slot, what);
    return slot;
  }

  set(slot: number, what: KeptSlot): void {
    if (!this.#memory) return;
    encodeSlot(what, this.#scratch);
    this.#memory.write(this.#scratch, slotPosition(slot));
  }

  remove(slot: number): void {
    if (!this.#memory) return;
    encodeSlot(undefined, this.#scratch);
    this.#memory.write(this.#scratch, slotPosition(slot));
    this.#free.push(slot);
  }

  setPosition(slot: number, position: KeptPosition): void {
    const bytes = this.#memory && slot < positionsMax ? encodePosition(position) : undefined;
    if (bytes) this.#memory?.write(bytes, directoryPosition(slot));
  }

  /** Undefined when the handle had not got anywhere. */
  position(slot: number, handle: number): KeptPosition | undefined {
    const bytes = Buffer.alloc(positionBytes);
    this.#memory?.read(bytes, directoryPosition(slot));
    const position = decodePosition(bytes);
    return position.handle === handle ? position : undefined;
  }

  #change(change: Partial<KeptHeader>): void {
    this.#header = {...this.#header, ...change};
    this.#memory?.write(encodeHeader(this.#header), 0);
  }
}
