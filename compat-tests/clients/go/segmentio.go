package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
)

type segmentio struct {
	client    *kafka.Client
	bootstrap string
	writers   map[Settings]*kafka.Writer
}

func newSegmentio(bootstrap string) Client {
	client := &kafka.Client{Addr: kafka.TCP(bootstrap)}
	return &segmentio{client, bootstrap, map[Settings]*kafka.Writer{}}
}

var segmentioCodecs = map[string]kafka.Compression{
	"gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
}

var segmentioAcks = map[string]kafka.RequiredAcks{
	"0": kafka.RequireNone, "1": kafka.RequireOne, "all": kafka.RequireAll,
}

func (s *segmentio) Create(ctx context.Context, topic string, partitions int) error {
	config := kafka.TopicConfig{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}
	created, err := s.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{config}})
	if err != nil {
		return err
	}
	return created.Errors[topic]
}

func (s *segmentio) Leaders(ctx context.Context, topic string) (int, error) {
	// Not through the client, which remembers metadata for seconds.
	connection, err := kafka.DialContext(ctx, "tcp", s.bootstrap)
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	described, err := connection.ReadPartitions(topic)
	if err != nil {
		return 0, err
	}
	leaders := 0
	for _, partition := range described {
		if partition.Leader.Port != 0 {
			leaders++
		}
	}
	return leaders, nil
}

// place travels with a message: a Writer decides on the partition itself, by a balancer.
type place struct {
	index     int
	partition int
	offsets   []int64
}

func (s *segmentio) writer(settings Settings) *kafka.Writer {
	if writer := s.writers[settings]; writer != nil {
		return writer
	}
	writer := &kafka.Writer{
		Addr:                   kafka.TCP(s.bootstrap),
		RequiredAcks:           segmentioAcks[settings.Acks],
		Compression:            segmentioCodecs[settings.Codec],
		BatchTimeout:           10 * time.Millisecond,
		AllowAutoTopicCreation: true,
		Balancer: kafka.BalancerFunc(func(message kafka.Message, _ ...int) int {
			return message.WriterData.(place).partition
		}),
		Completion: func(messages []kafka.Message, _ error) {
			for _, message := range messages {
				place := message.WriterData.(place)
				place.offsets[place.index] = message.Offset
			}
		},
		// Its default gives up after a few seconds, sooner than some servers restart.
		MaxAttempts: 60,
	}
	s.writers[settings] = writer
	return writer
}

func (s *segmentio) Produce(ctx context.Context, topic string, settings Settings, records []Record) ([]int64, error) {
	offsets := make([]int64, len(records))
	messages := make([]kafka.Message, len(records))
	for i, record := range records {
		messages[i] = kafka.Message{
			Topic: topic, Key: record.Key, Value: record.Value, Time: time.UnixMilli(record.Timestamp),
			WriterData: place{i, record.Partition, offsets},
		}
		for _, header := range record.Headers {
			messages[i].Headers = append(messages[i].Headers, kafka.Header{Key: header.Key, Value: header.Value})
		}
	}
	err := s.writer(settings).WriteMessages(ctx, messages...)
	for err != nil && ctx.Err() == nil {
		messages, err = unwritten(messages, err)
		if err != nil {
			return nil, err
		}
		time.Sleep(200 * time.Millisecond)
		err = s.writer(settings).WriteMessages(ctx, messages...)
	}
	return offsets, err
}

// What is to be written again: a Writer leaves it to its user when a topic is being created or has no leader for a while.
func unwritten(messages []kafka.Message, err error) ([]kafka.Message, error) {
	if temporary(err) {
		return messages, nil
	}
	var each kafka.WriteErrors
	if !errors.As(err, &each) {
		return nil, err
	}
	var left []kafka.Message
	for i, err := range each {
		if err != nil {
			left = append(left, messages[i])
		}
	}
	return left, nil
}

func temporary(err error) bool {
	var code kafka.Error
	return errors.As(err, &code) && code.Temporary()
}

func (s *segmentio) Read(ctx context.Context, topic string, partitions int, start Start, count int) ([]Record, error) {
	messages := make(chan kafka.Message)
	failed := make(chan error, partitions)
	for partition := range partitions {
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{s.bootstrap}, Topic: topic, Partition: partition, MaxWait: 200 * time.Millisecond,
		})
		defer reader.Close()
		if err := seek(ctx, reader, start); err != nil {
			return nil, err
		}
		go func() {
			for {
				message, err := reader.ReadMessage(ctx)
				if err != nil {
					failed <- err
					return
				}
				select {
				case messages <- message:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	records := []Record{}
	for len(records) < count {
		select {
		case message := <-messages:
			records = append(records, segmentioRecord(message))
		case err := <-failed:
			if ctx.Err() == nil {
				return nil, err
			}
		case <-ctx.Done():
			return records, nil
		}
	}
	return records, nil
}

func seek(ctx context.Context, reader *kafka.Reader, start Start) error {
	if start.Timestamp != nil {
		return reader.SetOffsetAt(ctx, time.UnixMilli(*start.Timestamp))
	}
	return reader.SetOffset(start.Offset)
}

// It has no transactional producer; these are the calls that one would be built on.
func (s *segmentio) Transactions(ctx context.Context, id string) error {
	err := s.initialise(ctx, id)
	for temporary(err) && ctx.Err() == nil {
		time.Sleep(200 * time.Millisecond)
		err = s.initialise(ctx, id)
	}
	return err
}

func (s *segmentio) initialise(ctx context.Context, id string) error {
	found, err := s.client.FindCoordinator(ctx, &kafka.FindCoordinatorRequest{
		Addr: s.client.Addr, Key: id, KeyType: kafka.CoordinatorKeyTypeTransaction,
	})
	if err == nil {
		err = found.Error
	}
	if err != nil {
		return err
	}
	given, err := s.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{
		Addr: s.client.Addr, TransactionalID: id, TransactionTimeoutMs: 10000,
	})
	if err == nil {
		err = given.Error
	}
	return err
}

func (s *segmentio) Join(ctx context.Context, group, topic string, emit func([]Record)) error {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{s.bootstrap}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		MaxWait: 200 * time.Millisecond, SessionTimeout: sessionTimeout, HeartbeatInterval: heartbeatInterval,
	})
	for {
		message, err := reader.FetchMessage(ctx)
		if ctx.Err() != nil {
			return reader.Close()
		}
		if err != nil {
			// It reports a server that is away, and goes on when it is asked again.
			fmt.Fprintln(os.Stderr, "fetch:", err)
			time.Sleep(200 * time.Millisecond)
			continue
		}
		if err := reader.CommitMessages(ctx, message); err != nil {
			return err
		}
		emit([]Record{segmentioRecord(message)})
	}
}

func segmentioRecord(message kafka.Message) Record {
	headers := []Header{}
	for _, header := range message.Headers {
		headers = append(headers, Header{header.Key, header.Value})
	}
	timestamp := message.Time.UnixMilli()
	return Record{message.Partition, message.Offset, message.Key, message.Value, headers, timestamp}
}
