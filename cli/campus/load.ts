import { Code, ConnectError } from '@connectrpc/connect';
import type { Clients } from '#lib/clients';
import { BillingService } from '#proto/billing/v1/service';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { CatalogService } from '#proto/catalog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { buildCampus, type Campus } from './campus.ts';

const BATCH_MAX = 200;
const CALL_TIMEOUT_MS = 60_000;
const call = { timeoutMs: CALL_TIMEOUT_MS };

/**
 * Loads the demo campus. Repeating it completes what was interrupted; of a loaded campus it changes only accounts, courses and sections that
 * differ, back to what they were.
 */
export async function loadCampus(clients: Clients): Promise<void> {
  const campus = buildCampus();
  await Promise.all([loadAccounts(clients, campus), loadPrices(clients, campus)]);
  // Sections last: who can see one can also register for it.
  await loadCatalog(clients, campus);
}

/** Loads it unless it is there: what a registrar has changed since stays. @param onLoad told before it takes its seconds. */
export async function loadCampusOnce(clients: Clients, onLoad?: () => void): Promise<void> {
  if (await isLoaded(clients)) return;
  onLoad?.();
  await loadCampus(clients);
}

/** What is loaded last is there. */
async function isLoaded(clients: Clients): Promise<boolean> {
  const sectionId = buildCampus().sections.at(-1)?.id ?? '';
  try {
    await clients.of(CatalogService, 'catalog').getSection({ sectionId }, call);
    return true;
  } catch (failure) {
    if (failure instanceof ConnectError && failure.code === Code.NotFound) return false;
    throw failure;
  }
}

async function loadAccounts(clients: Clients, { accounts }: Campus): Promise<void> {
  const identity = clients.of(IdentityService, 'identity');
  for (const batch of batchesOf(accounts)) await identity.putAccounts({ accounts: batch }, call);
}

async function loadPrices(clients: Clients, { materials, tuitionRate }: Campus): Promise<void> {
  await clients.of(BillingService, 'billing').setTuitionRate({ rate: tuitionRate }, call);
  const bookstore = clients.of(BookstoreService, 'bookstore');
  for (const { id, name, price, stock } of materials) {
    const material = { materialId: id, name, stock, ...(price && { price }) };
    await bookstore.createMaterial(material, call).catch(ignoreExisting);
  }
}

/** A material that somebody has made since is theirs. */
function ignoreExisting(failure: unknown): void {
  if (!(failure instanceof ConnectError && failure.code === Code.AlreadyExists)) throw failure;
}

async function loadCatalog(clients: Clients, { term, courses, sections }: Campus): Promise<void> {
  const catalog = clients.of(CatalogService, 'catalog');
  await catalog.putTerms({ terms: [term] }, call);
  for (const batch of batchesOf(courses)) await catalog.putCourses({ courses: batch }, call);
  for (const batch of batchesOf(sections)) await catalog.putSections({ sections: batch }, call);
}

function batchesOf<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / BATCH_MAX) }, (_, index) =>
    all.slice(index * BATCH_MAX, (index + 1) * BATCH_MAX),
  );
}
