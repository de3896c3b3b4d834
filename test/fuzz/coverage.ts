/**
 * Which blocks of the sources that are looked at have run, by V8's own counters (precise block coverage, in this process). V8 reports a function with the blocks
 * in it that did not run: so the blocks known are all that were ever reported, and one is covered once its function runs without it.
 */
import {readFileSync} from 'node:fs';
import {type Profiler, Session} from 'node:inspector';
import {fileURLToPath} from 'node:url';

interface Block {
  readonly start: number;
  readonly end: number;
  covered: boolean;
}

export interface FileCoverage {
  readonly file: string;
  readonly blocks: number;
  readonly covered: number;
  /** First lines of the blocks that never ran. */
  readonly missedLines: readonly number[];
}

export class Coverage implements Disposable {
  readonly #session = new Session();
  /** Functions that ran, by file, start and end, with the blocks in them that did not run at some time. */
  readonly #functions = new Map<string, Map<string, Block>>();

  readonly #watched: RegExp;

  constructor(watched = /\/src\/(codec|connectors)\//) {
    this.#watched = watched;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', {callCount: true, detailed: true});
  }

  /** Counts what ran since the last call; true when something ran for the first time. */
  take(commit: boolean): boolean {
    let news = false;
    for (const {url, functions} of this.#scripts()) {
      for (const {ranges} of functions) {
        const whole = ranges[0]!;
        if (whole.count === 0) continue;
        const key = `${url}:${whole.startOffset}:${whole.endOffset}`;
        const idle = ranges.filter(({count}) => count === 0);
        let blocks = this.#functions.get(key);
        if (!blocks) {
          news = true;
          if (!commit) continue;
          this.#functions.set(key, (blocks = new Map()));
        }
        for (const block of blocks.values()) {
          if (block.covered || idle.some(({startOffset, endOffset}) => startOffset <= block.start && block.end <= endOffset)) continue;
          news = true;
          if (commit) block.covered = true;
        }
        if (!commit) continue;
        for (const {startOffset: start, endOffset: end} of idle) if (!blocks.has(`${start}:${end}`)) blocks.set(`${start}:${end}`, {start, end, covered: false});
      }
    }
    return news;
  }

  files(): FileCoverage[] {
    const byFile = Map.groupBy(this.#functions, ([key]) => key.slice(0, key.lastIndexOf(':', key.lastIndexOf(':') - 1)));
    return [...byFile].sort(([a], [b]) => (a < b ? -1 : 1)).map(([url, functions]) => {
      const source = readFileSync(fileURLToPath(url), 'utf8');
      const blocks = functions.flatMap(([, inside]) => [...inside.values()]);
      const missed = blocks.filter(({covered}) => !covered);
      const lines = new Set(missed.map(({start}) => source.slice(0, start).split('\n').length));
      return {
        file: url.slice(url.indexOf('/src/') + 1), blocks: functions.length + blocks.length, covered: functions.length + blocks.length - missed.length, missedLines: [...lines].sort((a, b) => a - b),
      };
    });
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }

  #scripts(): Profiler.ScriptCoverage[] {
    let scripts: Profiler.ScriptCoverage[] = [];
    // Within one thread the inspector answers before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error) throw error;
      scripts = answer.result.filter(({url}) => this.#watched.test(url) && !url.endsWith('.test.ts'));
    });
    return scripts;
  }
}
