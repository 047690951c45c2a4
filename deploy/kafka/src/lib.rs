//! A local Apache Kafka for development and tests: real brokers, from Maven Central, on loopback.
#![warn(missing_docs)]
