using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "disk", disk = (path = "data", writable = true)),
  ],
  # The address is given on the command line.
  sockets = [(name = "http", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
  bindings = [
    (name = "cells", durableObjectNamespace = "Cell"),
    (name = "relays", durableObjectNamespace = "Relay"),
  ],
  durableObjectNamespaces = [
    (className = "Cell", uniqueKey = "cell", enableSql = true),
    (className = "Relay", uniqueKey = "relay", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "disk"),
);
