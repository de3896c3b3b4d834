/** weir completion bash|zsh: made from the command table itself, so it cannot be behind. */
import type {Command} from 'commander';
import {WeirError} from '#base/errors.ts';
import {example, type Register} from '#cli/command.ts';

interface Entry {
  /** The words before, joined by spaces: `fs ls`. */
  readonly path: string;
  readonly words: readonly string[];
}

/** What may follow each command: its sub-commands and its long options. */
export function completionTable(program: Command): Entry[] {
  const entries: Entry[] = [];
  const visit = (command: Command, path: readonly string[]) => {
    const options = [...command.options, ...program.options].flatMap((option) => (option.long ? [option.long] : []));
    const children = command.commands.map((child) => child.name());
    entries.push({path: path.join(' '), words: [...children, ...new Set([...options, '--help'])]});
    for (const child of command.commands) visit(child, [...path, child.name()]);
  };
  visit(program, []);
  return entries;
}

function bash(entries: readonly Entry[]): string {
  const cases = entries.map(({path, words}) => `    '${path}') words='${words.join(' ')}' ;;`).join('\n');
  return `# weir completion for bash: eval "$(weir completion bash)"
_weir() {
  local path='' word words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in -*) continue ;; esac
    case "\${path:+$path }$word" in
${entries
  .filter(({path}) => path !== '')
  .map(({path}) => `      '${path}') path='${path}' ;;`)
  .join('\n')}
    esac
  done
  case $path in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o filenames -F _weir weir ./weir
`;
}

function zsh(entries: readonly Entry[]): string {
  return `#compdef weir
# weir completion for zsh: eval "$(weir completion zsh)"
autoload -U +X bashcompinit && bashcompinit
${bash(entries)}`;
}

export const registerCompletion: Register = (parent, environment) => {
  const command: Command = parent
    .command('completion SHELL')
    .description('completion for bash or zsh')
    .action(async (shell: string) => {
      const make = {bash, zsh}[shell];
      if (!make) throw new WeirError('InvalidArgument', `there is completion for bash and zsh, not for ${shell}`);
      await environment.terminal.out(make(completionTable(parent)));
    });
  example(command, 'eval "$(weir completion bash)"');
};
