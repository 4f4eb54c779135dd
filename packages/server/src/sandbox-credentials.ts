import { sandboxAccessKey, sandboxApiKey, sandboxSecretKey } from '@dailies/sandbox';
import { Secret } from './kernel/secret.ts';

/** The sandbox's well-known credentials: the API key for both generations, the key pair where only legacy is wanted. */
export function sandboxCredentials(generation: 'auto' | 'legacy' | 'standard') {
  return generation === 'legacy'
    ? { apiKey: null, accessKey: new Secret(sandboxAccessKey), secretKey: new Secret(sandboxSecretKey) }
    : { apiKey: new Secret(sandboxApiKey), accessKey: null, secretKey: null };
}
