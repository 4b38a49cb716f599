/** Puts the trace context into a workflow's headers when it is started. */
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { traceparent } from '#lib/trace';

const KEY = 'traceparent';

/** Started workflows carry the active trace. */
export const tracedStarts: WorkflowClientInterceptor = {
  start(input, next) {
    const parent = traceparent();
    if (!parent) return next(input);
    return next({ ...input, headers: { ...input.headers, [KEY]: defaultPayloadConverter.toPayload(parent) } });
  },
};
