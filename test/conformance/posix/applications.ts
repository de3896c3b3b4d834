/**
 * Programs that people run on file systems, and idioms that they are made of, in a directory of a mount. Each is a script of `sh` or
 * Python that ends with 0 when everything was as on a disk; what is not installed is skipped, and said.
 */
import {execFile, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chmod, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {findProgram} from '../../servers/tools.ts';
import {pythonScripts} from './python-scripts.ts';
import type {SuiteResult} from './results.ts';
import {shellScripts} from './shell-scripts.ts';

const msMaxDefault = 180_000;

export interface Script {
  /** What must be in PATH. */
  readonly needs: readonly string[];
  readonly text: string;
}

export const applicationNames: readonly string[] = [...Object.keys(shellScripts), ...Object.keys(pythonScripts)];

/** `msMax`: how long it may take. */
export async function runApplication(name: string, directory: string, msMax = msMaxDefault): Promise<SuiteResult> {
  const [group, script] = name in shellScripts ? ['program', shellScripts[name]!] : ['idiom', pythonScripts[name]!];
  const needs = group === 'idiom' ? ['python3', ...script.needs] : script.needs;
  for (const program of needs) if ((await findProgram(program)) === undefined) return {group, name, state: 'skipped', why: `LEFT OUT: there is no ${program} on this machine`};
  const place = await mkdtemp(path.join(directory, 'application-'));
  await chmod(place, 0o755);
  // A home outside the mount: what is tested is where the work is done.
  const home = await mkdtemp(path.join(tmpdir(), 'weir-application-'));
  const started = performance.now();
  try {
    const [program, args]: [string, string[]] = group === 'idiom' ? ['python3', ['-c', script.text]] : ['bash', ['-euo', 'pipefail', '-c', script.text]];
    const why = await outcome(program, args, {cwd: place, env: {...process.env, HOME: home, GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1'}}, msMax);
    return {group, name, state: why === undefined ? 'passed' : 'failed', why: why ?? '', seconds: (performance.now() - started) / 1000};
  } finally {
    if (existsSync(path.join(place, 'stop'))) await promisify(execFile)('sh', [path.join(place, 'stop')]).catch(() => undefined);
    for (const made of [place, home]) await rm(made, {recursive: true, force: true});
  }
}

/** Undefined when all was well. The script and all that it has started end together. */
function outcome(program: string, args: readonly string[], options: {readonly cwd: string; readonly env: NodeJS.ProcessEnv}, msMax: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const child = spawn(program, args, {...options, detached: true, stdio: ['ignore', 'pipe', 'pipe']});
    let said = '';
    const keep = (chunk: Buffer): void => void (said = (said + chunk.toString()).slice(-2_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      said += ` not done in ${msMax / 1000} s`;
      process.kill(-child.pid!, 'SIGKILL');
    }, msMax);
    child.once('error', error => (clearTimeout(timer), resolve(String(error))));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve(code === 0 ? undefined : `${said.trim().split('\n').slice(-5).join(' ')} (ended with ${code ?? signal})`);
    });
  });
}
