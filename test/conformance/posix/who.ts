/**
 * On whose behalf a suite runs: the test's own user, root, or another (`as`). Nothing here looks at the mount from this process: another
 * user's mount is closed to it, even to root.
 */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {chmod, copyFile, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';

const run = promisify(execFile);

export interface Who {
  readonly uid: number;
  readonly gid: number;
}

export interface Temporary extends AsyncDisposable {
  readonly path: string;
}

/** A new directory that others may look into. */
export async function temporary(parent: string, prefix: string, as?: Who): Promise<Temporary> {
  const options = {cwd: '/', ...as};
  const made = (await run('mktemp', ['-d', path.join(parent, `${prefix}XXXXXX`)], options)).stdout.trim();
  await run('chmod', ['755', made], options);
  return {
    path: made,
    [Symbol.asyncDispose]: async () => {
      await run('chmod', ['-R', 'u+rwX', made], options).catch(() => undefined);
      await run('rm', ['-rf', made], options);
    },
  };
}

/** Where it cannot be read in its place, a copy. */
export async function programFor(program: string, as?: Who): Promise<Temporary> {
  if (!as) return {path: program, [Symbol.asyncDispose]: () => Promise.resolve()};
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-program-'));
  const copy = path.join(directory, path.basename(program));
  await copyFile(program, copy);
  for (const made of [directory, copy]) await chmod(made, 0o755);
  return {path: copy, [Symbol.asyncDispose]: () => rm(directory, {recursive: true})};
}

export interface Said {
  /** 0 when all was well; undefined when it was killed. */
  readonly status: number | undefined;
  /** Of standard output and error, as they came, the end. */
  readonly output: string;
}

export interface RunOptions {
  /** Where it runs. */
  readonly directory: string;
  readonly as?: Who | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** Then it is killed, and all that it has started. */
  readonly msMax: number;
}

const outputMax = 4 << 20;

/** Runs a program to its end, as its user from the first: whoever spawns cannot change into that user's mount. */
export function runIn(program: string, args: readonly string[], {directory, as, env = process.env, msMax}: RunOptions): Promise<Said> {
  return new Promise(resolve => {
    const child: ChildProcess = spawn('sh', ['-c', 'cd "$0" && exec "$@"', directory, program, ...args], {cwd: '/', env, detached: true, stdio: ['ignore', 'pipe', 'pipe'], ...as});
    let output = '';
    const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-outputMax));
    child.stdout!.on('data', keep);
    child.stderr!.on('data', keep);
    const timer = setTimeout(() => {
      output += ` not done in ${msMax / 1000} s`;
      process.kill(-child.pid!, 'SIGKILL');
    }, msMax);
    child.once('error', error => (clearTimeout(timer), resolve({status: undefined, output: String(error)})));
    child.once('close', status => (clearTimeout(timer), resolve({status: status ?? undefined, output})));
  });
}
