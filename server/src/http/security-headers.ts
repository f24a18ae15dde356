/**
 * Headers of every answer. An answer is never what a page may show in a frame, and never read as another type than it
 * says. Pages for people have a policy of their own (`docs.controller.ts`).
 */
export const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;
