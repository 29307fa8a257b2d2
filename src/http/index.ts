export type { LimitedBody } from './body.js';
export { clientKey } from './client-key.js';
export {
  type AllowedRequest,
  type DecisionOptions,
  type DeniedRequest,
  type RequestDecision,
  type RequestLimiter,
  rateLimitRequests,
} from './decision.js';
export { ClientAddressUnknownError } from './errors.js';
export { type ExpressOptions, type ExpressRequest, type ExpressResponse, rateLimitExpress } from './express.js';
export { type FastifyOptions, type FastifyReply, type FastifyRequest, rateLimitFastify } from './fastify.js';
export { type HonoContext, type HonoOptions, rateLimitHono } from './hono.js';
export { type KoaContext, type KoaOptions, rateLimitKoa } from './koa.js';
export type { MiddlewareOptions } from './options.js';
