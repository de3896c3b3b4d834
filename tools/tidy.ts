/**
 * The habits that no other tool checks: file and line length, the clock by its back doors, leftovers, exact versions, paths of
 * one machine. Every message says what to do instead.
 */
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const fileLinesMax = 600;
const lineCharsMax = 220;
const medianLinesMax = 250;

const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {cwd: root, encoding: 'utf8'}).trim().split('\n');
const sources = tracked.filter((file) => /[.](ts|mjs)$/.test(file) && !file.startsWith('test/fixtures/'));
const problems: string[] = [];

interface Ban {
  readonly pattern: RegExp;
  readonly instead: string;
  readonly where: (file: string) => boolean;
}

const product = (file: string) => file.startsWith('src/') && !file.endsWith('.test.ts');
const bans: readonly Ban[] = [
  {pattern: /new Date\(\)/, instead: 'take the time from runtime.clock', where: (file) => product(file) && !file.startsWith('src/runtime/node/')},
  {pattern: /\brandomUUID\b|\brandomBytes\b|\brandomInt\b/, instead: 'take randomness from runtime.random', where: (file) => product(file) && !file.startsWith('src/runtime/node/')},
  {pattern: /\b(TODO|FIXME|XXX|HACK)\b/, instead: 'finish it, or let it fail clearly and write an issue', where: (file) => file !== 'tools/tidy.ts'},
  {pattern: /@ts-ignore|@ts-nocheck|@ts-expect-error/, instead: 'make the types say what is true', where: (file) => product(file)},
  {pattern: /\b(it|test|describe)[.]only\(/, instead: 'run all tests', where: (file) => file.endsWith('.test.ts')},
  {pattern: /from '[.][.]?\//, instead: "import by the alias '#folder/file.ts', so that the floor is visible", where: product},
  {pattern: /\bconsole[.](log|error|warn)\(/, instead: 'use runtime.log, or the command line\'s output', where: (file) => product(file) && !file.startsWith('src/runtime/node/')},
];

const lengths: number[] = [];
for (const file of sources) {
  let text: string;
  try {
    text = readFileSync(path.join(root, file), 'utf8');
  } catch {
    continue; // deleted and not yet committed
  }
  const lines = text.split('\n');
  if (product(file)) lengths.push(lines.length);
  if (lines.length > fileLinesMax) problems.push(`${file}: ${lines.length} lines; split it by ideas (limit ${fileLinesMax})`);
  lines.forEach((line, i) => {
    if (line.length > lineCharsMax) problems.push(`${file}:${i + 1}: ${line.length} characters; break the line (limit ${lineCharsMax})`);
    for (const ban of bans) if (ban.where(file) && ban.pattern.test(line)) problems.push(`${file}:${i + 1}: ${ban.pattern.source}: ${ban.instead}`);
  });
  if (/[/](utils?|common|helpers?|misc|types)([.]ts|[/])/.test(file) && file.startsWith('src/')) problems.push(`${file}: name it by its idea`);
}

lengths.sort((a, b) => a - b);
const median = lengths[lengths.length >> 1] ?? 0;
if (median > medianLinesMax) problems.push(`the median source file has ${median} lines (limit ${medianLinesMax})`);

const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string> | undefined>;
for (const group of ['dependencies', 'optionalDependencies', 'devDependencies']) {
  for (const [name, version] of Object.entries(manifest[group] ?? {})) if (!/^\d+[.]\d+[.]\d+$/.test(version)) problems.push(`package.json: ${name} ${version}: pin the exact version`);
}

for (const problem of problems) console.error(`tidy: ${problem}`);
console.log(`tidy: ${sources.length} files, median ${median} lines, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
