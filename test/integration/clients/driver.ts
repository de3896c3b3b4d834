/**
 * Libraries in other languages are driven by a small program of theirs that stays: a line for each call, `operation TAB argument TAB …`,
 * a line for each answer, `ok TAB value TAB …` or `error TAB message`, every word percent-encoded.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';

const answerMsMax = 120_000;
const logBytesMax = 16 * 1024;

export class Driver implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #log = '';

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string | undefined>> = {}) {
    this.#child = spawn(program, [...args], {env: {...process.env, ...env}, stdio: 'pipe'});
    this.#child.once('error', error => (this.#log += String(error)));
    this.#child.stderr!.on('data', (chunk: Buffer) => (this.#log = (this.#log + chunk.toString()).slice(-logBytesMax)));
    this.#child.stdin!.on('error', () => undefined); // said by the answer that is missing
    this.#lines = createInterface({input: this.#child.stdout!})[Symbol.asyncIterator]();
  }

  /** Calls one at a time. Throws what the program says of its failure. */
  async call(operation: string, ...args: readonly string[]): Promise<string[]> {
    this.#child.stdin!.write(`${[operation, ...args].map(encodeURIComponent).join('\t')}\n`);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), answerMsMax);
    const {value, done} = await this.#lines.next();
    clearTimeout(timer);
    if (done) throw new Error(`${operation} ${args.join(' ')}: the program has ended: ${this.#log}`);
    const [state, ...words] = (value as string).split('\t').map(decodeURIComponent);
    if (state !== 'ok') throw new Error(`${operation} ${args.join(' ')}: ${words.join(' ')} ${this.#log.slice(-2000)}`);
    return words;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await once(this.#child, 'exit');
    clearTimeout(timer);
  }
}

/** Serves the functions of a Python program by the lines above; what a client prints itself goes to stderr. */
const pythonLoop = `
import os, sys
from urllib.parse import quote, unquote
E, K, S, BUCKET, SCRATCH = (os.environ[n] for n in ('WEIR_ENDPOINT', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'BUCKET', 'SCRATCH'))
def serve(operations):
    operations['operations'] = lambda: [n for n in operations if callable(operations[n])]
    out, sys.stdout = os.fdopen(os.dup(1), 'w'), sys.stderr
    os.dup2(2, 1)
    for line in sys.stdin:
        name, *args = [unquote(w) for w in line.rstrip('\\n').split('\\t')]
        try:
            r = operations[name](*args)
            words = ['ok'] + ([r] if isinstance(r, str) else r if type(r) == type([]) else [])
        except BaseException as e:
            words = ['error', '%s: %s' % (type(e).__name__, e)]
        out.write('\\t'.join(quote(w, safe='') for w in words) + '\\n'); out.flush()
`;

/** A driver with `program` (which defines put, get, list …) on a Python that has the library. */
export function pythonDriver(python: string, program: string, env: Readonly<Record<string, string | undefined>>): Driver {
  return new Driver(python, ['-c', `${pythonLoop}\n${program}\nserve(globals())`], env);
}
