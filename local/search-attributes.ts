/** What sagas can be found by in Temporal's Web UI. */
import type { Connection } from '@temporalio/client';
import { PlatformError } from './failure.ts';

export const searchAttributes = { StudentId: 'Keyword', SectionId: 'KeywordList', Outcome: 'Keyword' } as const;

/** As temporal.api.enums.v1.IndexedValueType counts them. */
const VALUE_TYPES = { Keyword: 2, KeywordList: 7 } as const;

/**
 * Sees to it that a server which somebody else has started knows the search attributes: without them it refuses to start any saga.
 * @throws PlatformError where they cannot be added
 */
export async function ensureSearchAttributes(address: string, namespace: string): Promise<void> {
  // Most platforms run a server of their own, which is told when it starts.
  const { Connection } = await import('@temporalio/client');
  const connection = await Connection.connect({ address });
  try {
    await addMissing(connection, namespace);
  } catch (failure) {
    const reason = failure instanceof Error && 'details' in failure ? failure.details : failure;
    throw new PlatformError(
      `The Temporal server at ${address} does not take the search attributes of sagas (${reason}): run ${command(namespace)}.`,
    );
  } finally {
    await connection.close();
  }
}

async function addMissing({ operatorService }: Connection, namespace: string): Promise<void> {
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const missing = Object.entries(searchAttributes).filter(([name]) => !(name in customAttributes));
  if (missing.length === 0) return;
  const added = Object.fromEntries(missing.map(([name, type]) => [name, VALUE_TYPES[type]]));
  await operatorService.addSearchAttributes({ namespace, searchAttributes: added });
}

function command(namespace: string): string {
  const attributes = Object.entries(searchAttributes).map(([name, type]) => `--name ${name} --type ${type}`);
  return `temporal operator search-attribute create --namespace ${namespace} ${attributes.join(' ')}`;
}
