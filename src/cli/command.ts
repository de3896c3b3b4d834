/** What every command shares: the two global options, a connected client, the form of its help. */
import {type Command, InvalidArgumentError} from 'commander';
import {parseSize} from '#base/units.ts';
import type {CliEnvironment} from '#cli/environment.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';

/** Adds one command to its parent. */
export type Register = (parent: Command, environment: CliEnvironment) => void;

export interface GlobalOptions {
  readonly home: string | undefined;
  readonly json: boolean;
}

export function globals(command: Command): GlobalOptions {
  const {home, json} = command.optsWithGlobals<{home?: string; json?: boolean}>();
  return {home, json: json === true};
}

/** Runs `fn` with a client of the instance, and closes it whatever happens. */
export async function withFiles<T>(
  environment: CliEnvironment,
  command: Command,
  fn: (files: FileSystem, context: CallContext, options: GlobalOptions) => Promise<T>,
): Promise<T> {
  const options = globals(command);
  await using files = await environment.connect(options.home);
  return await fn(files, environment.context, options);
}

/** An example, as the last part of the help. */
export function example(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExample:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

export function sizeOption(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

export function countOption(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError('a whole number is needed');
  return count;
}

export function portOption(text: string): number {
  const port = countOption(text);
  if (port > 65_535) throw new InvalidArgumentError('a port is at most 65535');
  return port;
}

const threadsMax = 64;

export function threadsOption(text: string): number {
  const threads = countOption(text);
  if (threads > threadsMax) throw new InvalidArgumentError(`at most ${threadsMax} threads`);
  return threads;
}

/** `k=v`, collected. */
export function pairOption(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('write NAME=VALUE');
  return {...before, [text.slice(0, at)]: text.slice(at + 1)};
}
