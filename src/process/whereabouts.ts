/** Whether an instance can make the mounts of another process. */
import type {Whereabouts} from '#contracts/mounts-api.ts';

const differences = {
  machine: 'the instance runs on another machine',
  mountNamespace: 'the instance has another view of the file system (mount namespace)',
  root: 'the instance has another root directory',
  uid: 'the instance runs as another user',
} as const satisfies Record<keyof Whereabouts, string>;

/** Why not; undefined where it can. */
export function whyElsewhere(instance: Whereabouts | undefined, asking: Whereabouts | undefined): string | undefined {
  if (!instance || !asking) return 'the instance serves no mounts of others';
  return Object.entries(differences).find(([name]) => instance[name as keyof Whereabouts] !== asking[name as keyof Whereabouts])?.[1];
}
