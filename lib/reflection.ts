/**
 * gRPC server reflection, v1 and v1alpha, so that grpcurl and `buf curl` need no protos.
 * https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 */
import { type DescFile, type DescMessage, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import {
  type ServerReflectionRequest as QuestionV1,
  ServerReflection as V1,
} from '../gen/grpc/reflection/v1/reflection_pb.ts';
import {
  type ServerReflectionRequest as QuestionV1Alpha,
  ServerReflection as V1Alpha,
} from '../gen/grpc/reflection/v1alpha/reflection_pb.ts';

type Question = QuestionV1 | QuestionV1Alpha;
type Answer =
  | { case: 'listServicesResponse'; value: { service: { name: string }[] } }
  | { case: 'fileDescriptorResponse'; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: 'allExtensionNumbersResponse'; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: 'errorResponse'; value: { errorCode: number; errorMessage: string } };

/** Mounts reflection over `services` and itself. */
export function reflect(router: ConnectRouter, services: readonly DescService[]): void {
  const index = new DescriptorIndex([...services, V1, V1Alpha]);
  async function* serverReflectionInfo(requests: AsyncIterable<Question>) {
    for await (const request of requests)
      yield { validHost: request.host, messageResponse: index.answer(request.messageRequest) };
  }
  router.service(V1, { serverReflectionInfo });
  router.service(V1Alpha, { serverReflectionInfo });
}

/** Descriptors by file name, and file names by symbol. */
class DescriptorIndex {
  readonly #services: readonly DescService[];
  readonly #files = new Map<string, Uint8Array>();
  readonly #fileOf = new Map<string, string>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const service of services) this.#addFile(service.file);
  }

  answer(request: Question['messageRequest']): Answer {
    switch (request.case) {
      case 'listServices':
        return {
          case: 'listServicesResponse',
          value: { service: this.#services.map(({ typeName }) => ({ name: typeName })) },
        };
      case 'fileByFilename':
        return this.#file(request.value);
      case 'fileContainingSymbol':
        return this.#file(this.#fileOf.get(request.value));
      case 'allExtensionNumbersOfType':
        return { case: 'allExtensionNumbersResponse', value: { baseTypeName: request.value, extensionNumber: [] } };
      default:
        return notFound;
    }
  }

  #file(name: string | undefined): Answer {
    const bytes = name === undefined ? undefined : this.#files.get(name);
    return bytes ? { case: 'fileDescriptorResponse', value: { fileDescriptorProto: [bytes] } } : notFound;
  }

  #addFile(file: DescFile): void {
    const { name } = file.proto;
    if (this.#files.has(name)) return;
    this.#files.set(name, toBinary(FileDescriptorProtoSchema, file.proto));
    for (const dependency of file.dependencies) this.#addFile(dependency);
    for (const message of file.messages) this.#addMessage(message, name);
    for (const symbol of [...file.enums, ...file.extensions]) this.#fileOf.set(symbol.typeName, name);
    for (const service of file.services) {
      this.#fileOf.set(service.typeName, name);
      for (const method of service.methods) this.#fileOf.set(`${service.typeName}.${method.name}`, name);
    }
  }

  #addMessage(message: DescMessage, file: string): void {
    this.#fileOf.set(message.typeName, file);
    for (const field of message.fields) this.#fileOf.set(`${message.typeName}.${field.name}`, file);
    for (const nested of message.nestedEnums) this.#fileOf.set(nested.typeName, file);
    for (const nested of message.nestedMessages) this.#addMessage(nested, file);
  }
}

const notFound: Answer = { case: 'errorResponse', value: { errorCode: Code.NotFound, errorMessage: 'not found' } };
