/**
 * Keeps what is remembered of the kernel's nodes within its budget: the kernel forgets by itself only when it wants memory, however little of
 * ours is left. What it is asked to forget comes back as FORGET.
 */
import {notification} from '#codec/fuse/abi.ts';
import {pruneBody} from '#codec/fuse/reply.ts';
import type {MountServices} from '#frontends/fuse/request.ts';

/** In one notification, which must fit what a keeper takes for a line. */
const nodesAtOnce = 64;

/** Until enough was asked for. */
export async function prune({remembered, device, numbered}: Pick<MountServices, 'remembered' | 'device' | 'numbered'>): Promise<void> {
  for (const nodes of remembered.toPrune(nodesAtOnce)) await device.notify(notification.prune, pruneBody(nodes.map(numbered)));
}
