/** How the simulated provider treats one test card. */
export interface Card {
  /** Code the card is declined with; absent where it pays. */
  decline?: string;
  /** The money moves at once, the first answer is slow. */
  slow?: true;
  /** The money moves at once, the first answer never comes. */
  silent?: true;
  /** How many requests of one key fail before the card works. */
  failures?: number;
}

const cards = new Map<string, Card>([
  ['tok_ok', {}],
  ['tok_declined', { decline: 'card-declined' }],
  ['tok_insufficient_funds', { decline: 'insufficient-funds' }],
  ['tok_slow', { slow: true }],
  ['tok_timeout_charged', { silent: true }],
  ['tok_flaky', { failures: 2 }],
]);

/** The card behind a token, or undefined where the provider never issued it. */
export function cardOf(token: string): Card | undefined {
  return cards.get(token);
}
