/** The machine behind one door. `runtime/node` is the real one, `runtime/sim` the seeded one; nothing else touches the outside world. */
import type {DigestsElsewhere} from '#model/digests.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Disk} from '#runtime/disk.ts';
import type {Log} from '#runtime/log.ts';
import type {Metrics} from '#runtime/metrics.ts';
import type {Net} from '#runtime/net.ts';
import type {Random} from '#runtime/random.ts';

export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly net: Net;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Where digests of large bodies are computed beside the event loop, on machines that can. */
  readonly digestsElsewhere?: DigestsElsewhere;
  /** Names the time since the machine was started: what was written and not synced before another has come through power loss. */
  readonly boot: string;
  /**
   * A place where a crash would be interesting, named `module.moment`. Nothing in the real form; the simulated form may end
   * the world here by throwing. Called right before and after everything that is written.
   */
  crashPoint(name: string): void;
}
