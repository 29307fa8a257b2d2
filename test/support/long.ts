/** Whether the tests run in full, for as long as that takes (`npm run test:all`). */
export const isLong = process.env.LONG_TESTS === '1';
