/** The payment provider's own book, page by page. */
import { PlatformError } from '../../local/failure.ts';

const PAGE_SIZE = 500;
const PAGE_TIMEOUT_MS = 30_000;

/** A charge as the provider has it, with everything it gave back of it; amounts in minor units. */
export interface BookEntry {
  key: string;
  amount: number;
  currency: string | null;
  charged: number;
  refunded: number;
  refunds: { key: string; amount: number }[];
}

/** In the order of the keys; each entry is as of the instant its page is asked for. @throws PlatformError */
export async function* bookPages(providerUrl: string): AsyncGenerator<{ entries: BookEntry[]; isLast: boolean }> {
  let cursor: string | undefined;
  do {
    const page = await readPage(providerUrl, cursor);
    cursor = page.nextCursor;
    yield { entries: page.items, isLast: cursor === undefined };
  } while (cursor !== undefined);
}

async function readPage(
  providerUrl: string,
  cursor: string | undefined,
): Promise<{ items: BookEntry[]; nextCursor?: string }> {
  const query = new URLSearchParams({ limit: String(PAGE_SIZE), ...(cursor !== undefined && { cursor }) });
  try {
    const answer = await fetch(`${providerUrl.replace(/\/$/, '')}/book?${query}`, {
      signal: AbortSignal.timeout(PAGE_TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    return (await answer.json()) as { items: BookEntry[]; nextCursor?: string }; // the provider's own shape
  } catch (failure) {
    const cause = failure instanceof Error && failure.cause instanceof Error ? failure.cause : failure;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PlatformError(`The payment provider's book cannot be read (${why}): see whether ${providerUrl} answers.`);
  }
}
