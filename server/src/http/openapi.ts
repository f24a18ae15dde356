export function openApiDocument(_version: string): object {
  return {};
}
