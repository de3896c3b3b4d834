/** A progress line with rate and time left, on a terminal; nothing in a pipe. */
import {formatDuration, formatSize} from '#base/units.ts';
import type {Terminal} from '#cli/environment.ts';
import type {Clock} from '#runtime/clock.ts';

const redrawMs = 100;
/** The rate shown is that of the last seconds, so that it follows the link and not the history. */
const rateWindowMs = 3_000;

export class Progress implements Disposable {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #label: string;
  readonly #samples: {at: number; bytes: number}[] = [];
  #total: number | undefined;
  #bytes = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;
  readonly #startedAt: number;

  constructor(terminal: Terminal, clock: Clock, label: string, totalBytes?: number) {
    this.#terminal = terminal;
    this.#clock = clock;
    this.#label = label;
    this.#total = totalBytes;
    this.#startedAt = clock.monotonicMs();
  }

  add(bytes: number): void {
    this.set(this.#bytes + bytes, this.#total);
  }

  set(bytes: number, totalBytes: number | undefined): void {
    this.#bytes = bytes;
    this.#total = totalBytes;
    const now = this.#clock.monotonicMs();
    if (!this.#terminal.interactive || now - this.#drawnAt < redrawMs) return;
    this.#drawnAt = now;
    this.#samples.push({at: now, bytes});
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > rateWindowMs) this.#samples.shift();
    this.#terminal.err(`\r\x1b[2K${this.line(now)}`);
  }

  /** The line as it stands, cut to the terminal. */
  line(now: number): string {
    const first = this.#samples[0] ?? {at: this.#startedAt, bytes: 0};
    const elapsed = now - first.at;
    const rate = elapsed > 0 ? ((this.#bytes - first.bytes) / elapsed) * 1000 : 0;
    const facts = [formatSize(this.#bytes), ...(rate > 0 ? [`${formatSize(rate)}/s`] : [])];
    if (this.#total === undefined) return `${this.#label}  ${facts.join('  ')}`.slice(0, this.#terminal.columns - 1);
    const share = this.#total === 0 ? 1 : Math.min(1, this.#bytes / this.#total);
    const left = rate > 0 && share < 1 ? [`${formatDuration(((this.#total - this.#bytes) / rate) * 1000)} left`] : [];
    const tail = `${String(Math.floor(share * 100)).padStart(3)}%  ${[...facts, ...left].join('  ')}`;
    const room = this.#terminal.columns - this.#label.length - tail.length - 8;
    const width = Math.max(0, Math.min(30, room));
    const done = Math.round(width * share);
    const bar = width >= 5 ? `  ${'█'.repeat(done)}${'░'.repeat(width - done)}` : '';
    return `${this.#label}${bar} ${tail}`.slice(0, this.#terminal.columns - 1);
  }

  /** Takes the line away. */
  [Symbol.dispose](): void {
    if (this.#terminal.interactive && this.#drawnAt > 0) this.#terminal.err('\r\x1b[2K');
  }
}
