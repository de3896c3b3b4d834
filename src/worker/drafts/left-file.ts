/** A large draft of an earlier life that nobody has opened again. While it is not, what it was sealed as is a content still, which may have been committed. */
import type {PartialState} from '#worker/drafts/partial-draft.ts';

export class LeftFile {
  readonly name: string;
  readonly length: number;
  readonly partial: PartialState | undefined;

  constructor(name: string, length: number, partial: PartialState | undefined) {
    this.name = name;
    this.length = length;
    // It was cut, and the log does not say so: what comes behind is its own.
    this.partial = partial && {...partial, end: Math.min(partial.end, length)};
  }
}
