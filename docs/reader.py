"""Follows a lane's `events` on Kafka (see lanes.md) over `confluent-kafka` 2 or newer. `python reader.py BROKERS LANE [key=value …]`
prints each commit that counts as a line of JSON, from the oldest record on; further settings are librdkafka's, as in
security.protocol=sasl_ssl. Whoever keeps results keeps with them each partition's next offset and `vars()` of its Partition."""
import base64, json, sys
from urllib.parse import unquote
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
CLAIM, COMMIT, RELEASE = 0, 1, 4  # the other kinds only take their number
PASSING = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT)

class Header:
    """The record header `xp`: base64 of a version byte and bincode. A number below 251 is one byte; others say their size first."""
    def __init__(self, data):  # a former build wrote the bytes themselves, which begin below any letter
        data = data if data[:1] < b" " else base64.b64decode(data, validate=True)
        if data[:1] not in (b"\x01", b"\x02", b"\x03"):  # the later ones have more kinds of changes, which are not read here
            raise ValueError(f"the header {data[:1]!r}… is not of version 1, 2 or 3, which is all that this reader knows")
        self.data, self.at = data, 1
        self.kind = self.number()
    def number(self):
        first = self.bytes(1)[0]
        return first if first < 251 else int.from_bytes(self.bytes(2 ** (first - 250)), "little")
    def bytes(self, length=None):  # UUIDs and texts too: a number says how long they are
        length = self.number() if length is None else length
        self.at += length
        return self.data[self.at - length:self.at]
    def skip_cause(self):  # an inbound offset; a timer: three kinds are named, a ticket is numbered, two are alone; a lost edge
        cause = self.number()
        timer = self.number() if cause == 1 else None
        if cause == 2 or timer in (0, 1, 2):
            self.bytes()
        elif timer not in (4, 5):
            self.number()

class Partition:
    """What must be known of a partition's past to say whether its next record counts (R2, R3)."""
    claim, rank, epoch, seq = None, (), None, 0  # the latest claim that counted; its offset while it owns; the last number
    def counts(self, offset, header):
        if header.kind == CLAIM:
            claim, _, *rank = header.bytes(), header.bytes(), header.number(), header.number(), header.number()
            if claim != self.claim and tuple(rank) > self.rank:  # else the same again, or one that came too late
                self.claim, self.rank, self.epoch, self.seq = claim, tuple(rank), offset, 0
        elif (header.number(), header.number()) == (self.epoch, self.seq + 1):  # else a former owner's, or a repetition
            self.epoch, self.seq = None if header.kind == RELEASE else self.epoch, self.seq + 1
            return True

def follow(brokers, lane, settings):
    consumer = Consumer({"group.id": "reader", **settings, "bootstrap.servers": brokers, "auto.offset.reset": "error",
                         "enable.auto.commit": False, "isolation.level": "read_uncommitted"})
    topic, partitions = f"{lane}.events", {}
    for p in (TopicPartition(topic, p) for p in consumer.list_topics(topic, 10).topics[topic].partitions):
        partitions[p.partition], p.offset = Partition(), consumer.get_watermark_offsets(p, 10)[0]
        consumer.incremental_assign([p])
    while True:
        record = consumer.poll(60)
        if record is None or record.error() and record.error().code() in PASSING:
            continue  # nothing new, or an outage that the library bridges
        if record.error():  # such as an offset that retention took meanwhile
            raise KafkaException(record.error())
        headers = dict(record.headers() or ())
        header = Header(headers.get("xp", b""))
        if partitions[record.partition()].counts(record.offset(), header) and header.kind == COMMIT and record.value():
            header.number(), header.skip_cause()  # which effects had gone out; what caused it
            yield dict(partition=record.partition(), offset=record.offset(), address=record.key().decode(),
                       now=header.number(), revision=header.number(), events=json.loads(record.value()),
                       subject=unquote(headers.get("subject", b"").decode()) or None)
if __name__ == "__main__":
    for commit in follow(sys.argv[1], sys.argv[2], dict(setting.split("=", 1) for setting in sys.argv[3:])):
        print(json.dumps(commit, ensure_ascii=False), flush=True)
