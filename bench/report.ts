/**
 * What a bench found: rows with the figure, what it stands beside, and the goal. Printed as text, and kept in docs/bench.md, one section
 * a bench, so that a run of some benches leaves the sections of the others as they were.
 */
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {cpus, totalmem} from 'node:os';

export interface Goal {
  /** At least this (`more`) or at most this (`less`). */
  readonly better: 'more' | 'less';
  readonly bound: number;
}

export interface Row {
  readonly what: string;
  /** With its unit. */
  readonly measured: string;
  /** What was measured in the same run to compare with; empty where the goal is absolute. */
  readonly beside: string;
  /** The figure that the goal is about: a ratio, or the measured value itself; absent for rows that only inform. */
  readonly figure?: number;
  readonly goal?: Goal;
}

export interface Section {
  readonly name: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** How it was measured, and what was left out. */
  readonly notes: readonly string[];
}

export const atLeast = (bound: number): Goal => ({better: 'more', bound});
export const atMost = (bound: number): Goal => ({better: 'less', bound});

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Four digits at most, thousands apart. */
export function number(value: number): string {
  if (value >= 1000) return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ' ');
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

const headings = ['what', 'measured', 'beside', 'figure', 'goal', ''];

function cells(row: Row): string[] {
  const {goal, figure} = row;
  const goalText = goal ? `${goal.better === 'more' ? '≥' : '≤'} ${number(goal.bound)}` : '';
  return [row.what, row.measured, row.beside, figure === undefined ? '' : number(figure), goalText, verdict(row)];
}

function verdict({goal, figure}: Row): string {
  if (!goal || figure === undefined) return '';
  const met = goal.better === 'more' ? figure >= goal.bound : figure <= goal.bound;
  if (met) return 'met';
  const times = goal.better === 'more' ? goal.bound / figure : figure / goal.bound;
  return Number.isFinite(times) ? `missed ${times.toFixed(2)}×` : 'missed';
}

export function asText(section: Section): string {
  const table = [headings, ...section.rows.map(cells)];
  const widths = headings.map((_, column) => Math.max(...table.map(row => row[column]!.length)));
  const lines = table.map(row => row.map((cell, column) => cell.padEnd(widths[column]!)).join('   ').trimEnd());
  return `\n${section.title}\n${lines.join('\n')}\n${section.notes.map(note => `  ${note}\n`).join('')}`;
}

function asMarkdown(section: Section): string {
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
  const machine = `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB of memory`;
  const table = [line(headings), line(headings.map(() => '---')), ...section.rows.map(row => line(cells(row)))];
  return `## ${section.title}\n\nMeasured ${machine}.\n\n${table.join('\n')}\n${section.notes.length > 0 ? `\n${section.notes.map(note => `- ${note}`).join('\n')}\n` : ''}`;
}

const preamble = `# Measured

Written by \`./weir bench\`: medians, and ratios from one run. \`figure\` is what the goal speaks of: the ratio to what stands beside, or the measured value.
`;

/** Replaces the section of the same title, or adds it. */
export function keep(file: string, section: Section): void {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : preamble;
  const parts = text.split(/^(?=## )/m).map(part => part.trimEnd());
  const ours = asMarkdown(section).trimEnd();
  const at = parts.findIndex(part => part.startsWith(`## ${section.title}\n`));
  if (at >= 0) parts[at] = ours;
  else parts.push(ours);
  writeFileSync(file, `${parts.join('\n\n')}\n`);
}
