#!/usr/bin/env node
// Starts Weir where npm installed it. Plain old JavaScript, because the Node that reads it may be too old for the rest:
// then the exact Node that came as an optional dependency takes over.
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const home = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const built = path.join(home, 'dist', 'process', 'main.js');
const source = path.join(home, 'src', 'process', 'main.ts');
// A package has no sources; in a checkout what was built may be older than they are.
const args = existsSync(source) ? ['--conditions=source', source] : [built];

function findNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 24 || (major === 24 && minor >= 12)) return process.execPath;
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`);
    return path.join(path.dirname(manifest), 'bin', 'node');
  } catch {
    console.error(`weir: needs Node 24.12 or later, and this is ${process.versions.node}; no packaged Node was found beside it (SETUP)`);
    process.exit(1);
  }
}

const child = spawn(findNode(), [...args, ...process.argv.slice(2)], {
  stdio: 'inherit',
  // The compile cache saves half of the time of a short command; where it may not be written, Node goes without.
  env: {UV_THREADPOOL_SIZE: '16', NODE_COMPILE_CACHE: path.join(home, 'node_modules', '.cache', 'weir-compile'), ...process.env},
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 128 + ({SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGKILL: 9}[signal] || 1) : code));
