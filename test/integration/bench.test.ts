/** The benches still run: each once, with small sizes. What they measure here says nothing. */
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import path from 'node:path';
import {it} from 'node:test';

const root = path.resolve(import.meta.dirname, '../..');

it('runs every bench with small sizes', {timeout: 300_000}, () => {
  const {status, stdout, stderr} = spawnSync(process.execPath, ['--conditions=source', 'bench/run.ts', '--quick'], {cwd: root, encoding: 'utf8'});
  assert.equal(status, 0, stderr);
  for (const title of ['Start and memory', 'Hot GET', 'Small S3 requests', 'Cold GET', 'Metadata', 'DuckDB', 'Mount']) assert.match(stdout, new RegExp(`^${title}`, 'm'));
});

it('refuses names that are no bench', () => {
  assert.equal(spawnSync(process.execPath, ['--conditions=source', 'bench/run.ts', 'nothing'], {cwd: root}).status, 2);
});
