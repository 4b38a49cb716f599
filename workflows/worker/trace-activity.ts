/** Takes the trace context out of a workflow's headers in each of its activities. */
import type { Context } from '@temporalio/activity';
import { defaultPayloadConverter } from '@temporalio/common';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { inSpan } from '#lib/trace';

const KEY = 'traceparent';

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
