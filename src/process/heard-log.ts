/** A log that somebody hears. */
import type {Log, LogFields} from '#runtime/log.ts';

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
