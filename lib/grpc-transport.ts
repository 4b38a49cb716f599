/**
 * A Connect `Transport` over @grpc/grpc-js, which brings what connect-node lacks: several addresses of one service, round robin,
 * keepalive and outlier ejection.
 */
import { once } from 'node:events';
import { isIP } from 'node:net';
import {
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  createContextValues,
  encodeBinaryHeader,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from '@connectrpc/connect';
import { createMethodUrl, runStreamingCall, runUnaryCall } from '@connectrpc/connect/protocol';
import { findTrailerError } from '@connectrpc/connect/protocol-grpc';
import * as grpc from '@grpc/grpc-js';

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

const channelOptions: grpc.ChannelOptions = {
  // Loopback and cluster addresses never go through a proxy.
  'grpc.enable_http_proxy': 0,
  // A paused instance is found within three seconds. Less, and a crowd that stalls a cold process for a second drops every call to it.
  'grpc.keepalive_time_ms': 1_000,
  'grpc.keepalive_timeout_ms': 2_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  // Snake case and {seconds, nanos}, or grpc-js falls back to pick_first without a word.
  'grpc.service_config': JSON.stringify({
    loadBalancingConfig: [
      {
        outlier_detection: {
          interval: { seconds: 1, nanos: 0 },
          base_ejection_time: { seconds: 2, nanos: 0 },
          max_ejection_percent: 50,
          failure_percentage_ejection: { threshold: 80, minimum_hosts: 2, request_volume: 10 },
          child_policy: [{ round_robin: {} }],
        },
      },
    ],
  }),
};

export interface GrpcTransport extends Transport {
  close(): void;
}

/**
 * @param addresses host:port of each instance; or one DNS name, which may have several.
 * @param options.defaultTimeoutMs deadline of unary calls that name none. Streams have none unless they name one.
 */
export function createGrpcTransport(
  addresses: readonly string[],
  options: { interceptors: Interceptor[]; defaultTimeoutMs: number },
): GrpcTransport {
  const client = new grpc.Client(targetOf(addresses), grpc.credentials.createInsecure(), channelOptions);
  const { interceptors } = options;
  const baseUrl = `http://${addresses[0]}`;
  return {
    close: () => client.close(),

    unary(method, signal, timeoutMs, header, message, contextValues) {
      const limitMs = timeoutMs ?? options.defaultTimeoutMs;
      const deadline = Date.now() + limitMs;
      return runUnaryCall({
        interceptors,
        timeoutMs: limitMs,
        ...(signal ? { signal } : {}),
        req: {
          stream: false,
          service: method.parent,
          method,
          requestMethod: 'POST',
          url: createMethodUrl(baseUrl, method),
          header: new Headers(header),
          contextValues: contextValues ?? createContextValues(),
          message,
        },
        next: (request) => callUnary(client, method, request, deadline),
      });
    },

    stream(method, signal, timeoutMs, header, input, contextValues) {
      const deadline = timeoutMs ? Date.now() + timeoutMs : undefined;
      return runStreamingCall({
        interceptors,
        ...(timeoutMs ? { timeoutMs } : {}),
        ...(signal ? { signal } : {}),
        req: {
          stream: true,
          service: method.parent,
          method,
          requestMethod: 'POST',
          url: createMethodUrl(baseUrl, method),
          header: new Headers(header),
          contextValues: contextValues ?? createContextValues(),
          message: input,
        },
        next: (request) => callStream(client, method, request, deadline),
      });
    },
  };
}

function targetOf(addresses: readonly string[]): string {
  const [first = ''] = addresses;
  const isLiteral = addresses.every((address) => isIP(address.slice(0, address.lastIndexOf(':'))) === 4);
  return isLiteral ? `ipv4:${addresses.join(',')}` : `dns:///${first}`;
}

function codecOf<I extends DescMessage, O extends DescMessage>(method: DescMethod & { input: I; output: O }) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
    deserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}

function callUnary<I extends DescMessage, O extends DescMessage>(
  client: grpc.Client,
  method: DescMethodUnary<I, O>,
  request: UnaryRequest<I, O>,
  deadline: number,
): Promise<UnaryResponse<I, O>> {
  const { path, serialize, deserialize } = codecOf(method);
  return new Promise((resolve, reject) => {
    const header = new Headers();
    let answer: MessageShape<O> | undefined;
    const call = client.makeUnaryRequest(
      path,
      serialize,
      deserialize,
      request.message,
      toMetadata(request.header),
      { deadline },
      (error, value) => {
        if (error) reject(toError(error, request.signal));
        else answer = value;
      },
    );
    const abort = () => call.cancel();
    request.signal.addEventListener('abort', abort, { once: true });
    call.on('metadata', (metadata: grpc.Metadata) => copyInto(metadata, header));
    call.on('status', (status: grpc.StatusObject) => {
      request.signal.removeEventListener('abort', abort);
      if (status.code !== grpc.status.OK || answer === undefined) return;
      const trailer = copyInto(status.metadata, new Headers());
      resolve({ stream: false, service: method.parent, method, header, trailer, message: answer });
    });
    if (request.signal.aborted) abort();
  });
}

