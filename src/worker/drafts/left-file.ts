/** A large draft of an earlier life that nobody has opened again. While it is not, what it was sealed as is a content still, which may have been committed. */
import {pageBytes} from '#blockstore/block-store.ts';
import type {PartialState} from '#worker/drafts/partial-draft.ts';

export class LeftFile {
  readonly name: string;
  /** Of what counts of it: the file itself may be longer. */
  readonly length: number;
  readonly partial: PartialState | undefined;

  constructor(name: string, length: number, partial: PartialState | undefined) {
    this.name = name;
    // It was made longer, and power loss has taken what the log said of the page in which the base ends, so none of that was synced.
    this.length = partial && length > partial.end && partial.end % pageBytes !== 0 && !partial.own.has(Math.floor(partial.end / pageBytes)) ? partial.end : length;
    // It was cut, and the log does not say so: what comes behind is its own.
    this.partial = partial && {...partial, end: Math.min(partial.end, length)};
  }
}
