// Google's functions framework, with functions that answer with what they were given.
//
//     serve.cjs framework.cjs FOLDER
//
// FOLDER has the packages. It prints where it listens, on the loopback only, which the framework's own program does
// not know: {"cloudevent": port, "event": port, "http": port}.

const path = require("path");
// Its `testing` has no functions of background events, and makes its servers by this.
const { getServer } = require(
  path.join(process.argv[2], "node_modules/@google-cloud/functions-framework/build/src/server.js"),
);

function answer(told) {
  if (JSON.stringify(told).includes("fail-please")) {
    throw new Error("asked to");
  }
  return { told };
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
