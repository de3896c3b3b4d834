/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out because the registry in use does not offer them.
 * Without them `npm ci` calls the lockfile incomplete; with them it skips what is not for this platform, as it should.
 * Run after every change of dependencies: node tools/complete-lockfile.ts
 */
import {readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';

interface Locked {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  optionalDependencies?: Record<string, string>;
}

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8')) as {packages: Record<string, Locked>};
const systems = ['darwin', 'linux', 'win32', 'freebsd', 'openbsd', 'netbsd', 'android', 'openharmony', 'sunos', 'aix', 'openharmony'];
const processors = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32'];

let added = 0;
for (const [place, {optionalDependencies, dev}] of Object.entries(lock.packages)) {
  if (place === '') continue;
  for (const [name, range] of Object.entries(optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] || lock.packages[`${place}/node_modules/${name}`]) continue;
    const words = name.split(/[/-]/);
    const os = systems.find((system) => words.includes(system)) ?? 'none';
    const cpu = processors.find((processor) => words.includes(processor)) ?? 'none';
    lock.packages[`node_modules/${name}`] = {version: range.replace(/^[^\d]*/, ''), ...(dev ? {dev: true} : {}), optional: true, os: [os], cpu: [cpu]};
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} packages of other platforms added`);
