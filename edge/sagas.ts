/** What operators see of the sagas, and the one thing they can do. Temporal is the source; nothing is kept here. */
import type { Config } from '#lib/config';

export const sagaFilters = ['stuck', 'running', 'ended'] as const;
export type SagaFilter = (typeof sagaFilters)[number];

export interface Saga {
  id: string;
  workflow: string;
  status: string;
  outcome?: string;
  studentId?: string;
  step?: string;
  error?: string;
  startedAt: string;
  endedAt?: string;
}

export interface SagaPage {
  items: Saga[];
  /** Temporal's own; empty on the last page. */
  nextPageToken: Uint8Array;
}

export interface Sagas {
  list(filter: SagaFilter, page: { limit: number; token: Uint8Array }): Promise<SagaPage>;
  /** Lets a stuck saga try again at once. */
  retry(id: string): Promise<void>;
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Loads Temporal's client with the first call: it is a fifth of this process's memory, and only operators ask. */
export function openSagas(config: Config['temporal']): Sagas {
  let opened: Promise<Sagas> | undefined;
  const sagas = () => {
    opened ??= import('./temporal-sagas.ts').then(({ temporalSagas }) => temporalSagas(config));
    return opened;
  };
  return {
    list: async (filter, page) => (await sagas()).list(filter, page),
    retry: async (id) => (await sagas()).retry(id),
    check: async () => (await sagas()).check(),
    close: async () => (await opened)?.close(),
  };
}
