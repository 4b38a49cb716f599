/** Inside a workflow: hands the trace context it was started with to every activity. Temporal's headers carry it. */
import type { Headers, WorkflowInterceptorsFactory } from '@temporalio/workflow';

const KEY = 'traceparent';

export const interceptors: WorkflowInterceptorsFactory = () => {
  let carried: Headers = {};
  function carrying<I extends { headers: Headers }>(input: I): I {
    return { ...input, headers: { ...input.headers, ...carried } };
  }
  return {
    inbound: [
      {
        execute(input, next) {
          const parent = input.headers[KEY];
          carried = parent ? { [KEY]: parent } : {};
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(carrying(input)),
        scheduleLocalActivity: (input, next) => next(carrying(input)),
      },
    ],
  };
};
