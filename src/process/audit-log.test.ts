import assert from 'node:assert/strict';
import {mkdtemp, readdir, readFile, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'node:test';
import {AuditLog} from '#process/audit-log.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

test('every line is kept in order, over restarts and full files', async () => {
  const runtime = createNodeRuntime({log: {level: 'silent'}});
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-audit-'));
  const file = path.join(directory, 'audit.log');
  let next = 0;
  for (let start = 0; start < 4; start++) {
    await using audit = await AuditLog.open(runtime, {path: file, fileBytes: 1000});
    for (let i = 0; i < 10; i++) audit.record({n: next++, key: 'x\n"'});
  }
  const files = (await readdir(directory)).sort((a, b) => (a < b ? 1 : -1));
  assert.ok(files.length > 1, 'it was rotated');
  const lines = (await Promise.all(files.map((name) => readFile(path.join(directory, name), 'utf8')))).join('').trimEnd().split('\n').map((line) => JSON.parse(line) as {n: number; time: string; key: string});
  assert.deepEqual(lines.map(({n}) => n), Array.from({length: next}, (_, n) => n));
  assert.equal(lines[0]!.key, 'x\n"');
  assert.match(lines[0]!.time, /^\d{4}-\d\d-\d\dT/);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await rm(directory, {recursive: true});
});
