// Google's functions framework, with functions that return their input.
//
//     serve.cjs framework.cjs FOLDER
//
// FOLDER contains the packages. It prints its ports, {"cloudevent": port, "event": port, "http": port}, and listens on the
// loopback only, for which the framework's own program has no option.

const path = require("path");
// `getServer` is internal; the public `testing` supports no functions of background events.
const { getServer } = require(
  path.join(process.argv[2], "node_modules/@google-cloud/functions-framework/build/src/server.js"),
);

function answer(input) {
  if (JSON.stringify(input).includes("fail-please")) {
    throw new Error("the event requests a failure");
  }
  return { input };
}

const FUNCTIONS = {
  cloudevent: (event) => answer(event),
  event: (data, context) => answer({ data, context }),
  http: (request, response) => {
    const body = (request.rawBody || Buffer.alloc(0)).toString("base64");
    const type = request.get("content-type") || null;
    response.status(218).json({ method: request.method, url: request.originalUrl, type, body });
  },
};

async function listen(signatureType) {
  const options = { signatureType, enableExecutionId: false, timeoutMilliseconds: 0, ignoredRoutes: null };
  const server = getServer(FUNCTIONS[signatureType], options);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return [signatureType, server.address().port];
}

Promise.all(Object.keys(FUNCTIONS).map(listen)).then((ports) => {
  console.log(JSON.stringify(Object.fromEntries(ports)));
});
