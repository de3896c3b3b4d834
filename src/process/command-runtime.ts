/** The machine as a short command uses it: the real disk, clock and network; nobody collects its logs and metrics, so nothing is loaded for them. */
import type {Log} from '#runtime/log.ts';
import type {Metrics} from '#runtime/metrics.ts';
import {nodeClock} from '#runtime/node/node-clock.ts';
import {nodeDisk} from '#runtime/node/node-disk.ts';
import {nodeNet} from '#runtime/node/node-net.ts';
import {nodeRandom} from '#runtime/node/node-random.ts';
import type {Runtime} from '#runtime/runtime.ts';

const nothing = () => {};

const silent: Log = {debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent};

const uncounted: Metrics = {
  counter: () => ({add: nothing}),
  histogram: () => ({observe: nothing}),
  gauge: nothing,
  counterFrom: nothing,
  render: () => Promise.resolve(''),
};

export function commandRuntime(): Runtime {
  return {clock: nodeClock(), random: nodeRandom, disk: nodeDisk, net: nodeNet, log: silent, metrics: uncounted, boot: '', crashPoint: nothing};
}
