import { Type } from 'typebox';
import { Instant, pageOf } from './elements.ts';

export const Saga = Type.Object(
  {
    id: Type.String({ description: 'the workflow’s id; encode it in a URL' }),
    workflow: Type.String(),
    status: Type.String({ description: 'Temporal’s: running, completed, failed, …' }),
    outcome: Type.Optional(Type.String({ description: '`stuck` where it needs an operator' })),
    studentId: Type.Optional(Type.String()),
    step: Type.Optional(Type.String({ description: 'where it is stuck' })),
    error: Type.Optional(Type.String({ description: 'what keeps it there' })),
    startedAt: Instant,
    endedAt: Type.Optional(Instant),
  },
  { $id: 'Saga' },
);

export const SagaPage = pageOf(Saga);

export const sagaSchemas = [Saga, SagaPage];
