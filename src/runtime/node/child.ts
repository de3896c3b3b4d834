/** A module of ours as a process of its own, and plain values between the two. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {WeirError} from '#base/errors.ts';

export interface Child extends AsyncDisposable {
  /** Sends a question and waits for the answer. One at a time. Unavailable when the child has ended. */
  ask(question: unknown): Promise<unknown>;
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const {promise: ended, reject} = Promise.withResolvers<never>();
  const onExit = (code: number | null) => reject(new WeirError('Unavailable', `a child process ended with status ${code}`));
  child.once('exit', onExit);
  try {
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [unknown];
    return message;
  } finally {
    child.off('exit', onExit);
  }
}

/** Starts it on the same Node, with the same flags. It is ended when disposed, and ends by itself when this process does. */
export function startChild(module: URL): Child {
  const child = fork(module, [], {stdio: ['ignore', 'ignore', 'inherit', 'ipc']});
  return {
    ask: (question) => {
      child.send(question as object);
      return nextMessage(child);
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

/** In the child: answers each question in turn; resolves when the parent has gone away. */
export async function answerParent(answer: (question: unknown) => Promise<unknown>): Promise<void> {
  const {promise: gone, resolve} = Promise.withResolvers<void>();
  let last: Promise<void> = Promise.resolve();
  process.on('message', (question) => {
    last = last.then(async () => void process.send?.(await answer(question)));
    last.catch(() => process.disconnect());
  });
  process.once('disconnect', resolve);
  await gone;
}
