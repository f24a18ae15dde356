import { describe, expect, it } from 'vitest';
import { ConfigError, ENVIRONMENT, readConfig } from './config.ts';
import { isTimezone } from './config-values.ts';

const faults = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
};
const KEY = 'k'.repeat(16);

describe('readConfig()', () => {
  it('has defaults that start', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 3_000,
      timezone: 'UTC',
      eventTimeMinS: 946_684_800,
    });
  });

  it('takes an empty value of any setting as not set', () => {
    const empty = Object.fromEntries(Object.keys(ENVIRONMENT.shape).map((name) => [name, '']));
    expect(readConfig(empty)).toEqual(readConfig({}));
  });

  it('is frozen', () => {
    const config = readConfig({});
    expect(() => Object.assign(config, { port: 1 })).toThrow(TypeError);
    expect(config.port).toBe(3_000);
  });

  it('knows the variables of DAYBOOK_* alone, and leaves the rest of the environment in peace', () => {
    expect(faults({ DAYBOOK_DATADIR: '/d', PATH: '/bin', daybook_x: '1' })).toEqual([
      'DAYBOOK_DATADIR is not a setting of Daybook; see docs/configuration.md',
    ]);
  });

  it('says all faults at once, by name', () => {
    const all = faults({
      PORT: '70000',
      DAYBOOK_TIMEZONE: 'Mars/Base',
      DAYBOOK_LOG_LEVEL: 'loud',
      DAYBOOK_TYPO: '1',
    });
    for (const name of ['PORT', 'DAYBOOK_TIMEZONE', 'DAYBOOK_LOG_LEVEL', 'DAYBOOK_TYPO']) {
      expect(all.filter((fault) => fault.startsWith(name))).toHaveLength(1);
    }
    expect(all).toHaveLength(4);
  });

  it.each(['1e3', '0x10', '-1', '3000.5', ' 3000', 'abc'])('refuses %s as a number', (value) => {
    expect(faults({ PORT: value })).toHaveLength(1);
  });

  it('regression: says what is allowed and what was given, for every setting', () => {
    // A value that no setting takes, whatever its kind; free text takes it.
    const free = ['HOST', 'DAYBOOK_DATA_DIR', 'PUBSUB_EMULATOR_HOST', 'BIGQUERY_EMULATOR_HOST'];
    const credentials = 'GOOGLE_APPLICATION_CREDENTIALS';
    for (const name of Object.keys(ENVIRONMENT.shape)) {
      if (free.includes(name) || name === credentials) continue;
      const given = '?!';
      const [fault, ...more] = faults({ [name]: given });
      expect(more, name).toEqual([]);
      expect(fault, name).toMatch(new RegExp(`^${name}: (must be|each key must have) `));
      expect(fault, name).not.toMatch(/Invalid|expected|Too (small|big)|received/i);
      if (!name.endsWith('_KEYS')) expect(fault, name).toContain(`, not "${given}"`);
    }
    expect(faults({ PORT: '70000' })).toEqual(['PORT: must be a whole number from 0 to 65535, not "70000"']);
    expect(faults({ PORT: '9'.repeat(400) })[0]).toMatch(
      /^PORT: must be a whole number from 0 to 65535, not "9+"$/,
    );
    expect(faults({ DAYBOOK_LOG_REQUESTS: 'some' })).toEqual([
      'DAYBOOK_LOG_REQUESTS: must be one of all, errors, none, not "some"',
    ]);
  });

  it.each([
    'https://app.example',
    'http://localhost:8080',
    'https://[::1]:3000',
    'capacitor://localhost',
    'chrome-extension://abcdefghijklmnop',
    '*',
    'https://a.example, https://b.example',
  ])('takes %s as origins', (value) => expect(faults({ DAYBOOK_CORS_ORIGINS: value })).toEqual([]));

  it.each([
    ['https://app.example/', 'https://app.example'],
    ['https://app.example/shop', 'https://app.example'],
    ['https://app.example?x=1', 'https://app.example'],
    ['HTTPS://App.example', 'https://app.example'],
    ['https://app.example:443', 'https://app.example'],
    ['https://user:secret@app.example', 'https://app.example'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
  ])('regression: refuses %s as an origin and says what browsers send', (value, sent) => {
    expect(faults({ DAYBOOK_CORS_ORIGINS: `https://fine.example,${value}` })).toEqual([
      `DAYBOOK_CORS_ORIGINS: must be origins as browsers send them, here ${sent}, not ${JSON.stringify(value)}`,
    ]);
  });

  it.each(['app.example', '//app.example', 'https://', 'https://a b', '*.example', 'null', 'mailto:x'])(
    'regression: refuses %s, which is no origin',
    (value) => {
      expect(faults({ DAYBOOK_CORS_ORIGINS: value })).toEqual([
        `DAYBOOK_CORS_ORIGINS: must be origins, e.g. https://app.example, or *, not ${JSON.stringify(value)}`,
      ]);
    },
  );

  it('asks for keys where other machines can reach it', () => {
    expect(faults({ HOST: '0.0.0.0' }).map((fault) => fault.split(':')[0])).toEqual([
      'DAYBOOK_WRITE_KEYS',
      'DAYBOOK_READ_KEYS',
    ]);
    expect(faults({ HOST: '0.0.0.0', DAYBOOK_WRITE_KEYS: KEY, DAYBOOK_READ_KEYS: KEY })).toEqual([]);
    for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost'])
      expect(faults({ HOST: host })).toEqual([]);
  });

  it.each([
    '::',
    '0.0.0.0',
    '192.168.0.7',
    '127.0.0.1.example.com',
    'localhost.example.com',
    '::ffff:10.0.0.1',
  ])('counts %s as an address that other machines can reach', (host) => {
    expect(faults({ HOST: host })).toHaveLength(2);
    expect(faults({ HOST: host, DAYBOOK_WRITE_KEYS: KEY })).toEqual([
      expect.stringMatching(/^DAYBOOK_READ_KEYS: must be set/),
    ]);
  });

  it.each([
    'schlüssel-mit-umlaut',
    'a key with some spaces',
    'a-key-with-a-\u0007-bell',
    '鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵鍵',
  ])('regression: refuses a key that no client could send, and does not show it (%#)', (key) => {
    for (const name of ['DAYBOOK_WRITE_KEYS', 'DAYBOOK_READ_KEYS']) {
      expect(faults({ [name]: `${KEY},${key}` })).toEqual([
        `${name}: each key must be of visible ASCII characters, from ! to ~, without spaces`,
      ]);
    }
  });

  it('does not take a list without a key in it for keys', () => {
    const env = { HOST: '0.0.0.0', DAYBOOK_WRITE_KEYS: ' , ,', DAYBOOK_READ_KEYS: KEY };
    expect(faults(env)).toEqual([expect.stringMatching(/^DAYBOOK_WRITE_KEYS: must be set/)]);
  });

  it('regression: says that keys are missing together with all other faults', () => {
    expect(faults({ HOST: '0.0.0.0', PORT: 'x' }).map((fault) => fault.split(':')[0])).toEqual([
      'PORT',
      'DAYBOOK_WRITE_KEYS',
      'DAYBOOK_READ_KEYS',
    ]);
  });

  it('shows no key in a fault', () => {
    const secret = 'too-short';
    const [fault] = faults({ DAYBOOK_WRITE_KEYS: secret });
    expect(fault).toMatch(/^DAYBOOK_WRITE_KEYS: each key must have at least 16 characters/);
    expect(fault).not.toContain(secret);
  });

  it('asks for a project with BigQuery, and then has a default for everything else', () => {
    expect(faults({ DAYBOOK_WAREHOUSE: 'bigquery' })).toEqual([
      expect.stringMatching(/^GOOGLE_CLOUD_PROJECT: must be set/),
    ]);
    const config = readConfig({ DAYBOOK_WAREHOUSE: 'bigquery', GOOGLE_CLOUD_PROJECT: 'acme-web' });
    expect(config).toMatchObject({
      journal: false,
      google: { place: { projectId: 'acme-web', dataset: 'daybook', table: 'events' }, topic: 'analytics' },
    });
  });

  it('has a journal with DuckDB, and with BigQuery where it is asked for', () => {
    expect(readConfig({}).journal).toBe(true);
    expect(faults({ DAYBOOK_JOURNAL: 'off' })).toEqual([
      expect.stringMatching(/^DAYBOOK_JOURNAL: must be on/),
    ]);
    const env = { DAYBOOK_WAREHOUSE: 'bigquery', GOOGLE_CLOUD_PROJECT: 'acme-web', DAYBOOK_JOURNAL: 'on' };
    expect(readConfig(env).journal).toBe(true);
  });

  it.each([
    'a.b.c',
    'a.`b`',
    'a b.c',
    '...',
    'a-b.c',
    'acme-web.web.',
    'x.acme-web.web.events',
    'acme-web:web.events',
  ])('refuses %s as a table', (name) => {
    expect(faults({ BIGQUERY_TABLE_NAME: name })).toEqual([expect.stringMatching(/^BIGQUERY_TABLE_NAME/)]);
  });

  it.each([
    [{}, { projectId: 'acme-web', dataset: 'daybook', table: 'events' }],
    [{ BIGQUERY_TABLE_NAME: 'clicks' }, { projectId: 'acme-web', dataset: 'daybook', table: 'clicks' }],
    [{ BIGQUERY_TABLE_NAME: 'web.clicks-1' }, { projectId: 'acme-web', dataset: 'web', table: 'clicks-1' }],
    [
      { BIGQUERY_TABLE_NAME: 'acme-data.web.clicks' },
      { projectId: 'acme-data', dataset: 'web', table: 'clicks' },
    ],
    [
      { BIGQUERY_TABLE_NAME: 'acme.example:data.web.clicks' },
      { projectId: 'acme.example:data', dataset: 'web', table: 'clicks' },
    ],
  ])('takes %o as a table, and publishes in the project of Google Cloud', (env, place) => {
    const config = readConfig({ DAYBOOK_WAREHOUSE: 'bigquery', GOOGLE_CLOUD_PROJECT: 'acme-web', ...env });
    expect(config.google).toMatchObject({ projectId: 'acme-web', place });
  });

  it('refuses short keys and reads lists', () => {
    expect(faults({ DAYBOOK_WRITE_KEYS: 'short' })).toHaveLength(1);
    expect(readConfig({ DAYBOOK_WRITE_KEYS: `${KEY}, ${KEY}2` }).writeKeys).toEqual([KEY, `${KEY}2`]);
  });
});

describe('isTimezone()', () => {
  it('knows IANA names and refuses what could be SQL or an offset', () => {
    for (const name of ['UTC', 'Asia/Kathmandu', 'America/Argentina/Buenos_Aires', 'Etc/GMT+3'])
      expect(isTimezone(name)).toBe(true);
    for (const name of ['', '+03:00', "UTC'--", 'Nowhere/City']) expect(isTimezone(name)).toBe(false);
  });
});