async function callStream<I extends DescMessage, O extends DescMessage>(
  client: grpc.Client,
  method: DescMethod & { input: I; output: O },
  request: StreamRequest<I, O>,
  deadline: number | undefined,
): Promise<StreamResponse<I, O>> {
  const { path, serialize, deserialize } = codecOf(method);
  const call = client.makeBidiStreamRequest(
    path,
    serialize,
    deserialize,
    toMetadata(request.header),
    deadline ? { deadline } : {},
  );
  const abort = () => call.cancel();
  request.signal.addEventListener('abort', abort, { once: true });
  const header = new Headers();
  const trailer = new Headers();
  const status = new Promise<void>((resolve, reject) => {
    call.once('status', (end: grpc.StatusObject) => {
      request.signal.removeEventListener('abort', abort);
      copyInto(end.metadata, trailer);
      if (end.code === grpc.status.OK) resolve();
      else reject(toError(end, request.signal));
    });
  });
  // Whoever reads the messages meets the error; nobody may be reading yet.
  status.catch(() => undefined);
  call.on('error', () => undefined);
  const headersOrEnd = Promise.race([
    once(call, 'metadata').then(([metadata]) => copyInto(metadata, header)),
    status.catch(() => undefined),
  ]);
  if (request.signal.aborted) abort();
  void sendAll(call, request.message);
  await headersOrEnd;
  return { ...request, stream: true, header, trailer, message: receiveAll(call, status, request.signal) };
}

async function sendAll<I, O>(call: grpc.ClientDuplexStream<I, O>, messages: AsyncIterable<I>): Promise<void> {
  try {
    for await (const message of messages) {
      if (!call.write(message)) await Promise.race([once(call, 'drain'), once(call, 'close')]);
    }
    call.end();
  } catch {
    // The sender failed: the receiving side sees the call cancelled.
    call.cancel();
  }
}

async function* receiveAll<I, O>(
  call: grpc.ClientDuplexStream<I, O>,
  status: Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<O> {
  try {
    for await (const message of call) yield message;
  } catch (error) {
    throw toError(error, signal);
  } finally {
    call.cancel();
  }
  await status;
}

/** Headers that belong to the protocol, not to us. */
const PROTOCOL_HEADER = /^(te|content-type|user-agent|grpc-timeout|grpc-encoding|grpc-accept-encoding)$/;

function toMetadata(headers: Headers): grpc.Metadata {
  const metadata = new grpc.Metadata();
  headers.forEach((value, key) => {
    if (PROTOCOL_HEADER.test(key)) return;
    metadata.add(key, key.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  });
  return metadata;
}

function copyInto(metadata: grpc.Metadata, headers: Headers): Headers {
  for (const key of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(key))
      headers.append(key, typeof value === 'string' ? value : encodeBinaryHeader(value));
  }
  return headers;
}

function toError(error: unknown, signal: AbortSignal): ConnectError {
  if (error instanceof ConnectError) return error;
  if (signal.aborted) return ConnectError.from(signal.reason, Code.Canceled);
  if (!isStatus(error)) return ConnectError.from(error);
  const trailer = copyInto(error.metadata, new Headers());
  // Details (a Refusal) travel in a trailer of their own.
  const detailed = trailer.has('grpc-status-details-bin') ? findTrailerError(trailer) : undefined;
  if (detailed) return detailed;
  const message = decodeReserved(error.details);
  return new ConnectError(message, error.code as number as Code, trailer, undefined, error); // the same numbers
}

/** Connect percent-encodes a status message with encodeURIComponent; grpc-js decodes it with decodeURI, which leaves these. */
function decodeReserved(details: string): string {
  return details.replaceAll(/%(?:2[346BCF]|3[ABDF]|40)/g, decodeURIComponent);
}

function isStatus(error: unknown): error is grpc.StatusObject {
  return (
    typeof error === 'object' && error !== null && 'code' in error && 'metadata' in error && Number(error.code) > 0
  );
}
