// Durable Objects: one that keeps the last text it was sent and answers with it, and one that relays what its publisher
// says to all who have subscribed. The runtime holds an answer back until what was written before it is on disk.
import { DurableObject } from "cloudflare:workers";

function accept(serve) {
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  serve(server);
  server.send("welcome");
  return new Response(null, { status: 101, webSocket: client });
}

export class Cell extends DurableObject {
  fetch() {
    return accept((socket) => socket.addEventListener("message", ({ data }) => {
      this.ctx.storage.put("text", data);
      socket.send(data);
    }));
  }
}

export class Relay extends DurableObject {
  subscribers = new Set();

  fetch(request) {
    const publishes = new URL(request.url).pathname === "/publish";
    return accept((socket) => {
      if (!publishes) {
        this.subscribers.add(socket);
        socket.addEventListener("close", () => this.subscribers.delete(socket));
        return;
      }
      socket.addEventListener("message", ({ data }) => {
        for (const subscriber of this.subscribers) subscriber.send(data);
      });
    });
  }
}

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    const objects = pathname.startsWith("/cell/") ? env.cells : env.relays;
    const name = pathname.startsWith("/cell/") ? pathname : "hot";
    return objects.get(objects.idFromName(name)).fetch(request);
  },
};
