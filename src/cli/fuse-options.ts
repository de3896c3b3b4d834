/** What follows `-o` of a mount by FUSE, as mount(8) has it: some options are Weir's, the others are flags of any mount, which the kernel carries out. */
import {InvalidArgumentError, Option} from 'commander';
import type {FuseOptions} from '#contracts/mounts-api.ts';

/** Set-id bits and devices count only where the administrator says so: what the stores hold was written by others. */
export const defaultFuseOptions: FuseOptions = {readOnly: false, allowOther: true, passthrough: true, sharedLocks: false, shownAs: {umask: 0}, flags: ['nosuid', 'nodev']};

const opposites = [['suid', 'nosuid'], ['dev', 'nodev'], ['exec', 'noexec'], ['atime', 'noatime'], ['diratime', 'nodiratime']] as const;
const others = ['sync', 'dirsync', 'async', 'relatime', 'strictatime'];
const known = new Set<string>([...opposites.flat(), ...others]);
/** Of /etc/fstab, for those who read it. */
const ignored = new Set(['defaults', 'rw', 'auto', 'noauto', 'user', 'nofail', '_netdev', 'default_permissions']);

/** Of a command: a list that may be given several times. */
export function fuseOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(fuseOptions).default(defaultFuseOptions, defaultFuseOptions.flags.join());
}

/** Adds a comma-separated list to what is set already; a later option wins. Throws InvalidArgumentError. */
export function fuseOptions(list: string, before: FuseOptions = defaultFuseOptions): FuseOptions {
  let {readOnly, allowOther, passthrough, sharedLocks, shownAs, subdirectory} = before;
  let flags = [...before.flags];
  for (const option of list.split(',').filter(part => part !== '')) {
    if (option === 'ro') readOnly = true;
    else if (option === 'rw') readOnly = false;
    else if (option === 'allow_other') allowOther = true;
    else if (option === 'noallow_other') allowOther = false;
    else if (option === 'passthrough') passthrough = true;
    else if (option === 'nopassthrough') passthrough = false;
    else if (option === 'shared_locks') sharedLocks = true;
    else if (option === 'noshared_locks') sharedLocks = false;
    else if (option.startsWith('subdir=')) subdirectory = option.slice('subdir='.length);
    else if (/^[ug]id=\d{1,10}$/.test(option)) shownAs = {...shownAs, [option.slice(0, 3)]: Number(option.slice(4))};
    else if (/^umask=[0-7]{1,4}$/.test(option)) shownAs = {...shownAs, umask: Number.parseInt(option.slice(6), 8) & 0o777};
    else if (known.has(option)) {
      const opposite = opposites.find(pair => (pair as readonly string[]).includes(option))?.find(other => other !== option);
      flags = [...flags.filter(flag => flag !== opposite && flag !== option), option];
    } else if (!ignored.has(option) && !option.startsWith('x-')) throw new InvalidArgumentError(`${JSON.stringify(option)} is not an option of a mount.`);
  }
  return {readOnly, allowOther, passthrough, sharedLocks, shownAs, ...(subdirectory === undefined ? {} : {subdirectory}), flags};
}
