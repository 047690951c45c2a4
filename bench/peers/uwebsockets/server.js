// A relay on µWebSockets.js: what a socket at /publish says goes to all at /subscribe, by the topics that are built in; a
// socket at /echo gets its own words back.
import { createRequire } from "node:module";

const uWS = createRequire(import.meta.url)("uwebsockets");
const app = uWS.App();
const plain = { compression: uWS.DISABLED, maxBackpressure: 64 * 1024 * 1024, idleTimeout: 120 };

app.ws("/subscribe", {
  ...plain,
  open: (socket) => {
    socket.subscribe("hot");
    socket.send("welcome");
  },
});
app.ws("/publish", {
  ...plain,
  open: (socket) => socket.send("welcome"),
  message: (_, bytes) => app.publish("hot", bytes, false),
});
app.ws("/echo", {
  ...plain,
  open: (socket) => socket.send("welcome"),
  message: (socket, bytes) => socket.send(bytes, false),
});
app.listen("127.0.0.1", Number(process.argv[2]), (listening) => {
  if (!listening) process.exit(1);
});
