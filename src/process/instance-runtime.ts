/** The machine as a running instance uses it: logs go to the home, warnings and errors also to whoever watches. */
import type {Terminal} from '#cli/environment.ts';
import {heard} from '#process/heard-log.ts';
import type {Home} from '#process/home.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {Runtime} from '#runtime/runtime.ts';

export function instanceRuntime(home: Home, terminal: Pick<Terminal, 'err'>): Runtime {
  const runtime = createNodeRuntime({log: {file: home.logFile}});
  return {...runtime, log: heard(runtime.log, (line) => terminal.err(`weir: ${line}\n`))};
}
