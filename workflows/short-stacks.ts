/**
 * Loaded once before any workflow. The SDK takes a stack trace for every promise in a workflow, to show it in the Web UI's "Call Stack", and
 * maps each of its lines to the source: that was half of a workflow's time. This many lines say where.
 */
Error.stackTraceLimit = 2;
