export function docsPage(_document: object): string {
  return '';
}
export function errorsPage(): string {
  return '';
}
