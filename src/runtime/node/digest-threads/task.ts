/** What the event loop and a digest thread say to each other: records of the ring one way, messages the other. */
import type {ComputedDigests} from '#model/digests.ts';

/** Kinds of records. `begin` has the algorithms as its payload, by spaces, and MD5 unless it says otherwise; `update` has bytes. */
export const Task = {begin: 1, update: 2, finish: 3, abandon: 4, beginWithoutMd5: 5} as const;

export type ThreadAnswer = ({readonly id: number} & ComputedDigests) | {readonly id: number; readonly failure: string};
