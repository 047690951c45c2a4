// A relay on `ws`: what a socket at /publish says goes to all at /subscribe; a socket at /echo gets its own words back.
import { WebSocketServer } from "ws";

// The maker's advice for speed: no compression, and text that is passed on as the bytes that came.
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), perMessageDeflate: false });
const subscribers = new Set();

server.on("connection", (socket, request) => {
  const roles = {
    "/subscribe": () => {
      subscribers.add(socket);
      socket.on("close", () => subscribers.delete(socket));
    },
    "/publish": () => socket.on("message", (bytes) => {
      for (const subscriber of subscribers) subscriber.send(bytes, { binary: false });
    }),
    "/echo": () => socket.on("message", (bytes) => socket.send(bytes, { binary: false })),
  };
  roles[request.url]();
  socket.send("welcome");
});
