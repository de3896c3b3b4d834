import {Lfu} from '#blockstore/eviction/lfu.ts';
import {Lrfu} from '#blockstore/eviction/lrfu.ts';
import {Lru} from '#blockstore/eviction/lru.ts';
import type {EvictionPolicy, NodeSpace, PolicyName} from '#blockstore/eviction/policy.ts';
import {S3Fifo} from '#blockstore/eviction/s3-fifo.ts';

const policies: Record<PolicyName, new (space: NodeSpace) => EvictionPolicy> = {'s3-fifo': S3Fifo, lru: Lru, lfu: Lfu, lrfu: Lrfu};

export function makePolicy(name: PolicyName, space: NodeSpace): EvictionPolicy {
  return new policies[name](space);
}
