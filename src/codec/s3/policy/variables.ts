/** Policy variables: `${aws:username}`, `${aws:username, 'nobody'}`, and `${*}`, `${?}`, `${$}` for the characters themselves. */
import type {Expand, RequestFacts} from '#codec/s3/policy/condition-block.ts';
import {escapeWildcards} from '#codec/s3/policy/wildcard.ts';

const variable = /\$\{\s*([^},'\s]+)\s*(?:,\s*'([^']*)'\s*)?\}/g;

/** With the values of one request. */
export function expander(facts: RequestFacts): Expand {
  return (text, pattern) => {
    let missing = false;
    const expanded = text.replace(variable, (_, name: string, fallback: string | undefined) => {
      const special = name === '*' || name === '?' || name === '$';
      const values = special ? [name] : facts.values(name.toLowerCase());
      const value = values?.length === 1 ? values[0]! : fallback;
      if (value === undefined) {
        missing = true;
        return '';
      }
      return pattern ? escapeWildcards(value) : value;
    });
    return missing ? undefined : expanded;
  };
}
