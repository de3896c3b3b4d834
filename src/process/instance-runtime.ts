/** The machine as a running instance uses it: logs go to the home, warnings and errors also to whoever watches. */
import type {Terminal} from '#cli/environment.ts';
import type {Home} from '#process/home.ts';
import type {Log, LogFields} from '#runtime/log.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {Runtime} from '#runtime/runtime.ts';

export function instanceRuntime(home: Home, terminal: Pick<Terminal, 'err'>): Runtime {
  const runtime = createNodeRuntime({log: {file: home.logFile}});
  return {...runtime, log: heard(runtime.log, (line) => terminal.err(`weir: ${line}\n`))};
}

/** The same log; warnings and errors are said as one line too, without their fields but the error's message. */
export function heard(log: Log, say: (line: string) => void): Log {
  const line = (message: string, fields?: LogFields) => {
    const error = fields?.['error'];
    return error instanceof Error ? `${message}: ${error.message}` : message;
  };
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) => {
      log.warn(message, fields);
      say(line(message, fields));
    },
    error: (message, fields) => {
      log.error(message, fields);
      say(line(message, fields));
    },
    child: (fields) => heard(log.child(fields), say),
  };
}
