/**
 * An ordinary user for tests that root starts: nobody, with what he needs to mount. As everywhere but in some containers everybody may open
 * /dev/fuse (udev makes it so, for fusermount3 to judge): while this lasts, so it is here.
 */
import {execFile} from 'node:child_process';
import {chmod, stat} from 'node:fs/promises';
import path from 'node:path';
import {promisify} from 'node:util';
import {debianPackage, findProgram, need} from '../../servers/tools.ts';

const run = promisify(execFile);

export interface OrdinaryUser extends AsyncDisposable {
  readonly uid: number;
  readonly gid: number;
}

export const nobody = {uid: 65_534, gid: 65_534} as const;
const everybody = 0o666;
const setUserId = 0o4000;

async function fusermount(): Promise<string> {
  const found = await findProgram('fusermount3');
  if (found !== undefined && ((await stat(found)).mode & setUserId) !== 0) return found;
  await debianPackage('fuse3');
  return (await findProgram('fusermount3'))!;
}

/** Undefined, and said loudly, where no user can mount. Needs root. */
export async function ordinaryUser(forWhat: string): Promise<OrdinaryUser | undefined> {
  if (!(await need('fusermount3', forWhat, fusermount))) return undefined;
  try {
    await run(process.execPath, ['--conditions=source', '--eval', `import(${JSON.stringify(path.resolve(import.meta.dirname, '../../../src/base/errors.ts'))})`], {...nobody, cwd: '/'});
  } catch {
    process.stderr.write(`\n*** LEFT OUT: ${forWhat}: another user than root cannot read this checkout, or Node\n\n`);
    return undefined;
  }
  const {mode} = await stat('/dev/fuse');
  await chmod('/dev/fuse', mode | everybody);
  return {...nobody, [Symbol.asyncDispose]: async () => await chmod('/dev/fuse', mode & 0o777)};
}
