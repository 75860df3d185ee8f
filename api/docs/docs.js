"use strict";

SwaggerUIBundle({
  url: new URL("../openapi.yaml", document.currentScript.src).href,
  domNode: document.getElementById("docs"),
  deepLinking: true,
  validatorUrl: null, // it is another host's
});
