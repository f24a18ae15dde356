import { Controller, Get, Header, Redirect } from '@nestjs/common';
import { docsPage, errorsPage } from './docs-page.ts';
import { openApiDocument } from './openapi.ts';
import { VERSION } from './version.ts';

const HTML = 'text/html; charset=utf-8';
/** Nothing but the pages' own style; no scripts, no forms, no frames. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The API document, and the same for people. Works without internet; asks for no key. */
@Controller()
export class DocsController {
  readonly #document = openApiDocument(VERSION);

  /** Whoever opens the server in a browser wants to know what it is. */
  @Get()
  @Redirect('/docs', 302)
  home(): void {}

  @Get('openapi.json')
  @Header('cache-control', 'no-cache')
  openApi(): object {
    return this.#document;
  }

  @Get('docs')
  @Header('content-type', HTML)
  @Header('content-security-policy', POLICY)
  docs(): string {
    return docsPage(this.#document);
  }

  @Get('docs/errors')
  @Header('content-type', HTML)
  @Header('content-security-policy', POLICY)
  errors(): string {
    return errorsPage();
  }
}
