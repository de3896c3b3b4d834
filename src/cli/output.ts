/** How commands speak: tables for people, one JSON value for programs, `weir: what happened (CODE)` when something fails. */
import {type ByteString, fromText, isUtf8, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Terminal} from '#cli/environment.ts';

/** A path as typed. Without a leading slash it means the same below the root. */
export function pathArgument(text: string): ByteString {
  return fromText(text.startsWith('/') ? text : `/${text}`);
}

/** A name as shown: bytes that are not UTF-8 or would disturb a terminal are written \xNN. */
export function showName(name: ByteString): string {
  if (!isUtf8(name)) return name.replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return toText(name).replace(/[\0-\x1f\x7f]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** `drwxr-xr-x`. */
export function showMode(info: FileInfo): string {
  const {mode, kind, target} = info.inode;
  const bits = ['r', 'w', 'x'].map((char, i) => [char, i] as const);
  const triple = (shift: number) => bits.map(([char, i]) => ((mode >> (shift + 2 - i)) & 1 ? char : '-')).join('');
  const letters = `${triple(6)}${triple(3)}${triple(0)}`.split('');
  if (mode & 0o4000) letters[2] = letters[2] === 'x' ? 's' : 'S';
  if (mode & 0o2000) letters[5] = letters[5] === 'x' ? 's' : 'S';
  if (mode & 0o1000) letters[8] = letters[8] === 'x' ? 't' : 'T';
  return `${kind === 'special' ? target![0]! : {file: '-', directory: 'd', symlink: 'l'}[kind]}${letters.join('')}`;
}

/** `2026-11-21 10:38:05` in UTC. */
export function showTime(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19).replace('T', ' ');
}

/** Characters, not UTF-16 units. */
function width(cell: string): number {
  return Array.from(cell).length;
}

/** Columns aligned by their widest cell; those named in `right` to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const all = header.length > 0 ? [header, ...rows] : rows;
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => width(row[column] ?? ''))));
  return all
    .map((row) =>
      row
        .map((cell, column) => {
          const pad = ' '.repeat(widths[column]! - width(cell));
          return right.includes(column) ? pad + cell : cell + pad;
        })
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** JSON for programs: bigints as decimal strings, bytes as base64, ByteStrings as text. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'bigint') return String(item);
    if (item instanceof Uint8Array) return Buffer.from(item).toString('base64');
    return item;
  })}\n`;
}

const advice: Partial<Record<string, string>> = {
  Unavailable: 'is the instance running? (weir status)',
  AlreadyRunning: 'stop it (weir down), or choose another --home',
  Unauthenticated: 'keys are in the instance\'s home; weir env prints them',
  DirectoryNotEmpty: 'add -r to take what is inside too',
};

/** The one line that says why a command failed. */
export function showError(error: unknown): string {
  if (error instanceof WeirError) {
    const next = advice[error.kind];
    return `weir: ${error.message} (${error.kind})${next ? `; ${next}` : ''}\n`;
  }
  return `weir: a bug: ${error instanceof Error ? (error.stack ?? error.message) : String(error)} (Internal)\n`;
}

/** Asks for nothing and prints; what every command ends with. */
export async function print(terminal: Terminal, asJson: boolean, value: unknown, text: string): Promise<void> {
  await terminal.out(asJson ? json(value) : text);
}
