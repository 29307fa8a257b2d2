import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mask } from '../../src/observe/mask.js';
import { maskReply } from '../../src/observe/redact-error.js';

const value = (text: string | Buffer) => [{ kind: 'value' as const, text }];
const secret = (text: string | Buffer) => [{ kind: 'secret' as const, text }];

/** Whether any six characters of a secret, one behind the other, are in a text. */
function shows(text: string, secretText: string): boolean {
  for (let i = 0; i + 6 <= secretText.length; i++) if (text.includes(secretText.slice(i, i + 6))) return true;
  return false;
}

describe('a text of a server', () => {
  it.each([
    ['ERR value is not an integer or out of range', 'value'],
    ['ERR value is not an integer or out of range', 'an integer or out of range, says the value that is not'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'Operation'],
    ["OOM command not allowed when used memory > 'maxmemory'.", 'maxmemory'],
    ['MOVED 3999 127.0.0.1:6381', '127.0.0.1:6381'],
    ['LOADING Valkey is loading the dataset in memory', 'loading the dataset'],
    ['ERR some value of a module is out of range', 'value'],
    ['BUSYGROUP', 'BUSYGROUP'],
  ])('survives where it quotes nothing: %s', (text, arg) => {
    expect(mask(text, value(arg))).toBe(text);
  });

  it('survives with the name of the command that was sent', () => {
    const text = "ERR wrong number of arguments for 'set' command";
    expect(maskReply(text, ['SET', 'k', 'set', 'set'])).toBe(text);
    expect(
      maskReply("ERR wrong number of arguments for 'config|set' command", ['CONFIG', 'SET', 'config|set']),
    ).toContain('config|set');
  });

  it('keeps the words around what it quotes', () => {
    expect(maskReply("ERR Error in ACL SETUSER modifier '>pw': Syntax error", ['ACL', 'SETUSER', 'joe', '>pw'])).toBe(
      "ERR Error in ACL SETUSER modifier '?': Syntax error",
    );
    expect(
      maskReply("ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value", [
        'CONFIG',
        'SET',
        'maxmemory',
        'argument',
      ]),
    ).toBe("ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value");
    expect(
      maskReply("ERR unknown command 'HEXPIREX', with args beginning with: 'key' 'v' ", ['HEXPIREX', 'key', 'v']),
    ).toBe("ERR unknown command 'HEXPIREX', with args beginning with: ?");
  });

  it('keeps the words of a script, and not what looks like a secret in its source', () => {
    const source = "return redis.error_reply('LIMIT2 quota exceeded for tenant s3cret-CANARY')";
    expect(maskReply('LIMIT2 quota exceeded for tenant s3cret-CANARY', ['EVAL', source, '0'])).toBe(
      'LIMIT2 quota exceeded for tenant ?',
    );
    const near = "ERR Error compiling script (new function): user_script:1: '=' expected near 'hunter2'";
    expect(maskReply(near, ['EVAL', 'return "a" hunter2', '0'])).toBe(near.replace('hunter2', '?'));
  });
});

