// A service of Restate: a virtual object that keeps the last text it was sent, and answers with it.

import { createServer } from "node:http2";

// The SDK asks for Node 22, of which it uses this one function; Node 20 lacks it.
Promise.withResolvers ??= () => {
  let settle;
  const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...settle };
};
const { createEndpointHandler, object } = await import("@restatedev/restate-sdk");

const cell = object({
  name: "Cell",
  handlers: {
    put: async (context, text) => {
      context.set("text", text);
      return text;
    },
  },
});
createServer(createEndpointHandler({ services: [cell] })).listen(Number(process.argv[2]), "127.0.0.1");
