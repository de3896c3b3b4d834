import fs from 'node:fs';
import {DigestThreads} from '#runtime/node/digest-threads/digest-threads.ts';
import {nodeClock} from '#runtime/node/node-clock.ts';
import {nodeDisk} from '#runtime/node/node-disk.ts';
import {type NodeLogOptions, nodeLog} from '#runtime/node/node-log.ts';
import {nodeMetrics} from '#runtime/node/node-metrics.ts';
import {nodeNet} from '#runtime/node/node-net.ts';
import {nodeRandom} from '#runtime/node/node-random.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** The real machine. */
export function createNodeRuntime(options: {readonly log?: NodeLogOptions} = {}): Runtime {
  return {clock: nodeClock(), random: nodeRandom, disk: nodeDisk, net: nodeNet, log: nodeLog(options.log), metrics: nodeMetrics(), digestsElsewhere: new DigestThreads(), boot: bootId(), crashPoint: () => {}};
}

/** Of the kernel; without one (no procfs), each process is taken for a start of the machine: then less is believed of what was not synced. */
function bootId(): string {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return nodeRandom.id();
  }
}
