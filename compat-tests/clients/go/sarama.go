package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

type saramaClient struct {
	brokers   []string
	producers map[Settings]sarama.SyncProducer
}

func newSarama(bootstrap string) Client {
	return &saramaClient{strings.Split(bootstrap, ","), map[Settings]sarama.SyncProducer{}}
}

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

var saramaAcks = map[string]sarama.RequiredAcks{
	"0": sarama.NoResponse, "1": sarama.WaitForLocal, "all": sarama.WaitForAll,
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	return config
}

func (s *saramaClient) Create(ctx context.Context, topic string, partitions int) error {
	admin, err := sarama.NewClusterAdmin(s.brokers, saramaConfig())
	if err != nil {
		return err
	}
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: int32(partitions), ReplicationFactor: 1}
	return admin.CreateTopic(topic, detail, false)
}

func (s *saramaClient) Leaders(ctx context.Context, topic string) (int, error) {
	admin, err := sarama.NewClusterAdmin(s.brokers, saramaConfig())
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	described, err := admin.DescribeTopics([]string{topic})
	if err != nil {
		return 0, err
	}
	leaders := 0
	for _, partition := range described[0].Partitions {
		if partition.Leader >= 0 {
			leaders++
		}
	}
	return leaders, nil
}

func (s *saramaClient) producer(settings Settings) (sarama.SyncProducer, error) {
	if producer := s.producers[settings]; producer != nil {
		return producer, nil
	}
	config := saramaConfig()
	config.Producer.Compression = saramaCodecs[settings.Codec]
	config.Producer.RequiredAcks = saramaAcks[settings.Acks]
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Return.Successes = true
	// Its defaults give up after 300 ms, sooner than any server restarts.
	config.Producer.Retry.Max = 60
	config.Producer.Retry.Backoff = 250 * time.Millisecond
	config.Metadata.Retry.Max = 60
	if settings.Idempotent {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
	}
	producer, err := sarama.NewSyncProducer(s.brokers, config)
	if err == nil {
		s.producers[settings] = producer
	}
	return producer, err
}

func (s *saramaClient) Produce(ctx context.Context, topic string, settings Settings, records []Record) ([]int64, error) {
	producer, err := s.producer(settings)
	if err != nil {
		return nil, err
	}
	messages := make([]*sarama.ProducerMessage, len(records))
	for i, record := range records {
		messages[i] = &sarama.ProducerMessage{
			Topic: topic, Partition: int32(record.Partition), Timestamp: time.UnixMilli(record.Timestamp),
			Key: saramaBytes(record.Key), Value: saramaBytes(record.Value),
		}
		for _, header := range record.Headers {
			one := sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value}
			messages[i].Headers = append(messages[i].Headers, one)
		}
	}
	if err := producer.SendMessages(messages); err != nil {
		return nil, err
	}
	offsets := make([]int64, len(messages))
	for i, message := range messages {
		offsets[i] = message.Offset
	}
	return offsets, nil
}

// A nil interface is null; an encoder of a nil slice would be sent as empty.
func saramaBytes(bytes []byte) sarama.Encoder {
	if bytes == nil {
		return nil
	}
	return sarama.ByteEncoder(bytes)
}

func (s *saramaClient) Read(ctx context.Context, topic string, partitions int, start Start, count int) ([]Record, error) {
	client, err := sarama.NewClient(s.brokers, saramaConfig())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	messages := make(chan *sarama.ConsumerMessage)
	for partition := range int32(partitions) {
		offset := start.Offset
		if start.Timestamp != nil {
			if offset, err = client.GetOffset(topic, partition, *start.Timestamp); err != nil {
				return nil, err
			}
		}
		reader, err := consumer.ConsumePartition(topic, partition, offset)
		if err != nil {
			return nil, err
		}
		defer reader.AsyncClose()
		go forward(ctx, reader, messages)
	}
	records := []Record{}
	for len(records) < count {
		select {
		case message := <-messages:
			records = append(records, saramaRecord(message))
		case <-ctx.Done():
			return records, nil
		}
	}
	return records, nil
}

func forward(ctx context.Context, from sarama.PartitionConsumer, to chan *sarama.ConsumerMessage) {
	for message := range from.Messages() {
		select {
		case to <- message:
		case <-ctx.Done():
			return
		}
	}
}

func (s *saramaClient) Transactions(ctx context.Context, id string) error {
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Producer.Transaction.ID = id
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(s.brokers, config)
	if err != nil {
		return err
	}
	return producer.Close()
}

func (s *saramaClient) Join(ctx context.Context, group, topic string, emit func([]Record)) error {
	config := saramaConfig()
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Group.Session.Timeout = sessionTimeout
	config.Consumer.Group.Heartbeat.Interval = heartbeatInterval
	// Its defaults give up after a second, sooner than some servers restart.
	config.Metadata.Retry.Max = 60
	member, err := sarama.NewConsumerGroup(s.brokers, group, config)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		err := member.Consume(ctx, []string{topic}, saramaMember{emit})
		if err != nil && !errors.Is(err, context.Canceled) {
			// As its documentation says, an application calls Consume again.
			fmt.Fprintln(os.Stderr, "consume:", err)
			time.Sleep(200 * time.Millisecond)
		}
	}
	return member.Close()
}

type saramaMember struct {
	emit func([]Record)
}

func (saramaMember) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaMember) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m saramaMember) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			session.Commit()
			m.emit([]Record{saramaRecord(message)})
		case <-session.Context().Done():
			return nil
		}
	}
}

func saramaRecord(message *sarama.ConsumerMessage) Record {
	headers := []Header{}
	for _, header := range message.Headers {
		headers = append(headers, Header{string(header.Key), header.Value})
	}
	timestamp := message.Timestamp.UnixMilli()
	return Record{int(message.Partition), message.Offset, message.Key, message.Value, headers, timestamp}
}
