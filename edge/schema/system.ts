import { Type } from 'typebox';
import { Instant, ref, word } from './elements.ts';

export const Alive = Type.Object({ status: word(['ok']) }, { $id: 'Alive' });

const Dependency = Type.Object(
  { name: Type.String(), status: word(['up', 'away']), needed: Type.String({ description: 'for what' }) },
  { $id: 'Dependency' },
);

export const Readiness = Type.Object(
  {
    status: word(['ready', 'degraded', 'not-ready'], 'degraded: only what needs the dependency that is away fails'),
    dependencies: Type.Array(ref(Dependency)),
  },
  { $id: 'Readiness' },
);

const Checkpoint = Type.Object(
  { source: Type.String(), position: Type.Integer(), lagEvents: Type.Integer() },
  { $id: 'Checkpoint', description: 'how far it has followed another service’s log' },
);

const Server = Type.Object(
  {
    service: Type.String(),
    address: Type.String({ description: 'host:port' }),
    state: word(['serving', 'draining', 'lost', 'unreachable']),
    since: Type.Optional(Instant),
    load: Type.Optional(Type.Number({ description: 'event-loop utilization, 0–1' })),
    checkpoints: Type.Optional(Type.Array(ref(Checkpoint))),
  },
  { $id: 'Server' },
);

const Member = Type.Object(
  {
    address: Type.String({ description: 'host:port' }),
    role: word(['primary', 'replica']),
    state: word(['serving', 'lagging', 'lost']),
    lagSeconds: Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'null where unknown' }),
    lagBytes: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'null where unknown' }),
  },
  { $id: 'DatabaseMember' },
);

export const Servers = Type.Object(
  {
    servers: Type.Array(ref(Server), { description: 'of several edges, the one that answers' }),
    databases: Type.Array(ref(Member), { description: 'that the edge reads' }),
    temporal: Type.Object({ address: Type.String(), state: word(['serving', 'unreachable']) }),
  },
  { $id: 'Servers' },
);

export const systemSchemas = [Alive, Dependency, Readiness, Checkpoint, Server, Member, Servers];
