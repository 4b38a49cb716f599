/** Schemas that every resource uses: they validate, they serialize, and they are the OpenAPI document. */
import type { Readable } from 'node:stream';
import { type Static, type TObject, type TSchema, Type } from 'typebox';
import { Reason } from './reason.ts';

export const PAGE_DEFAULT = 20;
const PAGE_MAX = 100;
const ID_LENGTH_MAX = 100;
const CURSOR_LENGTH_MAX = 500;
const PRICE_MAX = 100_000_00;
export const PROBLEM_TYPE = 'application/problem+json';

/** A schema by its name, so that the document has named components. Register it with `app.addSchema` (schema/all.ts). */
export function ref<S extends TSchema>(schema: S, description?: string) {
  return Type.Unsafe<Static<S>>({ $ref: `${idOf(schema)}#`, ...(description && { description }) });
}

/** The name of a component. @throws where the schema has none. */
export function idOf(schema: TSchema): string {
  if (!('$id' in schema) || typeof schema.$id !== 'string') throw new Error('a referenced schema needs an $id');
  return schema.$id;
}

/** One of these words. */
export function word<const W extends string>(words: readonly W[], description?: string) {
  return Type.Unsafe<W>({ type: 'string', enum: [...words], ...(description ? { description } : {}) });
}

/** A number that may be unknown: null says so, and never 0. */
export function countOrUnknown(description: string) {
  return Type.Unsafe<number | null>({ type: ['integer', 'null'], description });
}

/** Text that may be absent in the nature of the thing. */
export function textOrNull(description: string) {
  return Type.Unsafe<string | null>({ type: ['string', 'null'], description });
}

/** Text on one line; control characters are nobody's name, and no database keeps a NUL. */
export function line(options: { minLength?: number; maxLength: number; description?: string }) {
  return Type.String({ ...options, pattern: '^[^\\u0000-\\u001f\\u007f]*$' });
}

export const Id = line({ minLength: 1, maxLength: ID_LENGTH_MAX });
/** The format alone would take `urn:uuid:` before it, too. */
export const Uuid = Type.String({ format: 'uuid', pattern: '^[0-9a-fA-F-]{36}$' });
export const Instant = Type.String({ format: 'date-time', description: 'RFC 3339, UTC' });
export const TIME_PATTERN = '^([01]\\d|2[0-3]):[0-5]\\d$';
export const TimeOfDay = Type.String({ pattern: TIME_PATTERN, description: 'local, HH:MM' });
export const CurrencyCode = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217' });

export const Money = Type.Object(
  { amount: Type.Integer({ description: 'in minor units (cents)' }), currency: CurrencyCode },
  { $id: 'Money', additionalProperties: false },
);

/** What something is to cost, as a request says it. */
export const Price = closed({
  amount: Type.Integer({ minimum: 0, maximum: PRICE_MAX, description: 'in minor units (cents)' }),
  currency: CurrencyCode,
});

const Field = Type.Object({ path: Type.String(), message: Type.String() }, { $id: 'Field' });

export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'what happened, for a person' }),
    code: Type.String({ description: 'what happened, for a program' }),
    reason: Type.Optional(ref(Reason, 'the rule that said no')),
    remedy: Type.Optional(Type.String({ description: 'what to do about it' })),
    fields: Type.Optional(Type.Array(ref(Field))),
    traceId: Type.Optional(Type.String({ description: 'finds the request in every log' })),
  },
  { $id: 'Problem', description: 'RFC 9457' },
);

export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT })),
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: CURSOR_LENGTH_MAX, description: '`nextCursor` of the page before' }),
  ),
};

/** A page of a list. Register it as every named schema. */
export function pageOf<S extends TSchema>(item: S) {
  return Type.Object(
    {
      items: Type.Array(ref(item)),
      nextCursor: Type.Optional(Type.String({ description: 'absent on the last page' })),
    },
    { $id: `${idOf(item)}Page` },
  );
}

/** An object of a request: what it does not know, it refuses. */
export function closed<P extends Record<string, TSchema>>(properties: P, options: { $id?: string } = {}): TObject<P> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** The header of a read that must show a command's change. */
export const readHeaders = Type.Object({
  'consistency-token': Type.Optional(
    Type.String({ description: '`Consistency-Token` of a command whose change this read must show' }),
  ),
});

/** The header of a command that may wait for its end. */
export const commandHeaders = Type.Object({
  prefer: Type.Optional(Type.String({ description: '`wait=<seconds>`, at most 30: answer when it has ended' })),
});

/** The header of a POST that creates. */
export const createHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'repeating it with the same content creates nothing new',
    }),
  ),
});

/** The header of a PATCH of what has versions. */
export const changeHeaders = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'the `ETag` that was read' })),
});

const problems: Record<number, string> = {
  400: 'malformed: `fields` says where',
  401: 'not logged in',
  403: 'not permitted',
  404: 'there is no such thing, or it is not yours',
  409: 'in conflict with what happened meanwhile',
  412: 'it is not the version you named',
  422: 'a rule says no: `reason` and `remedy`, or the same id with other content',
  429: 'too many requests: `Retry-After`',
  500: 'our fault: `traceId` helps us',
  503: 'what this needs is away, or busy: `code` names it, `Retry-After`',
};

/** Of every route: limits and faults. */
const ALWAYS = [400, 429, 500, 503] as const;

/** All statuses of a route: what it answers, and its problems. Handlers see the good ones only; problems.ts sends the others. */
export function answers<const A extends Record<number, unknown>>(good: A, ...statuses: number[]): A {
  const bad = [...ALWAYS, ...statuses].map((status) => [status, problem(problems[status] ?? 'a problem')] as const);
  return { ...Object.fromEntries(bad), ...good };
}

/** Of every route that takes a body. */
export const bodyProblems = { 413: problem('the body is too large'), 415: problem('the body is not JSON') };

function problem(description: string) {
  return { description, content: { [PROBLEM_TYPE]: { schema: ref(Problem) } } };
}

/** An answer that goes on: server-sent events. */
export function eventStream(description: string) {
  return { description, content: { 'text/event-stream': { schema: Type.Unsafe<Readable>({ type: 'string' }) } } };
}

/** An answer that is text of its own kind. */
export function textOf(mediaType: string, description: string) {
  return { description, content: { [mediaType]: { schema: Type.String() } } };
}

/** Whether a response of a route has its media type beside it: not JSON to be serialized, but a problem, a text or a stream. */
export function isOnlyDescribed(response: unknown): boolean {
  return typeof response === 'object' && response !== null && 'content' in response;
}

/** An answer without a body. */
export function empty(description: string) {
  return Type.Unsafe<null>({ type: 'null', description });
}

export const commonSchemas = [Money, Reason, Field, Problem];
