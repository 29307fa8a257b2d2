// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the messages show how a placeholder is written.
import type { ConfigIssue } from '../errors.js';
import { pointer } from './issues.js';
import { registrySchema } from './schema.js';
import { emptyObject, isObject, type Json, type Snapshot } from './snapshot.js';

type Env = Readonly<Record<string, string | undefined>>;

/** `$${` stands for itself without the first `$`; `${NAME}` and `${NAME:-default}` for a variable; any other `${` is a mistake. */
const PLACEHOLDER = /\$\$\{|\$\{(?:([A-Za-z_]\w*)(?::-([^}]*))?\})?/g;

/**
 * Puts environment variables in the place of `${NAME}` and `${NAME:-default}` in every string value; the default also
 * stands in for a variable that is empty. A value that is one placeholder becomes a number or a boolean where the schema
 * wants one. A missing variable is an issue, and leaves its value as it was written.
 */
export function expandEnv({ value, issues }: Snapshot, env: Env): Snapshot {
  const found: ConfigIssue[] = [...issues];
  const scalars = scalarTypes();

  function expand(source: Json, path: readonly (string | number)[]): Json {
    if (typeof source === 'string') return expandString(source, path);
    if (Array.isArray(source)) return source.map((item, index) => expand(item, [...path, index]));
    if (!isObject(source)) return source;
    const target = emptyObject();
    for (const [name, item] of Object.entries(source)) target[name] = expand(item, [...path, name]);
    return target;
  }

  function expandString(text: string, path: readonly (string | number)[]): Json {
    const problems: string[] = [];
    const expanded = text.replace(PLACEHOLDER, (whole: string, name?: string, otherwise?: string) => {
      if (whole === '$${') return '${';
      if (name === undefined) {
        problems.push('has a ${ that is not ${NAME} or ${NAME:-default}; write $${ for the two characters themselves');
        return whole;
      }
      if (otherwise?.includes('{')) {
        // Where its end is cannot be told, and the rest of it would stand behind the value.
        problems.push(
          otherwise.includes('${')
            ? 'has a ${ inside the default of another, or one that is not closed: a default is plain text; put the choice into one variable'
            : `has a { in the default of ${name}: a default ends at the first }; set the variable instead`,
        );
        return whole;
      }
      const variable = env[name];
      if (otherwise !== undefined) return variable || otherwise;
      if (variable === undefined) problems.push(`needs the environment variable ${name}, which is not set`);
      return variable ?? whole;
    });
    if (problems.length === 0 && closesTooOften(text)) {
      problems.push(
        'has a } behind a default, which ended at the first }; a default holds none: set the variable instead',
      );
    }
    if (problems.length > 0) {
      found.push({ path: pointer(...path), message: [...new Set(problems)].join('; it ') });
      return text;
    }
    const isOnePlaceholder = /^\$\{[^}]*\}$/.test(text);
    return isOnePlaceholder ? toScalar(expanded, scalars.get(String(path.at(-1)))) : expanded;
  }

  return { value: expand(value, []), issues: found };
}

/** Whether a } that no { opened stands in a text with a default: it was meant as a part of that. */
function closesTooOften(text: string): boolean {
  if (!text.includes(':-')) return false;
  let hasDefault = false;
  const literal = text.replace(PLACEHOLDER, (whole: string, _name?: string, otherwise?: string) => {
    hasDefault ||= otherwise !== undefined;
    return whole === '$${' ? '{' : '';
  });
  let open = 0;
  for (const character of literal) {
    if (character === '{') open++;
    else if (character === '}' && --open < 0) return hasDefault;
  }
  return false;
}

/** A variable is always text; a database number or a switch has to become one. */
function toScalar(text: string, type: 'integer' | 'boolean' | undefined): Json {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** The properties of the schema that take a number or a boolean, by name: no name has two meanings in it. */
function scalarTypes(): Map<string, 'integer' | 'boolean'> {
  const types = new Map<string, 'integer' | 'boolean'>();
  for (const definition of Object.values(registrySchema().$defs ?? {})) {
    for (const [name, property] of Object.entries(definition.properties ?? {})) {
      const type = property.$ref === '#/$defs/duration' ? 'integer' : [property.type].flat()[0];
      if (type === 'integer' || type === 'boolean') types.set(name, type);
    }
  }
  return types;
}
