/** Outside workflows: puts the trace context into a workflow's headers when it is started, and takes it out in each activity. */

import type { Context } from '@temporalio/activity';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { inSpan, traceparent } from '#lib/trace';

const KEY = 'traceparent';

/** Started workflows carry the active trace. */
export const tracedStarts: WorkflowClientInterceptor = {
  start(input, next) {
    const parent = traceparent();
    if (!parent) return next(input);
    return next({ ...input, headers: { ...input.headers, [KEY]: defaultPayloadConverter.toPayload(parent) } });
  },
};

/** Activities run in a span of the trace that their workflow carries. */
export function tracedActivity(context: Context): { inbound: ActivityInboundCallsInterceptor } {
  return {
    inbound: {
      execute(input, next) {
        const payload = input.headers[KEY];
        const parent = payload ? defaultPayloadConverter.fromPayload<string>(payload) : null;
        return inSpan(context.info.activityType, { parent }, () => next(input));
      },
    },
  };
}
