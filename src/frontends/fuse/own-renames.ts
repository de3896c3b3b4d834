/**
 * Renames that this mount has lately asked for. A kernel that renames moves the file that it knows under the old name. Where others have put
 * another file there just before, that one is renamed, and the kernel goes on finding the old one under the new name: it holds the directory
 * while it renames, and hears of the change when it is done. So whoever tells it that a name has changed tells it the same of what that name was renamed to.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';

/** A name in a directory, as the kernel has it. */
export interface ShownName {
  readonly directory: InodeId;
  readonly name: ByteString;
}

/** Changes are told within moments; who could not be told for longer forgets all names. */
const keptMs = 60_000;
const keptMax = 10_000;

export class OwnRenames {
  readonly #now: () => number;
  /** By the old name, the oldest first. */
  readonly #renames = new Map<string, {readonly to: readonly ShownName[]; readonly atMs: number}>();

  /** `now`: Clock.steadyMs. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Before it is made: it is known when its directory is free again. */
  note(from: ShownName, to: ShownName): void {
    const key = keyOf(from);
    const known = this.#renames.get(key)?.to ?? [];
    this.#renames.delete(key);
    const atMs = this.#now();
    for (const [oldest, rename] of this.#renames) {
      if (this.#renames.size < keptMax && atMs - rename.atMs < keptMs) break;
      this.#renames.delete(oldest);
    }
    this.#renames.set(key, {to: [...known.filter(other => keyOf(other) !== keyOf(to)), to], atMs});
  }

  /** Where what the kernel knew under that name may be by now, each once. */
  from(name: ShownName): readonly ShownName[] {
    if (this.#renames.size === 0) return [];
    const found = new Map<string, ShownName>([[keyOf(name), name]]);
    // What is found on the way is looked at, too.
    for (const at of found.values()) for (const to of this.#renames.get(keyOf(at))?.to ?? []) found.set(keyOf(to), found.get(keyOf(to)) ?? to);
    return [...found.values()].slice(1);
  }
}

const keyOf = ({directory, name}: ShownName): string => `${directory}/${name}`;
