/** What holds where a configuration says nothing. The schema's `default`s say the same, and a test proves it. */
export const DEFAULTS = {
  database: 0,
  tls: false,
  minVersion: 'TLSv1.2',
  rejectUnauthorized: true,
  keyPrefix: '',
  connectTimeout: 5_000,
  commandTimeout: 5_000,
  maxPending: 100_000,
  failFast: false,
  replicas: 'never',
  reconnect: { minDelay: 50, maxDelay: 500 },
  pool: { max: 10, min: 0, lanes: 1, acquireTimeout: 3_000, idleTimeout: 30_000, maxWaiting: 1_000 },
  commands: {},
} as const;

/** Longest duration of a configuration, in ms (24.8 days): a Node timer set any further off fires at once. */
export const MAX_DURATION_MS = 2_147_483_647;
