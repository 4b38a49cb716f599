/** The billing service, put together. */
import type { ServiceDefinition } from '#lib/service';
import { BillingService } from '#proto/billing/v1/service';
import { Charge, ChargeLine } from './charge.ts';
import { DropRefund } from './drop-refund.ts';
import { followMaterialPrices } from './followers.ts';
import { migrations } from './migrations/all.ts';
import { ProviderGateway } from './provider-gateway.ts';
import { TuitionRate } from './rate.ts';
import { billingService } from './service.ts';

export const billing: ServiceDefinition = {
  name: 'billing',
  entities: [TuitionRate, Charge, ChargeLine, DropRefund],
  migrations,
  build: (parts) => {
    const gateway = new ProviderGateway(parts.config.paymentProviderUrl, parts.logger);
    return {
      services: [BillingService],
      routes: (router) => router.service(BillingService, billingService(parts, gateway)),
      followers: [followMaterialPrices(parts)],
      stop: () => gateway.close(),
    };
  },
};
