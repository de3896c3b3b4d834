/** fsx, the field's random exerciser of one file (the crate of that name): every byte that it reads is compared with what it wrote. */
import {chown, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {cargoTool} from '../../servers/tools.ts';
import type {SuiteResult} from './results.ts';
import {programFor, runIn, temporary, type Who} from './who.ts';

/** The slowest profile needs about 5 ms an operation on a busy machine. */
const msMaxPerOperation = 50;

export const fsxProgram = (): Promise<string> => cargoTool('fsx', '0.3.2');

interface Profile {
  /** Of the file, bytes at most. */
  readonly length: number;
  /** Offsets and lengths are multiples of it, bytes. */
  readonly align?: number;
  /** How often, beside reading, writing and truncating. */
  readonly weights: Readonly<Record<string, number>>;
}

const mapped = {mapread: 4, mapwrite: 4};

const profiles: Readonly<Record<string, Profile>> = {
  'plain': {length: 700_000, weights: {mapread: 0, mapwrite: 0, close_open: 1}},
  'mapped': {length: 700_000, weights: {mapread: 10, mapwrite: 10, fsync: 1, close_open: 1}},
  'sparse': {length: 2_000_000, weights: {...mapped, punch_hole: 6, posix_fallocate: 4, fdatasync: 1}},
  'copied': {length: 1_000_000, weights: {...mapped, copy_file_range: 6, sendfile: 4, posix_fadvise: 2}},
  'reopened': {length: 300_000, weights: {...mapped, close_open: 8, invalidate: 5, fsync: 4, fdatasync: 4}},
  'in blocks': {length: 4_194_304, align: 4096, weights: {...mapped, punch_hole: 3, copy_file_range: 3}},
};

export const profileNames: readonly string[] = Object.keys(profiles);

function configurationOf({length, align = 1, weights}: Profile): string {
  const chances = Object.entries({read: 10, write: 10, truncate: 3, ...weights});
  return [`flen = ${length}`, '[opsize]', 'min = 0', 'max = 65536', `align = ${align}`, '[weights]', ...chances.map(([name, weight]) => `${name} = ${weight}`), ''].join('\n');
}

export interface FsxOptions {
  /** The same seed does the same operations. */
  readonly seed: number;
  readonly operations: number;
  readonly as?: Who | undefined;
  /** How long it may take. */
  readonly msMax?: number;
}

export async function runFsx(program: string, directory: string, name: string, {seed, operations, as, msMax = 10_000 + operations * msMaxPerOperation}: FsxOptions): Promise<SuiteResult> {
  await using own = await programFor(program, as);
  await using inside = await temporary(directory, 'fsx-', as);
  await using outside = await temporary(tmpdir(), 'weir-fsx-');
  if (as) await chown(outside.path, as.uid, as.gid);
  const started = performance.now();
  const file = path.join(outside.path, 'configuration.toml');
  await writeFile(file, configurationOf(profiles[name]!));
  const args = ['-q', '-N', String(operations), '-S', String(seed), '-P', outside.path, '-f', file, path.join(inside.path, 'file')];
  const {status, output} = await runIn(own.path, args, {directory: outside.path, as, msMax});
  const why = status === 0 ? '' : output.trim().split('\n').slice(-4).join(' ') || `ended with ${status ?? 'a signal'}`;
  return {group: name, name: `seed ${seed}, ${operations} operations`, state: status === 0 ? 'passed' : 'failed', why, seconds: (performance.now() - started) / 1000};
}
