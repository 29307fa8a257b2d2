/** Calls a callback of the user's; what it throws is a warning, and harms nothing that goes on here. */
export function tell(whose: string, callback: () => void): void {
  try {
    callback();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.emitWarning(`${whose} failed: ${reason}`, { type: 'LagoonWarning', code: 'LAGOON_LISTENER' });
  }
}
