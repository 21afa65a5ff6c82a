// The API's reference. Who has signed in on the page can try it out here without signing in once more.

import { Session } from "./session.js";

const session = new Session();

globalThis.SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null, // it would send the API's description to another server
  requestInterceptor: (request) => {
    const own = request.url.startsWith(new URL(".", document.baseURI).href);
    if (own && session.token && !request.headers.Authorization) request.headers.Authorization = `Bearer ${session.token}`;
    return request;
  },
});
