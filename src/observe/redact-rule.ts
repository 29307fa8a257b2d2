/**
 * The little language in which the table says what may be shown of a command's arguments. After the name (and the
 * subcommand), from left to right:
 *
 *     k            anything that may be shown: a key, a field, a channel, a name
 *     ?            hidden
 *     n  i  p  r   shown if it is a number, a stream ID, a JSON path without a filter, a numeric bound of a range
 *     n* i* p*     as many of those as there are
 *     k* ?* (k?)*  to the end of the line
 *     ck  c(k?)    a count, and that many of what follows it
 *     ~            `=` or `~`, or nothing
 *     [NX EX:n]    any number of these keywords, in any case and order; what comes after a keyword follows the colon
 *     {NX EX:n}    at most one of them
 *
 * Where a line does not fit its rule, or goes on after it, the remainder is hidden.
 */
export type Step =
  | { readonly kind: 'arg' | 'while'; readonly form: Form }
  | { readonly kind: 'rest'; readonly steps: readonly Step[] }
  | { readonly kind: 'counted'; readonly steps: readonly Step[]; readonly width: number }
  | { readonly kind: 'approximation' }
  | { readonly kind: 'options'; readonly options: ReadonlyMap<string, readonly Step[]>; readonly many: boolean };

export type Form = 'any' | 'hidden' | 'number' | 'id' | 'path' | 'bound';

/** A rule, and the commands it is for, separated by white space; `|` stands before a subcommand. */
export type RuleRow = readonly [rule: string, commands: string];

const FORM_OF: Readonly<Record<string, Form>> = {
  k: 'any',
  '?': 'hidden',
  n: 'number',
  i: 'id',
  p: 'path',
  r: 'bound',
};

export function parseRule(rule: string): readonly Step[] {
  const [steps, end] = parseSteps(rule, 0);
  if (end !== rule.length) throw new SyntaxError(`Redaction rule ${rule}: nothing closes at ${end}`);
  return steps;
}

function parseSteps(rule: string, start: number): [Step[], number] {
  const steps: Step[] = [];
  let at = start;
  while (at < rule.length && !' )]}'.includes(rule[at] as string)) {
    const [step, next] = parseStep(rule, at);
    steps.push(step);
    at = next;
  }
  return [steps, at];
}

function parseStep(rule: string, at: number): [Step, number] {
  const sign = rule[at] as string;
  if (sign === '~') return [{ kind: 'approximation' }, at + 1];
  if (sign === '[' || sign === '{') return parseOptions(rule, at);
  if (sign === 'c') {
    const [steps, next] = parseUnit(rule, at + 1);
    return [{ kind: 'counted', steps, width: steps.length }, next];
  }
  const [steps, next] = parseUnit(rule, at);
  const [first] = steps;
  if (rule[next] === '*') {
    const conditional = first?.kind === 'arg' && first.form !== 'any' && first.form !== 'hidden' && sign !== '(';
    return [conditional ? { kind: 'while', form: first.form } : { kind: 'rest', steps }, next + 1];
  }
  if (sign === '(' || !first) throw new SyntaxError(`Redaction rule ${rule}: a group at ${at} without a count or *`);
  return [first, next];
}

/** One argument, or a group of them in parentheses. */
function parseUnit(rule: string, at: number): [Step[], number] {
  if (rule[at] === '(') {
    const [steps, end] = parseSteps(rule, at + 1);
    return [steps, end + 1];
  }
  const form = FORM_OF[rule[at] ?? ''];
  if (!form) throw new SyntaxError(`Redaction rule ${rule}: unknown sign at ${at}`);
  return [[{ kind: 'arg', form }], at + 1];
}

function parseOptions(rule: string, at: number): [Step, number] {
  const options = new Map<string, readonly Step[]>();
  const keyword = /\s*([A-Z][A-Z0-9_-]*)(:?)/y;
  const many = rule[at] === '[';
  let end = at + 1;
  for (;;) {
    keyword.lastIndex = end;
    const match = keyword.exec(rule);
    if (!match) break;
    const [steps, next] = match[2] ? parseSteps(rule, keyword.lastIndex) : [[], keyword.lastIndex];
    options.set(match[1] as string, steps);
    end = next;
  }
  if (rule[end] !== (many ? ']' : '}')) throw new SyntaxError(`Redaction rule ${rule}: options not closed at ${end}`);
  return [{ kind: 'options', options, many }, end + 1];
}
