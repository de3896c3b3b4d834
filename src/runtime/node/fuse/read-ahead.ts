/**
 * How far the kernel reads ahead on a mount: 128 KiB unless somebody says more in /sys/class/bdi, which INIT can only lower. Twice the work
 * for each byte of a file that is read from its beginning to its end, so we say more, where we may: in many containers /sys cannot be written.
 */
import fs from 'node:fs';
import {KiB, MiB} from '#base/units.ts';

const readAheadBytes = MiB;

/** Before INIT is answered, and without asking the mount, which would wait for that. `directory`: as the kernel has it, without symbolic links. */
export async function readFarAhead(directory: string): Promise<void> {
  try {
    const mounts = (await fs.promises.readFile('/proc/self/mountinfo', 'latin1')).split('\n');
    // ID, parent, device, root, mount point … ; the latest hides those before.
    const device = mounts.map(line => line.split(' ')).findLast(fields => fields[4] !== undefined && unescaped(fields[4]) === Buffer.from(directory).toString('latin1'))?.[2];
    if (device !== undefined) await fs.promises.writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, String(readAheadBytes / KiB));
  } catch {
    // Then it stays as it is, and all is well but slower.
  }
}

/** Blanks and their like are written as \ooo. */
const unescaped = (text: string): string => text.replaceAll(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
