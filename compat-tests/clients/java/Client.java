import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Takes the runner's orders with Apache Kafka's own Java client; the same source for every version of it. */
public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration READ_LIMIT = Duration.ofSeconds(15);

    private final String bootstrap;
    private final BufferedReader orders =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    private final Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();

    private Client(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] arguments) throws Exception {
        new Client(arguments[0]).run();
        // Producers of a server that is gone would hold up an orderly end.
        System.exit(0);
    }

    private void run() throws Exception {
        String line;
        while ((line = orders.readLine()) != null) {
            JsonNode order = JSON.readTree(line);
            if (order.get("do").asText().equals("join")) {
                join(order);
                return;
            }
            try {
                print(carryOut(order));
            } catch (Exception error) {
                print(JSON.createObjectNode().put("error", error.toString()));
            }
        }
    }

    private ObjectNode carryOut(JsonNode order) throws Exception {
        switch (order.get("do").asText()) {
            case "create": return create(order.get("topic").asText(), order.get("partitions").asInt());
            case "produce": return produce(order);
            case "read": return read(order);
            case "transactions": return transactions(order.get("id").asText());
            default: throw new IllegalArgumentException("unknown order " + order);
        }
    }

    private ObjectNode create(String topic, int partitions) throws Exception {
        try (Admin admin = Admin.create(settings())) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
        // By a consumer: the admin's describeTopics has no method of the same name in 2.8 and 4.3.
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings())) {
            long leaders = consumer.partitionsFor(topic).stream().filter(one -> one.leader() != null).count();
            return JSON.createObjectNode().put("leaders", leaders);
        }
    }

    private ObjectNode produce(JsonNode order) throws Exception {
        KafkaProducer<byte[], byte[]> producer = producer(order);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode record : order.get("records")) {
            ProducerRecord<byte[], byte[]> one = new ProducerRecord<>(order.get("topic").asText(),
                record.get("partition").asInt(), record.get("timestamp").asLong(),
                record.get("key").binaryValue(), record.get("value").binaryValue());
            for (JsonNode header : record.get("headers")) {
                one.headers().add(header.get(0).asText(), header.get(1).binaryValue());
            }
            sent.add(producer.send(one));
        }
        ObjectNode answer = JSON.createObjectNode();
        ArrayNode offsets = answer.putArray("offsets");
        for (Future<RecordMetadata> one : sent) {
            offsets.add(one.get().offset());
        }
        return answer;
    }

    private KafkaProducer<byte[], byte[]> producer(JsonNode order) {
        Map<String, Object> settings = settings();
        settings.put("compression.type", order.get("codec").asText());
        settings.put("acks", order.get("acks").asText());
        settings.put("enable.idempotence", order.get("idempotent").asBoolean());
        return producers.computeIfAbsent(settings.toString(),
            key -> new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer()));
    }

    private ObjectNode read(JsonNode order) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings())) {
            Map<TopicPartition, Long> times = new HashMap<>();
            for (int partition = 0; partition < order.get("partitions").asInt(); partition++) {
                times.put(new TopicPartition(order.get("topic").asText(), partition), order.path("timestamp").asLong());
            }
            consumer.assign(times.keySet());
            if (order.has("timestamp")) {
                for (Map.Entry<TopicPartition, OffsetAndTimestamp> one : consumer.offsetsForTimes(times).entrySet()) {
                    consumer.seek(one.getKey(), one.getValue().offset());
                }
            } else {
                times.keySet().forEach(partition -> consumer.seek(partition, order.get("offset").asLong()));
            }
            ObjectNode answer = JSON.createObjectNode();
            ArrayNode records = answer.putArray("records");
            long until = System.nanoTime() + READ_LIMIT.toNanos();
            while (records.size() < order.get("count").asInt() && System.nanoTime() < until) {
                add(records, consumer.poll(Duration.ofMillis(200)));
            }
            return answer;
        }
    }

    private ObjectNode transactions(String id) {
        Map<String, Object> settings = settings();
        settings.put("transactional.id", id);
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
        }
        return JSON.createObjectNode();
    }

    private void join(JsonNode order) throws Exception {
        Map<String, Object> settings = settings();
        settings.put("group.id", order.get("group").asText());
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", order.path("session").asInt(6000));
        settings.put("heartbeat.interval.ms", 500);
        AtomicBoolean leaving = new AtomicBoolean();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings)) {
            leaveWhenOrdered(consumer, leaving);
            consumer.subscribe(List.of(order.get("topic").asText()));
            while (!leaving.get()) {
                ConsumerRecords<byte[], byte[]> batch = consumer.poll(Duration.ofSeconds(1));
                if (!batch.isEmpty()) {
                    consumer.commitSync();
                    ObjectNode answer = JSON.createObjectNode();
                    add(answer.putArray("records"), batch);
                    print(answer);
                }
            }
        } catch (WakeupException woken) {
            // The order to leave; the consumer has left by now.
        } catch (Exception error) {
            print(JSON.createObjectNode().put("error", error.toString()));
        }
        print(JSON.createObjectNode().put("left", true));
    }

    /** The only order after a join is to leave, and the end of the input means the same. */
    private void leaveWhenOrdered(KafkaConsumer<byte[], byte[]> consumer, AtomicBoolean leaving) {
        Thread thread = new Thread(() -> {
            try {
                orders.readLine();
            } catch (java.io.IOException gone) {
                System.err.println(gone);
            }
            leaving.set(true);
            consumer.wakeup();
        });
        thread.setDaemon(true);
        thread.start();
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        settings.put("enable.auto.commit", false);
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private Map<String, Object> settings() {
        return new HashMap<>(Collections.singletonMap("bootstrap.servers", bootstrap));
    }

    private static void add(ArrayNode to, ConsumerRecords<byte[], byte[]> batch) {
        for (ConsumerRecord<byte[], byte[]> record : batch) {
            ObjectNode one = to.addObject();
            one.put("partition", record.partition()).put("offset", record.offset());
            one.put("key", record.key()).put("value", record.value()).put("timestamp", record.timestamp());
            ArrayNode headers = one.putArray("headers");
            for (Header header : record.headers()) {
                headers.addArray().add(header.key()).add(header.value());
            }
        }
    }

    private static synchronized void print(ObjectNode answer) {
        System.out.println(answer);
    }
}
