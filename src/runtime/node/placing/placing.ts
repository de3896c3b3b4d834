/** What the event loop and a placing thread say to each other. */
import type {FileStat, PlacedFile} from '#runtime/disk.ts';

/** Its bytes lie in memory that both see. */
export interface FileToPlace extends Omit<PlacedFile, 'bytes'> {
  readonly at: number;
  readonly length: number;
}

/** Of a failure, the system's code and words. */
export type Placed = FileStat | {readonly code: string; readonly message: string};

/** First the thread says that it is there. */
export type PlacingAnswer = 'ready' | readonly Placed[];
