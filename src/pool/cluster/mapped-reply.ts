import { RESP_TYPES, type TypeMapping } from 'redis';

/**
 * What was made of the replies of several servers, as a type mapping has it: numbers that were added up or compared are numbers
 * again, whatever the mapping makes of those in replies. All else is as the servers' replies were decoded.
 */
export function mapNumbers(reply: unknown, typeMapping: TypeMapping | undefined): unknown {
  return typeMapping?.[RESP_TYPES.NUMBER] === String ? numbersAsText(reply) : reply;
}

function numbersAsText(reply: unknown): unknown {
  if (typeof reply === 'number') return String(reply);
  return Array.isArray(reply) ? reply.map(numbersAsText) : reply;
}
