import {pino} from 'pino';
import type {Log, LogFields} from '#runtime/log.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface NodeLogOptions {
  /** A file to append to; standard error when absent. */
  readonly file?: string;
  readonly level?: LogLevel;
}

/** JSON lines with pino: level, time in ISO 8601, pid, message, fields. Errors among the fields keep message, kind and stack. */
export function nodeLog(options: NodeLogOptions = {}): Log {
  const destination = pino.destination({dest: options.file ?? 2, append: true, mkdir: true, sync: true});
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: {pid: process.pid},
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: {level: (level) => ({level})},
      serializers: {error: pino.stdSerializers.errWithCause},
    },
    destination,
  );
  return wrap(logger);
}

function wrap(logger: pino.Logger): Log {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: LogFields) => {
    if (logger.isLevelEnabled(level)) logger[level](fields ?? {}, message);
  };
  return {debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (fields) => wrap(logger.child(fields))};
}
