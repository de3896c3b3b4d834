/**
 * What is brought to a store on this machine gains no safety there: it takes the same cores, the same event loop and the same disk from the programs
 * that work with files meanwhile. So it gives way to them: little by little while they work, as fast as it can when they pause.
 * It never stands still, and it does not give way to anybody when waiting would come to hurt (`presses`).
 */
import {MiB} from '#base/units.ts';
import type {Foreground} from '#base/foreground.ts';
import type {Clock} from '#runtime/clock.ts';

export interface GivingWayParts {
  readonly clock: Clock;
  readonly foreground: Readonly<Pick<Foreground, 'requests' | 'underWay'>>;
  /** Much is waiting, or the process ends. */
  readonly presses: () => boolean;
}

/** While somebody works: so long after some files, or after one step of a large one. 80 small files, or 10 MB, a second: a few per cent of a core, and of a disk. */
const restMs = 400;
/** Small files before a rest. */
export const filesBeforeRest = 32;
/** Of a large file, before a rest, and at a time while nobody works. */
const sparingStepBytes = 4 * MiB;
export const stepBytes = 16 * MiB;
/** Requests are counted for so long, at least. */
const lookMs = 50;
/** Somebody works where they come as fast as this, a ms; less is a person, or a program that looks now and then. */
const worksFrom = 0.05;
/** What has waited so long gives way no more. */
const patienceMs = 5 * 60_000;

export class GivingWay {
  readonly #parts: GivingWayParts;
  #works = false;
  #lookedMs: number;
  #requests: number;
  /** When something became pending last. */
  #addedMs = -Infinity;
  /** When the next step of a large file may be taken. */
  #stepMs = -Infinity;

  constructor(parts: GivingWayParts) {
    this.#parts = parts;
    this.#lookedMs = parts.clock.monotonicMs();
    this.#requests = parts.foreground.requests;
  }

  /** Something became pending: who wrote it may go on. */
  added(): void {
    this.#addedMs = this.#parts.clock.monotonicMs();
  }

  /** How long nothing more is begun after some were; `since`: of what would be next, wall ms. */
  restMs(since: number | undefined): number {
    return this.#mayRest(since) ? restMs : 0;
  }

  /** Resolves when a step of a large file may be taken, of so many bytes; at once while nobody works. `isAwaited`: somebody waits for the file. */
  async turn(file: {readonly since: number; readonly isAwaited: boolean}, signal: AbortSignal): Promise<number> {
    const {clock} = this.#parts;
    while (!file.isAwaited && this.#mayRest(file.since)) {
      const now = clock.monotonicMs();
      if (now >= this.#stepMs) {
        this.#stepMs = now + restMs;
        return sparingStepBytes;
      }
      await clock.sleep(this.#stepMs - now, {signal, unref: true});
    }
    return stepBytes;
  }

  #mayRest(since: number | undefined): boolean {
    const {clock, presses} = this.#parts;
    return !presses() && (since === undefined || clock.steadyMs() - since < patienceMs) && this.#somebodyWorks();
  }

  #somebodyWorks(): boolean {
    const {clock, foreground: {requests, underWay}} = this.#parts;
    const now = clock.monotonicMs();
    const passed = now - this.#lookedMs;
    if (passed >= lookMs) {
      this.#works = requests - this.#requests >= passed * worksFrom;
      this.#lookedMs = now;
      this.#requests = requests;
    }
    return underWay > 0 || now - this.#addedMs < lookMs || this.#works;
  }
}
