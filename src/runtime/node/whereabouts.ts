/** Where this process runs, as proc(5) and namespaces(7) tell it. */
import fs from 'node:fs';
import type {Whereabouts} from '#contracts/mounts-api.ts';

/** Undefined where the system does not say. */
export function whereabouts(): Whereabouts | undefined {
  try {
    const {dev, ino} = fs.statSync('/', {bigint: true});
    return {
      machine: fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(), mountNamespace: fs.readlinkSync('/proc/self/ns/mnt'), root: `${dev}:${ino}`, uid: process.getuid!(),
    };
  } catch {
    return undefined;
  }
}
