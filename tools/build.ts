/**
 * Builds dist/, what the package ships: the programs bundled with what they share in chunks (so that lazy parts stay lazy and a start opens
 * a dozen files and not hundreds), and the types of the client. Packages stay outside: npm installs them. `npm pack` runs it first.
 */
import {execFileSync} from 'node:child_process';
import {rmSync} from 'node:fs';
import path from 'node:path';
import {build} from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');
/** What is started or imported by name from outside the bundle. */
const entries = [
  'process/main', 'process/client', 'process/demo-remote-main', 'process/serving/thread-main', 'runtime/node/digest-threads/thread-main', 'runtime/node/placing/thread-main',
  'runtime/node/fuse/keeper/keeper-main',
];

rmSync(dist, {recursive: true, force: true});
await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(entries.map((entry) => [entry, `src/${entry}.ts`])),
  outdir: dist,
  bundle: true,
  splitting: true,
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // That Node has it; esbuild's table does not know.
  supported: {using: true},
  conditions: ['source'],
  packages: 'external',
  logLevel: 'warning',
});
const types = ['--noEmit', 'false', '--declaration', '--emitDeclarationOnly', '--rootDir', 'src', '--outDir', 'dist'];
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tools/client-types.json', ...types], {cwd: root, stdio: 'inherit'});
