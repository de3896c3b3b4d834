/**
 * How much of a node was read lately, for those that are read again soon: a table in which a newcomer takes the slot of whoever had it. What is
 * read once in a long while never counts up.
 */
const slotBits = 16;

export class ReadTally {
  readonly #nodes = new Uint32Array(1 << slotBits);
  readonly #bytes = new Uint32Array(1 << slotBits);

  /** The bytes that were read of it lately, with these. */
  note(node: number, bytes: number): number {
    const slot = this.#slot(node);
    const before = this.#nodes[slot] === node ? this.#bytes[slot]! : 0;
    this.#nodes[slot] = node;
    return (this.#bytes[slot] = Math.min(0xffff_ffff, before + bytes));
  }

  forget(node: number): void {
    const slot = this.#slot(node);
    if (this.#nodes[slot] === node) this.#bytes[slot] = 0;
  }

  #slot(node: number): number {
    return Math.imul(node, 0x9e3779b1) >>> (32 - slotBits);
  }
}
