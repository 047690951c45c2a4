// A relay on socket.io: what a socket emits as `publish` goes to the room of all that came as subscribers; `echo` comes
// back to its sender.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
// Websockets alone; compression is off unless asked for.
const io = new Server(http, { transports: ["websocket"], serveClient: false });

io.on("connection", (socket) => {
  if (socket.handshake.query.role === "subscribe") socket.join("hot");
  socket.on("publish", (text) => io.to("hot").emit("update", text));
  socket.on("echo", (text) => socket.emit("update", text));
});
http.listen(Number(process.argv[2]), "127.0.0.1");
