/** docs/semantics.md, executed: every point is a script that must succeed on a mount. Needs root and /dev/fuse. */
import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {once} from 'node:events';
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import type {Readable, Writable} from 'node:stream';
import {promisify} from 'node:util';
import {writeTypes} from '#model/mount.ts';
import {unmountable} from '../conformance/posix/places.ts';
import {Weir} from './harness.ts';
import {OwnMount} from './own-mount.ts';

const root = path.resolve(import.meta.dirname, '../..');
const scriptMsMax = 60_000;

interface Point {
  readonly title: string;
  readonly script: string;
}

function points(): Point[] {
  const found: {title: string; lines: string[]}[] = [];
  for (const line of readFileSync(path.join(root, 'docs/semantics.md'), 'utf8').split('\n')) {
    if (line.startsWith('### ')) found.push({title: line.slice(4), lines: []});
    else if (line.startsWith('## ')) continue;
    else if (line.startsWith('    ') || line === '') found.at(-1)?.lines.push(line.slice(4));
  }
  return found.map(({title, lines}) => ({title, script: lines.join('\n')}));
}

/** The descriptors 8 and 9 of a script: it asks for a new daemon, and hears when it is there. What has files open on the mount must not start one itself. */
const prelude = 'set -eEuo pipefail\nrestart_weir() { echo restart >&9; read -r _ <&8; }\n';

for (const writeType of writeTypes) describe(`what programs may rely on, written as ${writeType}`, {skip: unmountable() ?? false}, () => {
  let place: string;
  let commands: string;
  let weir: Weir;

  before(async () => {
    place = await mkdtemp(path.join(tmpdir(), 'weir-mount-'));
    commands = await mkdtemp(path.join(tmpdir(), 'weir-commands-'));
    weir = await Weir.start({args: ['--write-type', writeType, '--fuse', place]});
    await weir.s3.must('PUT', '/box');
    await writeFile(path.join(commands, 'weir'), `#!/bin/sh\nexec '${process.execPath}' --conditions=source '${root}/src/process/main.ts' "$@"\n`);
    await chmod(path.join(commands, 'weir'), 0o755);
  });

  after(async () => {
    await weir.kill('SIGTERM');
    await promisify(execFile)('umount', ['-l', place]).catch(() => undefined);
    await weir[Symbol.asyncDispose]();
    await rm(place, {recursive: true});
    await rm(commands, {recursive: true});
  });

  const run = async (script: string, name: string): Promise<void> => {
    const cwd = path.join(place, 'box', name);
    await mkdir(cwd);
    await using other = script.includes('$OTHER') ? await OwnMount.start(weir) : undefined;
    const env = {...process.env, OTHER: other?.at(name), PATH: `${commands}:${process.env['PATH']}`, WEIR_HOME: weir.home, OBJECTS: `/box/${name}`};
    const child = spawn('bash', ['-xc', prelude + script], {cwd, env, timeout: scriptMsMax, stdio: ['ignore', 'ignore', 'pipe', 'ignore', 'ignore', 'ignore', 'ignore', 'ignore', 'pipe', 'pipe']});
    let said = '';
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
    let restarting = Promise.resolve();
    const [answers, asks] = child.stdio.slice(8) as unknown as [Writable, Readable];
    asks.on('data', () => {
      restarting = weir.kill().then(() => weir.up()).then(() => void answers.write('done\n'));
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    await restarting;
    assert.equal(code, 0, said.split('\n').slice(-12).join('\n'));
  };

  for (const [i, {title, script}] of points().entries()) it(title, () => run(script, `point-${i}`));

  it('would say what does not hold', async () => {
    await assert.rejects(run('echo a > file\ntest "$(cat file)" = b', 'false'), /test a = b/);
  });
});
