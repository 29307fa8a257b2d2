export { type KeyvEntry, KeyvLagoon, type KeyvLagoonOptions, type KeyvPool } from './keyv-lagoon.js';
