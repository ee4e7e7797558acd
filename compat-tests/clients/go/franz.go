package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franz struct {
	bootstrap string
	producers map[Settings]*kgo.Client
}

func newFranz(bootstrap string) Client {
	return &franz{bootstrap, map[Settings]*kgo.Client{}}
}

var franzCodecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

var franzAcks = map[string]kgo.Acks{"0": kgo.NoAck(), "1": kgo.LeaderAck(), "all": kgo.AllISRAcks()}

func (f *franz) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(strings.Split(f.bootstrap, ",")...))...)
}

func (f *franz) Create(ctx context.Context, topic string, partitions int) error {
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.Close()
	created, err := kadm.NewClient(client).CreateTopic(ctx, int32(partitions), 1, nil, topic)
	return errors.Join(err, created.Err)
}

func (f *franz) Leaders(ctx context.Context, topic string) (int, error) {
	client, err := f.client()
	if err != nil {
		return 0, err
	}
	defer client.Close()
	described, err := kadm.NewClient(client).ListTopics(ctx, topic)
	if err != nil {
		return 0, err
	}
	leaders := 0
	for _, partition := range described[topic].Partitions {
		if partition.Leader >= 0 {
			leaders++
		}
	}
	return leaders, nil
}

func (f *franz) producer(settings Settings) (*kgo.Client, error) {
	if producer := f.producers[settings]; producer != nil {
		return producer, nil
	}
	options := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(franzCodecs[settings.Codec]),
		kgo.RequiredAcks(franzAcks[settings.Acks]),
		kgo.AllowAutoTopicCreation(),
		// The default is a little below 1 MB with headers and key.
		kgo.ProducerBatchMaxBytes(1 << 20),
	}
	if !settings.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	producer, err := f.client(options...)
	f.producers[settings] = producer
	return producer, err
}

func (f *franz) Produce(ctx context.Context, topic string, settings Settings, records []Record) ([]int64, error) {
	producer, err := f.producer(settings)
	if err != nil {
		return nil, err
	}
	sent := make([]*kgo.Record, len(records))
	for i, record := range records {
		sent[i] = &kgo.Record{
			Topic: topic, Partition: int32(record.Partition), Key: record.Key, Value: record.Value,
			Timestamp: time.UnixMilli(record.Timestamp),
		}
		for _, header := range record.Headers {
			sent[i].Headers = append(sent[i].Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
		}
	}
	if err := producer.ProduceSync(ctx, sent...).FirstErr(); err != nil {
		return nil, err
	}
	offsets := make([]int64, len(sent))
	for i, record := range sent {
		offsets[i] = record.Offset
	}
	return offsets, nil
}

func (f *franz) Read(ctx context.Context, topic string, partitions int, start Start, count int) ([]Record, error) {
	offset := kgo.NewOffset().At(start.Offset)
	if start.Timestamp != nil {
		offset = kgo.NewOffset().AfterMilli(*start.Timestamp)
	}
	offsets := map[int32]kgo.Offset{}
	for partition := range partitions {
		offsets[int32(partition)] = offset
	}
	client, err := f.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records := []Record{}
	for len(records) < count && ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil && ctx.Err() == nil {
			return nil, err
		}
		records = append(records, franzRecords(fetches)...)
	}
	return records, nil
}

func (f *franz) Transactions(ctx context.Context, id string) error {
	client, err := f.client(kgo.TransactionalID(id))
	if err != nil {
		return err
	}
	defer client.Close()
	_, _, err = client.ProducerID(ctx)
	return err
}

func (f *franz) Join(ctx context.Context, group, topic string, emit func([]Record)) error {
	client, err := f.client(
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
	)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		for _, fetch := range fetches.Errors() {
			if !isDialling(fetch.Err) && ctx.Err() == nil {
				return fetch.Err
			}
		}
		if records := franzRecords(fetches); len(records) > 0 {
			if err := franzCommit(client, fetches.Records()); err != nil {
				return err
			}
			emit(records)
		}
		client.AllowRebalance()
	}
	return nil
}

// Commits again when no connection could be made. franz-go 1.22.2 asks any node for a lost coordinator, and gives up without a pause
// when two in a row take no connection: one dead node is enough, asked as a node and then as a seed. Apache Kafka's users see the same.
func franzCommit(client *kgo.Client, records []*kgo.Record) error {
	until := time.Now().Add(sessionTimeout)
	for {
		err := client.CommitRecords(context.Background(), records...)
		if !isDialling(err) || time.Now().After(until) {
			return err
		}
		fmt.Fprintln(os.Stderr, "commits again:", err)
		time.Sleep(100 * time.Millisecond)
	}
}

// isDialling says whether a node took no connection, which also ends a member's session: it joins again under its id.
func isDialling(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

func franzRecords(fetches kgo.Fetches) []Record {
	var records []Record
	fetches.EachRecord(func(record *kgo.Record) {
		headers := []Header{}
		for _, header := range record.Headers {
			headers = append(headers, Header{header.Key, header.Value})
		}
		timestamp := record.Timestamp.UnixMilli()
		one := Record{int(record.Partition), record.Offset, record.Key, record.Value, headers, timestamp}
		records = append(records, one)
	})
	return records
}