describe('a hidden argument', () => {
  it.each<[string, string, string | Buffer]>([
    ['that is cut', "ERR bad 'hunter2-very'", 'hunter2-very-secret'],
    ['that is cut with dots', "ERR bad 'hunter2...'", 'hunter2-very-secret'],
    ['of one character in a quotation', "ERR bad 'e'", 'e'],
    ['with a quotation mark inside', "ERR bad 'it's a s3cret'", "it's a s3cret"],
    ['in back quotes', 'ERR bad `hunter2`', 'hunter2'],
    ['whose line ends became spaces', "ERR bad 'one two-hunter2'", 'one\r\ntwo-hunter2'.replace('\r\n', '\n')],
    ['that is escaped', 'ERR bad "a\\"b\\\\c\\x00\\xff\\nhunter2"', Buffer.from('a"b\\c\0\xff\nhunter2', 'latin1')],
    ['in lower case', "ERR bad 'hunter2'", 'HUNTER2'],
    ['outside of a quotation', 'ERR near hunter2 at 5', 'hunter2-very-secret'],
    ['that is a Buffer cut inside a character', "ERR bad 'пар\ufffd'", Buffer.from('пароль')],
    ['that begins in the middle of a character', "ERR bad 'ab\ufffd\ufffd'", Buffer.from([97, 98, 0xd0, 0xd0])],
    ['of wide characters', 'ERR bad 密码口令 here', '密码口令'],
    [
      'whose first 16 bytes end inside a character',
      "ERR bad 'xxxxxxxxxxxxxxx€uro'",
      Buffer.from('xxxxxxxxxxxxxxx€uro'),
    ],
    ['whose 16th character is half of a pair', "ERR bad 'xxxxxxxxxxxxxxx😀y'", 'xxxxxxxxxxxxxxx😀y'],
    ['with half of a pair', "ERR bad 'ab\ufffdcd'", 'ab\ud83dcd'],
    ['with characters of a pattern', 'ERR bad a.*(b)+[c]$ here', 'a.*(b)+[c]$'],
    ['of digits', 'ERR bad 4111111111111111 here', '4111111111111111'],
    ['beside a capital with a long lower case', 'ERR İ bad CANARY-7f3a9c2e1b İ', 'canary-7F3A9C2E1B'],
  ])('is not shown %s', (_, text, arg) => {
    const masked = mask(text, value(arg));
    expect(masked).toContain('?');
    expect(masked.replace(/[^a-z0-9\p{L}]/giu, '')).toMatch(/^ERR(İ?bad|near)(İ|at5|here)?$/u);
  });

  const canary = fc.oneof(
    fc.string({ minLength: 12, maxLength: 200 }),
    fc.string({ minLength: 12, maxLength: 40, unit: 'binary' }),
    fc
      .constantFrom('a', 'Z', '7', '\\', "'", '"', '`', ' ')
      .chain((c) => fc.string().map((text) => c.repeat(12) + text)),
    fc.string({ minLength: 1_500, maxLength: 3_000 }),
  );

  it('of 12 characters or more never gets through, whole, cut, quoted or bare', () => {
    fc.assert(
      fc.property(
        canary,
        fc.constantFrom<[string, string]>(
          ["ERR bad '", "' here"],
          ['ERR near ', ' at 5'],
          ['', ''],
          ['ERR "', ''],
          ['X', 'X'],
        ),
        fc.nat(),
        fc.boolean(),
        (text, [before, after], cut, binary) => {
          const sent = text.replace(/\p{Surrogate}/gu, '\ufffd').replace(/[\r\n]/g, ' ');
          const quoted = sent.slice(0, 12 + (cut % (sent.length - 11)));
          const masked = mask(`${before}${quoted}${after}`, value(binary ? Buffer.from(text) : text));
          expect(masked).toContain('?');
          expect(shows(masked, quoted)).toBe(false);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('that repeats itself takes no time to speak of', () => {
    const masked = mask(`ERR ${'a'.repeat(4_000)}X`, value('a'.repeat(1_000_000)));
    expect(masked).not.toContain('aaa');
    expect(mask(`ERR ${'ab'.repeat(2_000)}X`, value('ba'.repeat(500)))).not.toContain('aba');
  });

  it('of a megabyte is looked for as well, from the middle of it', () => {
    const long = Array.from({ length: 60_000 }, (_, i) => `word-${i} `).join('');
    expect(mask(`ERR ${long.slice(500_003, 500_020)} here`, value(long))).toBe('ERR ? here');
    expect(mask('ERR value is neither here nor there', value(long))).toBe('ERR value is neither here nor there');
  });
});

describe('a secret of a pool', () => {
  it.each([
    ['ERR user app with password pw refused', 'pw', 'ERR user app with password ? refused'],
    ["ERR '3' 'AUTH' 'app' 'a'", 'a', "ERR '3' 'AUTH' 'app' '?'"],
    ['ERR passwort', 'pass', 'ERR ?wort'],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'password', undefined],
  ])('is not shown: %s', (text, password, expected = text) => {
    expect(mask(text, secret(password))).toBe(expected);
  });
});
